#include "server/rpc/errors.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/common.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ErrorsTest, OkStaysOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), "id").ok()); }

TEST(ErrorsTest, InvalidRequestCarriesEveryFault) {
  const std::vector<Fault> faults = {{"edits[2].index", "is 99"}, {"max_attributes", "is -1"}};
  const grpc::Status status = ToGrpcStatus(InvalidRequestError(faults, {{"model", "m/1"}}), "id");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("edits[2].index: is 99"));
  EXPECT_THAT(status.error_message(), HasSubstr("max_attributes: is -1"));
  EXPECT_THAT(ViolatedFields(status), ElementsAre("edits[2].index", "max_attributes"));
  const auto info = FindDetail<google::rpc::ErrorInfo>(status);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->reason(), "INVALID_REQUEST");
  EXPECT_EQ(info->domain(), "stylex.v1");
  EXPECT_EQ(info->metadata().at("model"), "m/1");
}

TEST(ErrorsTest, DetailsStayBelowTheLimitHoweverManyFaults) {
  std::vector<Fault> faults;
  for (int i = 0; i < 5000; ++i) {
    faults.push_back({absl::StrCat("images[", i, "].data"), std::string(2000, 'x')});
  }
  const grpc::Status status =
      ToGrpcStatus(InvalidRequestError(faults, {{"labels", std::string(100000, 'y')}}), "id");
  EXPECT_LE(status.error_details().size(), kMaxDetailsBytes);
  EXPECT_LE(status.error_message().size(), kMaxMessageBytes);
  const auto bad_request = FindDetail<google::rpc::BadRequest>(status);
  ASSERT_TRUE(bad_request.has_value());
  const int shown = bad_request->field_violations_size() - 1;
  EXPECT_GT(shown, 1);
  EXPECT_EQ(bad_request->field_violations(shown).description(),
            absl::StrCat("and ", 5000 - shown, " more faults"));
}

TEST(ErrorsTest, CutTextStaysUtf8) {
  std::string umlauts;
  for (int i = 0; i < 3000; ++i) {
    umlauts += "\xC3\xA4";
  }
  for (const std::string& text : {umlauts, "x" + umlauts}) {
    const std::vector<Fault> faults = {{"label", text}};
    const grpc::Status status = ToGrpcStatus(InvalidRequestError(faults), "id");
    EXPECT_TRUE(google::protobuf::internal::IsStructurallyValidUTF8(
        status.error_message().data(), static_cast<int>(status.error_message().size())));
  }
}

TEST(ErrorsTest, UnknownModelListsTheNames) {
  const grpc::Status status = ToGrpcStatus(ModelNotFoundError("lion", {"cats", "dogs"}), "id");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("no model 'lion': there are 'cats', 'dogs'"));
  const auto resource = FindDetail<google::rpc::ResourceInfo>(status);
  ASSERT_TRUE(resource.has_value());
  EXPECT_EQ(resource->resource_type(), "model");
  EXPECT_EQ(resource->resource_name(), "lion");
  EXPECT_EQ(ReasonOf(status), "MODEL_NOT_FOUND");
}

TEST(ErrorsTest, UnavailableSaysWhenToTryAgain) {
  const absl::Status error = UnavailableError("LOADING", "wait", absl::Milliseconds(2500));
  EXPECT_EQ(RetryDelay(error), absl::Milliseconds(2500));
  const auto retry = FindDetail<google::rpc::RetryInfo>(ToGrpcStatus(error, "id"));
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->retry_delay().seconds(), 2);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);
  EXPECT_FALSE(RetryDelay(absl::NotFoundError("no")).has_value());
}

TEST(ErrorsTest, PreconditionNamesTypeAndSubject) {
  const grpc::Status status =
      ToGrpcStatus(PreconditionError("MODEL_MISMATCH", "m/2", "the latent is of m/1"), "id");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const auto failure = FindDetail<google::rpc::PreconditionFailure>(status);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->violations(0).type(), "MODEL_MISMATCH");
  EXPECT_EQ(failure->violations(0).subject(), "m/2");
  EXPECT_EQ(failure->violations(0).description(), "the latent is of m/1");
}

TEST(ErrorsTest, TheCauseOfAnInternalErrorStaysInside) {
  for (const absl::Status& error : {absl::InternalError("secret/path.cc:12"),
                                    absl::UnknownError("secret"), absl::DataLossError("secret")}) {
    const grpc::Status status = ToGrpcStatus(error, "abc123");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_THAT(status.error_message(), Not(HasSubstr("secret")));
    EXPECT_THAT(status.error_message(), HasSubstr("abc123"));
    EXPECT_THAT(status.error_details(), Not(HasSubstr("secret")));
    EXPECT_EQ(ReasonOf(status), "INTERNAL");
  }
}

TEST(ErrorsTest, EveryErrorHasAnErrorInfo) {
  for (const absl::Status& error :
       {absl::CancelledError("gone"), absl::DeadlineExceededError("late"),
        absl::ResourceExhaustedError("big"), absl::UnauthenticatedError("who")}) {
    const grpc::Status status = ToGrpcStatus(error, "id");
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(error.code()));
    EXPECT_EQ(ReasonOf(status), absl::StatusCodeToString(error.code()));
  }
}

TEST(ErrorsTest, ListsAreCutWithACount) {
  EXPECT_EQ(ListOf({"a", "b"}), "'a', 'b'");
  EXPECT_EQ(ListOf({}), "");
  std::vector<std::string> many(1000, "label");
  const std::string list = ListOf(many, 100);
  EXPECT_LT(list.size(), 130u);
  EXPECT_THAT(list, HasSubstr(" more"));
}

TEST(ErrorsTest, QuotedEscapesControlCharacters) {
  EXPECT_EQ(Quoted("a\nb"), "'a\\nb'");
  EXPECT_LE(Quoted(std::string(5000, 'a')).size(), 102u);
}

TEST(ErrorsTest, ADeviceErrorThatStaysIsToldFromOneThatPasses) {
  EXPECT_TRUE(IsPersistentDeviceError("CUDA error: an illegal memory access was encountered"));
  EXPECT_TRUE(IsPersistentDeviceError("CUDA error: device-side assert triggered"));
  EXPECT_FALSE(IsPersistentDeviceError("CUDA error: out of memory"));
  EXPECT_FALSE(IsPersistentDeviceError("CUDA out of memory. Tried to allocate 2 GiB"));
  EXPECT_FALSE(IsPersistentDeviceError("mat1 and mat2 shapes cannot be multiplied"));
  EXPECT_TRUE(IsOutOfMemory("CUDA out of memory. Tried to allocate 2 GiB"));
  EXPECT_TRUE(IsOutOfMemory("DefaultCPUAllocator: can't allocate memory"));
}

TEST(ErrorsTest, EveryErrorHasAReason) {
  EXPECT_EQ(ReasonOfError(absl::OkStatus()), "");
  EXPECT_EQ(ReasonOfError(QueueFullError()), "QUEUE_FULL");
  EXPECT_EQ(ReasonOfError(UnauthenticatedError()), "UNAUTHENTICATED");
  EXPECT_EQ(ReasonOfError(MessageTooLargeError(5, 4)), "MESSAGE_TOO_LARGE");
  EXPECT_EQ(ReasonOfError(absl::CancelledError("gone")), "CANCELLED");
}

}  // namespace
}  // namespace stylex
