// Calls that never reach a handler, through a real service and an in-process channel: what their
// clients are told and what the observers see.
#include "server/rpc/refused_calls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "server/rpc/request_id.h"
#include "stylex/v1/explanation.grpc.pb.h"
#include "tests/server/rpc/error_details.h"
#include "tests/server/rpc/raw_call.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KeepingObserver : public CallObserver {
 public:
  void OnStarted(const char* method) override {
    if (failing) {
      throw std::bad_alloc();
    }
    const std::lock_guard lock(mutex_);
    started_.emplace_back(method);
  }
  void OnFinished(const CallRecord& record) override {
    const std::lock_guard lock(mutex_);
    methods_.emplace_back(record.method);
    records_.push_back(record);
  }
  std::vector<std::string> started() const {
    const std::lock_guard lock(mutex_);
    return started_;
  }
  std::vector<std::string> methods() const {
    const std::lock_guard lock(mutex_);
    return methods_;
  }
  std::vector<CallRecord> records() const {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  bool failing = false;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> started_, methods_;
  std::vector<CallRecord> records_;
};

class KeepingAuditor : public CallAuditor {
 public:
  absl::Status Ready() override { return absl::OkStatus(); }
  absl::Status Record(const CallRecord& record) override {
    if (failing) {
      throw std::bad_alloc();
    }
    audited.push_back(record.reason);
    return absl::InternalError("the disk is full");
  }
  std::vector<std::string> audited;
  bool failing = false;
};

// Ends every call with the code that its request names as a model, with or without the runner's
// mark.
class EndingService : public v1::ExplanationService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse*) override {
    if (mark) {
      context->AddTrailingMetadata(kRequestIdKey, "seen");
    }
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    const int code = request->model().empty() ? 0 : std::stoi(request->model());
    reactor->Finish(grpc::Status(static_cast<grpc::StatusCode>(code), code == 0 ? "" : "as asked"));
    return reactor;
  }
  bool mark = false;
};

class RefusedCallsTest : public testing::Test {
 protected:
  RefusedCallsTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    builder.RegisterCallbackGenericService(&unknown_methods_);
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
        interceptors;
    interceptors.push_back(std::make_unique<RefusedCalls>(
        std::vector<CallObserver*>{&failing_observer_, &observer_}, &auditor_, &clock_));
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }
  ~RefusedCallsTest() override { server_->Shutdown(); }

  grpc::Status Send(const std::string& method, const std::string& bytes) {
    return SendBytes(channel_, method, bytes);
  }
  grpc::Status Classify(grpc::StatusCode code) {
    v1::ClassifyRequest request;
    request.set_model(std::to_string(code));
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return v1::ExplanationService::NewStub(channel_)->Classify(&context, request, &response);
  }

  FakeClock clock_;
  KeepingObserver failing_observer_, observer_;
  KeepingAuditor auditor_;
  EndingService service_;
  UnknownMethods unknown_methods_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

constexpr char kClassifyPath[] = "/stylex.v1.ExplanationService/Classify";

TEST_F(RefusedCallsTest, BytesThatAreNoMessageAreInvalidAndCounted) {
  for (const std::string bytes : {"\x0a\xff", "\xff", "\x0a\x02\xff\xfe"}) {
    const grpc::Status status = Send(kClassifyPath, bytes);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(ReasonOf(status), ReasonOfError(MalformedRequestError()));
  }
  EXPECT_THAT(observer_.started(), ElementsAre("Classify", "Classify", "Classify"));
  EXPECT_THAT(observer_.methods(), ElementsAre("Classify", "Classify", "Classify"));
}

// The client can name the call that the log tells of.
TEST_F(RefusedCallsTest, ClientAndLogHaveTheSameReason) {
  const grpc::Status status = Send(kClassifyPath, "\xff");
  const std::vector<CallRecord> records = observer_.records();
  ASSERT_EQ(records.size(), 1);
  EXPECT_EQ(records[0].reason, ReasonOf(status));
  EXPECT_EQ(records[0].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(records[0].request_id.size(), 16);
  EXPECT_FALSE(records[0].peer.empty());
  EXPECT_EQ(records[0].total, absl::ZeroDuration()) << "the clock stood still";
}

TEST_F(RefusedCallsTest, UnknownMethodsAreNamedToTheClientAndNotToTheMetrics) {
  for (const char* method : {"/stylex.v1.ExplanationService/Guess", "/other.Service/Classify"}) {
    const grpc::Status status = Send(method, "");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr(method));
  }
  EXPECT_THAT(observer_.methods(), ElementsAre("unknown", "unknown"))
      << "names of clients are no labels";
}

TEST_F(RefusedCallsTest, NamesOfMethodsAreQuoted) {
  const grpc::Status status = Send("/a/" + std::string(5000, 'x'), "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_LT(status.error_message().size(), 300);
}

TEST_F(RefusedCallsTest, EveryRefusalIsAuditedAndAFullDiskDoesNotHideIt) {
  const grpc::Status status = Send(kClassifyPath, "\xff");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(auditor_.audited, ElementsAre(ReasonOf(status)));
}

TEST_F(RefusedCallsTest, WantOfMemoryCostsNeitherTheAnswerNorTheOtherObservers) {
  failing_observer_.failing = auditor_.failing = true;
  const grpc::Status status = Send(kClassifyPath, "\xff");
  EXPECT_EQ(ReasonOf(status), ReasonOfError(MalformedRequestError()));
  EXPECT_EQ(Send("/other.Service/Classify", "").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(observer_.methods(), ElementsAre("Classify", "unknown"));
}

TEST_F(RefusedCallsTest, AnsweredCallsAreNone) {
  EXPECT_TRUE(Classify(grpc::StatusCode::OK).ok());
  EXPECT_THAT(observer_.methods(), IsEmpty());
}

// Those that the runner has finished are told by it, whatever their status.
TEST_F(RefusedCallsTest, WhatTheRunnerReportedIsNotReportedAgain) {
  service_.mark = true;
  const grpc::Status status = Classify(grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "as asked");
  EXPECT_THAT(observer_.methods(), IsEmpty());
}

TEST_F(RefusedCallsTest, WhatWasEndedIsNotRefused) {
  EXPECT_EQ(Classify(grpc::StatusCode::CANCELLED).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(Classify(grpc::StatusCode::UNAVAILABLE).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(observer_.methods(), IsEmpty());
  EXPECT_EQ(Classify(grpc::StatusCode::RESOURCE_EXHAUSTED).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(observer_.methods(), ElementsAre("Classify"));
}

// A message that would be unpacked to a thousand times its size is refused packed.
TEST(RefuseCompressionTest, PackedRequestsAreUnimplementedAndPlainOnesAnswered) {
  EndingService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  RefuseCompression(&builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = v1::ExplanationService::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  for (const grpc_compression_algorithm packing :
       {GRPC_COMPRESS_NONE, GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(packing);
    v1::ClassifyRequest request;
    request.mutable_image()->set_data(std::string(100'000, 'a'));
    v1::ClassifyResponse response;
    const grpc::Status status = stub->Classify(&context, request, &response);
    EXPECT_EQ(status.error_code(), packing == GRPC_COMPRESS_NONE ? grpc::StatusCode::OK
                                                                 : grpc::StatusCode::UNIMPLEMENTED)
        << packing;
  }
  server->Shutdown();
}

}  // namespace
}  // namespace stylex
