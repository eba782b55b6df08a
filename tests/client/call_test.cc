#include "client/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

grpc::Status WithViolations(const std::string& message,
                            const std::vector<std::pair<std::string, std::string>>& violations) {
  google::rpc::BadRequest bad_request;
  for (const auto& [field, description] : violations) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  }
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  info.set_reason("INVALID_REQUEST");
  details.add_details()->PackFrom(info);
  details.add_details()->PackFrom(bad_request);
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, message, details.SerializeAsString());
}

TEST(ToStatusTest, KeepsCodeAndMessage) {
  EXPECT_TRUE(ToStatus(grpc::Status::OK).ok());
  for (const auto& [code, expected] :
       {std::pair{grpc::StatusCode::NOT_FOUND, absl::StatusCode::kNotFound},
        {grpc::StatusCode::UNAVAILABLE, absl::StatusCode::kUnavailable},
        {grpc::StatusCode::UNAUTHENTICATED, absl::StatusCode::kUnauthenticated}}) {
    const absl::Status status = ToStatus(grpc::Status(code, "no model \"x\""));
    EXPECT_EQ(status.code(), expected);
    EXPECT_EQ(status.message(), "no model \"x\"");
  }
}

TEST(ToStatusTest, AppendsEveryViolationThatTheMessageLacks) {
  const absl::Status status = ToStatus(WithViolations(
      "image: is empty", {{"image", "is empty"}, {"edits[1].shift", "is 9; -4 to 4 are allowed"}}));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "image: is empty; edits[1].shift: is 9; -4 to 4 are allowed");
}

TEST(ToStatusTest, SurvivesDetailsThatAreNone) {
  EXPECT_EQ(ToStatus(grpc::Status(grpc::StatusCode::INTERNAL, "broken", "\xFF\xFE not a message"))
                .message(),
            "broken");
}

double SecondsLeft(const grpc::ClientContext& context) {
  return std::chrono::duration<double>(context.deadline() - std::chrono::system_clock::now())
      .count();
}

TEST(SetDeadlineTest, TheOptionBeatsTheDefault) {
  grpc::ClientContext usual, chosen, short_one;
  SetDeadline({}, 600, &usual);
  EXPECT_NEAR(SecondsLeft(usual), 600, 5);
  ConnectionOptions options;
  options.timeout_seconds = 30;
  SetDeadline(options, 600, &chosen);
  EXPECT_NEAR(SecondsLeft(chosen), 30, 5);
  options.timeout_seconds = 0.25;
  SetDeadline(options, 600, &short_one);
  EXPECT_LT(SecondsLeft(short_one), 0.26) << "fractions of a second count";
}

TEST(PrintJsonTest, IsOneLineWithThePathInFront) {
  v1::Prediction prediction;
  prediction.set_label("T-shirt\n\"top\"");
  testing::internal::CaptureStdout();
  PrintJson(prediction, "photo \"1\"\n.jpg");
  const std::string line = testing::internal::GetCapturedStdout();
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed.at("path"), "photo \"1\"\n.jpg");
  EXPECT_EQ(parsed.at("label"), "T-shirt\n\"top\"");
  EXPECT_EQ(parsed.at("classId"), 0) << "zeros are printed, too";
  EXPECT_EQ(line.rfind("{\"path\":", 0), 0);
}

TEST(PrintJsonTest, AMessageWithoutFieldsIsStillADocument) {
  testing::internal::CaptureStdout();
  PrintJson(v1::ListModelsRequest(), "a.png");
  PrintJson(v1::ListModelsRequest());
  const std::string lines = testing::internal::GetCapturedStdout();
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n'))).at("path"), "a.png");
  EXPECT_THAT(lines.substr(lines.find('\n') + 1), Not(HasSubstr("path")));
}

}  // namespace
}  // namespace stylex
