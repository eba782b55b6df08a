// Tests the CallRunner behind a real service and an in-process channel, with controllable works.
#include "server/rpc/call_runner.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <stdexcept>
#include <thread>

#include "stylex/v1/explanation.grpc.pb.h"
#include "tests/server/rpc/error_details.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

using Sink = StreamSink<v1::TraverseResponse>;

class ScriptedService : public v1::ExplanationService::CallbackService {
 public:
  explicit ScriptedService(CallRunner* runner) : runner_(runner) {}

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse* response) override {
    return runner_->Unary<v1::ClassifyResponse>("Classify", context, *request, response, classify);
  }
  grpc::ServerWriteReactor<v1::TraverseResponse>* Traverse(
      grpc::CallbackServerContext* context, const v1::TraverseRequest* request) override {
    return runner_->Stream<v1::TraverseResponse>("Traverse", context, *request, traverse);
  }

  grpc::ServerUnaryReactor* Counterfactual(grpc::CallbackServerContext* context,
                                           const v1::CounterfactualRequest* request,
                                           v1::CounterfactualResponse* response) override {
    return runner_->Unary<v1::CounterfactualResponse>(
        "Counterfactual", context, *request, response,
        []() -> UnaryWork<v1::CounterfactualResponse> { return absl::AbortedError("let in"); });
  }

  // Never empty: a reference to an empty function is an error where assertions are checked.
  std::function<UnaryWork<v1::ClassifyResponse>()> classify =
      []() -> UnaryWork<v1::ClassifyResponse> { return absl::AbortedError("not scripted"); };
  std::function<StreamWork<v1::TraverseResponse>()> traverse =
      []() -> StreamWork<v1::TraverseResponse> { return absl::AbortedError("not scripted"); };

 private:
  CallRunner* const runner_;
};

UnaryWork<v1::ClassifyResponse> Doing(
    std::function<absl::Status(const Cancellation&, v1::ClassifyResponse*)> run) {
  return Work<v1::ClassifyResponse>{.run = std::move(run)};
}

// Keeps every record.
class RecordingObserver : public CallObserver {
 public:
  void OnStarted(const char* method) override { started = method; }
  void OnFinished(const CallRecord& record) override {
    ++finished;
    last = record;
  }
  std::string started;
  int finished = 0;
  CallRecord last;
};

// Has no memory.
class FailingObserver : public CallObserver {
 public:
  void OnStarted(const char*) override { throw std::bad_alloc(); }
  void OnFinished(const CallRecord&) override { throw std::bad_alloc(); }
};

// Told to, it fails as whatever is done first for a call may, for want of memory.
class FailingClock : public Clock {
 public:
  absl::Time Now() const override {
    if (failing) {
      throw std::bad_alloc();
    }
    return Clock::Real().Now();
  }
  std::atomic<bool> failing = false;
};

class SwitchedAuditor : public CallAuditor {
 public:
  absl::Status Ready() override { return ready; }
  absl::Status Record(const CallRecord&) override { return recorded; }
  absl::Status ready, recorded;
};

class CallRunnerTest : public ::testing::Test {
 protected:
  CallRunnerTest()
      : pool_({.workers = 1, .max_queue = 2, .clock = &pool_clock_}),
        bulk_pool_({.workers = 1, .max_queue = 1}),
        runner_({.max_message_bytes = 1000,
                 .observers = {&failing_observer_, &observer_},
                 .auditor = &auditor_,
                 .requests = &memory_,
                 .frames = &frames_,
                 .on_exception =
                     [this](const std::string& what) {
                       exception_ = what;
                       if (clock_.failing) {
                         throw std::bad_alloc();
                       }
                     }},
                {.interactive = &pool_, .explanation = &pool_, .bulk = &bulk_pool_}, &clock_),
        service_(&runner_) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::ExplanationService::NewStub(server_->InProcessChannel({}));
  }
  ~CallRunnerTest() override { server_->Shutdown(); }

  grpc::Status Classify(v1::ClassifyResponse* response, grpc::ClientContext* context) {
    return stub_->Classify(context, {}, response);
  }
  grpc::Status Classify() {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return Classify(&response, &context);
  }

  // Occupies the only worker with a call until `running` is cancelled; later calls are quick.
  std::thread KeepBusy(grpc::ClientContext* running) {
    service_.classify = [this] { return UntilStopped(); };
    std::thread client([this, running] {
      v1::ClassifyResponse response;
      Classify(&response, running);
    });
    started_.get_future().wait();
    service_.classify = [] {
      return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
    };
    return client;
  }

  // Work that waits until it is cancelled and records that.
  UnaryWork<v1::ClassifyResponse> UntilStopped() {
    return Doing([this](const Cancellation& cancellation, v1::ClassifyResponse*) {
      started_.set_value();
      while (!cancellation.stopped()) {
        std::this_thread::yield();
      }
      stopped_.set_value(cancellation.status().code());
      return absl::CancelledError("as told");
    });
  }

  std::promise<void> started_;
  std::promise<absl::StatusCode> stopped_;
  std::string exception_;
  FailingClock clock_;
  FailingObserver failing_observer_;
  RecordingObserver observer_;
  SwitchedAuditor auditor_;
  MemoryBudget memory_{2000}, frames_{2000};
  FakeClock pool_clock_;  // used only by the pool's single worker
  WorkerPool pool_;
  WorkerPool bulk_pool_;
  CallRunner runner_;
  ScriptedService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ExplanationService::Stub> stub_;
};

TEST_F(CallRunnerTest, AnswersFromAWorker) {
  std::thread::id worker, grpc_thread;
  service_.classify = [&] {
    grpc_thread = std::this_thread::get_id();
    return Doing([&](const Cancellation&, v1::ClassifyResponse* response) {
      worker = std::this_thread::get_id();
      response->set_model("m/1");
      return absl::OkStatus();
    });
  };
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  EXPECT_TRUE(Classify(&response, &context).ok());
  EXPECT_EQ(response.model(), "m/1");
  EXPECT_NE(worker, grpc_thread);
}

TEST_F(CallRunnerTest, CheapWorkNeedsNoWorker) {
  std::thread::id worker, grpc_thread;
  service_.classify = [&]() -> UnaryWork<v1::ClassifyResponse> {
    grpc_thread = std::this_thread::get_id();
    return Work<v1::ClassifyResponse>{.run =
                                          [&](const Cancellation&, v1::ClassifyResponse*) {
                                            worker = std::this_thread::get_id();
                                            return absl::OkStatus();
                                          },
                                      .effort = Effort::kCheap};
  };
  EXPECT_TRUE(Classify().ok());
  EXPECT_EQ(worker, grpc_thread);
}

TEST_F(CallRunnerTest, AFaultFoundByThePreparationIsTheAnswer) {
  service_.classify = [] {
    const Fault fault = {"image", "is missing"};
    return UnaryWork<v1::ClassifyResponse>(InvalidRequestError({&fault, 1}));
  };
  const grpc::Status status = Classify();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(ViolatedFields(status), Contains("image"));
}

TEST_F(CallRunnerTest, AnExceptionIsInternalAndTheNextCallIsServed) {
  for (const bool in_preparation : {true, false}) {
    service_.classify = [&]() -> UnaryWork<v1::ClassifyResponse> {
      if (in_preparation) {
        throw std::runtime_error("secret");
      }
      return Doing([](const Cancellation&, v1::ClassifyResponse*) -> absl::Status {
        throw std::runtime_error("secret");
      });
    };
    const grpc::Status status = Classify();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_THAT(status.error_message(), Not(HasSubstr("secret")));
    EXPECT_EQ(exception_, "secret");
  }
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
  };
  EXPECT_TRUE(Classify().ok());
}

// A search's pieces run on threads of their own, where what they throw becomes a status.
TEST_F(CallRunnerTest, WhatTheMachineLacksIsToldOfStatusesToo) {
  absl::Status status;
  service_.classify = [&] {
    return Doing([&](const Cancellation&, v1::ClassifyResponse*) { return status; });
  };
  status = absl::InternalError("CUDA error: an illegal memory access was encountered");
  EXPECT_EQ(Classify().error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(exception_, std::string(status.message()));
  exception_.clear();
  status = absl::InternalError("DefaultCPUAllocator: can't allocate memory");
  EXPECT_EQ(Classify().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(exception_, std::string(status.message()));
  exception_.clear();
  status = absl::InternalError("the network gave NaN");
  EXPECT_EQ(Classify().error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(exception_, "");
}

TEST_F(CallRunnerTest, WhatCannotBeRecordedIsNotAnswered) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse* response) {
      response->set_model("secret");
      return absl::OkStatus();
    });
  };
  grpc::ClientContext before, after;
  v1::ClassifyResponse response;
  auditor_.recorded = absl::UnavailableError("disk full");
  grpc::Status status = Classify(&response, &before);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "AUDIT_LOG");
  EXPECT_EQ(response.model(), "");
  auditor_.ready = absl::UnavailableError("disk full");
  status = Classify(&response, &after);
  EXPECT_EQ(ReasonOf(status), "AUDIT_LOG");
  auditor_.ready = auditor_.recorded = absl::OkStatus();
  EXPECT_TRUE(Classify().ok());
}

TEST_F(CallRunnerTest, RequestsHaveTheirPartOfTheMemory) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
  };
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(std::string(500, 'x'));
  v1::ClassifyResponse response;
  {
    const auto others = memory_.TryTake(1600);
    grpc::ClientContext context;
    const grpc::Status status = stub_->Classify(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(status), "MEMORY_FULL");
  }
  for (int i = 0; i < 10; ++i) {
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->Classify(&context, request, &response).ok());
  }
  EXPECT_EQ(memory_.used(), 0);
}

TEST_F(CallRunnerTest, WorkKnowsItsCall) {
  bool known = false;
  service_.classify = [&known] {
    return Doing([&known](const Cancellation& cancellation, v1::ClassifyResponse*) {
      known = Cancellation::OfThisThread() == &cancellation;
      return absl::OkStatus();
    });
  };
  EXPECT_TRUE(Classify().ok());
  EXPECT_TRUE(known);
  EXPECT_EQ(Cancellation::OfThisThread(), nullptr);
}

TEST_F(CallRunnerTest, TooLittleMemoryIsNoBug) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) -> absl::Status {
      throw std::runtime_error("CUDA out of memory. Tried to allocate 2 TiB");
    });
  };
  EXPECT_EQ(Classify().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(CallRunnerTest, CancellingStopsTheWork) {
  service_.classify = [this] { return UntilStopped(); };
  grpc::ClientContext context;
  grpc::Status status;
  std::thread client([&] {
    v1::ClassifyResponse response;
    status = Classify(&response, &context);
  });
  started_.get_future().wait();
  context.TryCancel();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(stopped_.get_future().get(), absl::StatusCode::kCancelled);
}

TEST_F(CallRunnerTest, ADeadlineStopsTheWork) {
  service_.classify = [this] { return UntilStopped(); };
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::ClassifyResponse response;
  EXPECT_EQ(Classify(&response, &context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const absl::StatusCode code = stopped_.get_future().get();
  EXPECT_TRUE(code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kCancelled);
}

TEST_F(CallRunnerTest, AFullQueueSaysWhenToTryAgain) {
  grpc::ClientContext running, waiting;
  std::thread first = KeepBusy(&running);
  grpc::Status waited, waited_too;
  std::thread second([&] {
    v1::ClassifyResponse response;
    waited = Classify(&response, &waiting);
  });
  std::thread third([&] { waited_too = Classify(); });
  while (pool_.waiting() < 2) {
    std::this_thread::yield();
  }
  grpc::ClientContext refused;
  v1::ClassifyResponse response;
  const grpc::Status status = Classify(&response, &refused);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "QUEUE_FULL");
  EXPECT_TRUE(FindDetail<google::rpc::RetryInfo>(status).has_value());
  EXPECT_EQ(refused.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1u);
  running.TryCancel();
  first.join();
  second.join();
  third.join();
  EXPECT_TRUE(waited.ok());
  EXPECT_TRUE(waited_too.ok());
}

TEST_F(CallRunnerTest, ACallThatWouldWaitPastItsDeadlineIsRefusedAtOnce) {
  service_.classify = [this] {
    return Doing([this](const Cancellation&, v1::ClassifyResponse*) {
      pool_clock_.Advance(absl::Hours(1));
      return absl::OkStatus();
    });
  };
  ASSERT_TRUE(Classify().ok());  // the estimate of a call's duration is now an hour
  grpc::ClientContext running;
  std::thread first = KeepBusy(&running);
  grpc::Status waited;
  std::thread second([&] { waited = Classify(); });  // the queue is empty
  while (pool_.waiting() < 1) {
    std::this_thread::yield();
  }
  const grpc::Status refused = Classify();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ReasonOf(refused), "DEADLINE_TOO_SHORT");
  EXPECT_EQ(pool_.waiting(), 1u);
  running.TryCancel();
  first.join();
  second.join();
  EXPECT_TRUE(waited.ok());
}

TEST_F(CallRunnerTest, ADrainingServerRefusesNewCallsAndCanStopTheOthers) {
  service_.classify = [this] { return UntilStopped(); };
  grpc::Status status;
  std::thread client([&] { status = Classify(); });
  started_.get_future().wait();
  runner_.Refuse();
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  const grpc::Status refused = Classify(&response, &context);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(refused), "DRAINING");
  // Otherwise gRPC's clients would not retry it on another server.
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
  runner_.AbandonAll();
  client.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(CallRunnerTest, EchoesTheRequestIdOrMakesOne) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
  };
  for (const std::string& sent :
       {std::string("my-id-1"), std::string("with space"), std::string(500, 'x'), std::string()}) {
    grpc::ClientContext context;
    if (!sent.empty()) {
      context.AddMetadata("x-request-id", sent);
    }
    v1::ClassifyResponse response;
    ASSERT_TRUE(Classify(&response, &context).ok());
    const auto& metadata = context.GetServerTrailingMetadata();
    const auto id = metadata.find("x-request-id");
    ASSERT_NE(id, metadata.end());
    const std::string echoed(id->second.data(), id->second.size());
    if (sent == "my-id-1") {
      EXPECT_EQ(echoed, sent);
    } else {
      EXPECT_EQ(echoed.size(), 16u);
    }
  }
}

TEST_F(CallRunnerTest, ObserversLearnWhatACallWas) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse* response) {
      response->set_model("m/1");
      return absl::OkStatus();
    });
  };
  constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const std::string& trace : {std::string(kTrace), std::string("00-not-a-trace")}) {
    grpc::ClientContext context;
    context.AddMetadata("traceparent", trace);
    context.AddMetadata("x-request-id", "mine");
    v1::ClassifyRequest request;
    request.set_model("m");
    v1::ClassifyResponse response;
    ASSERT_TRUE(stub_->Classify(&context, request, &response).ok());
    EXPECT_EQ(observer_.started, "Classify");
    EXPECT_STREQ(observer_.last.method, "Classify");
    EXPECT_EQ(observer_.last.model, "m");
    EXPECT_EQ(observer_.last.request_id, "mine");
    EXPECT_EQ(observer_.last.traceparent, trace == kTrace ? trace : "");
    EXPECT_EQ(observer_.last.request_bytes, 3);
    EXPECT_EQ(observer_.last.response_bytes, 5);
    EXPECT_TRUE(observer_.last.status.ok());
  }
  EXPECT_EQ(observer_.finished, 2);
}

// On gRPC's thread, before the call has a record that could be reported.
TEST_F(CallRunnerTest, ACallThatCannotEvenBeginIsToldSo) {
  service_.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
  };
  service_.traverse = []() -> StreamWork<v1::TraverseResponse> {
    return Work<Sink>{.run = [](const Cancellation&, Sink*) { return absl::OkStatus(); }};
  };
  clock_.failing = true;
  EXPECT_EQ(Classify().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  grpc::ClientContext context;
  const auto reader = stub_->Traverse(&context, {});
  v1::TraverseResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(observer_.finished, 0);
  clock_.failing = false;
  EXPECT_TRUE(Classify().ok());
}

// On a worker, after the work, and while its exception is told.
TEST_F(CallRunnerTest, WantOfMemoryAtItsEndCostsACallAlone) {
  for (const bool thrown : {false, true}) {
    service_.classify = [this, thrown] {
      return Doing([this, thrown](const Cancellation&, v1::ClassifyResponse*) -> absl::Status {
        clock_.failing = true;
        if (thrown) {
          throw std::runtime_error("out of order");
        }
        return absl::CancelledError("as told");
      });
    };
    EXPECT_EQ(Classify().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    clock_.failing = false;
    service_.classify = [] {
      return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
    };
    EXPECT_TRUE(Classify().ok());
  }
}

// Told to try again, its client would do so for ever.
TEST_F(CallRunnerTest, AMessageThatNeverFitsIntoTheMemoryIsRefusedForGood) {
  MemoryBudget small(400);
  CallRunner runner({.max_message_bytes = 1000, .requests = &small},
                    {.interactive = &pool_, .explanation = &pool_, .bulk = &bulk_pool_}, &clock_);
  ScriptedService service(&runner);
  service.classify = [] {
    return Doing([](const Cancellation&, v1::ClassifyResponse*) { return absl::OkStatus(); });
  };
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = v1::ExplanationService::NewStub(server->InProcessChannel({}));
  for (const size_t bytes : {100, 500}) {
    v1::ClassifyRequest request;
    request.mutable_image()->set_data(std::string(bytes, 'x'));
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    const grpc::Status status = stub->Classify(&context, request, &response);
    EXPECT_EQ(status.error_code(),
              bytes < 400 ? grpc::StatusCode::OK : grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(ReasonOf(status), bytes < 400 ? "" : "MESSAGE_TOO_LARGE");
    EXPECT_FALSE(FindDetail<google::rpc::RetryInfo>(status).has_value());
    EXPECT_TRUE(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms") == 0);
  }
  server->Shutdown();
}

TEST_F(CallRunnerTest, ARequestOverTheLimitIsRefusedWithDetails) {
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(std::string(2000, 'x'));
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  const grpc::Status status = stub_->Classify(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "MESSAGE_TOO_LARGE");
  EXPECT_EQ(observer_.last.reason, "MESSAGE_TOO_LARGE");
}

TEST_F(CallRunnerTest, AStreamKeepsItsOrderAndCoalescesTheLatest) {
  service_.traverse = []() -> StreamWork<v1::TraverseResponse> {
    return Work<Sink>{.run = [](const Cancellation&, Sink* sink) {
      v1::TraverseResponse response;
      for (int i = 0; i < 1000; ++i) {
        response.set_step(-1 - i);
        sink->WriteLatest(response);
      }
      for (int i = 0; i < 200; ++i) {
        response.set_step(i);
        sink->Write(response);
      }
      return absl::OkStatus();
    }};
  };
  grpc::ClientContext context;
  const auto reader = stub_->Traverse(&context, {});
  std::vector<int> latest, ordered;
  v1::TraverseResponse response;
  while (reader->Read(&response)) {
    (response.step() < 0 ? latest : ordered).push_back(response.step());
  }
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_EQ(ordered.size(), 200u);
  EXPECT_TRUE(std::is_sorted(ordered.begin(), ordered.end()));
  ASSERT_FALSE(latest.empty());
  EXPECT_LT(latest.size(), 1000u);
  EXPECT_EQ(latest.back(), -1000);  // the newest is never lost
}

TEST_F(CallRunnerTest, AStreamEndsWithItsError) {
  service_.traverse = []() -> StreamWork<v1::TraverseResponse> {
    return Work<Sink>{.run = [](const Cancellation&, Sink*) {
      return PreconditionError("NO_ATTRIBUTE_INDEX", "m/1", "has none");
    }};
  };
  grpc::ClientContext context;
  const auto reader = stub_->Traverse(&context, {});
  v1::TraverseResponse response;
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "NO_ATTRIBUTE_INDEX");
}

TEST_F(CallRunnerTest, AStreamThatNobodyReadsTakesNoMoreMemoryThanThereIs) {
  service_.traverse = [this]() -> StreamWork<v1::TraverseResponse> {
    return Work<Sink>{.run = [this](const Cancellation& cancellation, Sink* sink) {
      v1::TraverseResponse response;
      response.mutable_image()->set_data(std::string(100, 'x'));
      int written = 0;
      for (; !cancellation.stopped() && written < 10000; ++written) {
        sink->Write(response);
      }
      EXPECT_GT(frames_.used(), 0);
      EXPECT_LE(frames_.used(), frames_.bytes());
      EXPECT_LT(written, 10000);
      stopped_.set_value(cancellation.status().code());
      return absl::OkStatus();
    }};
  };
  grpc::ClientContext context;
  const auto reader = stub_->Traverse(&context, {});
  EXPECT_EQ(stopped_.get_future().get(), absl::StatusCode::kCancelled);
  v1::TraverseResponse response;
  while (reader->Read(&response)) {
  }
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "MEMORY_FULL");
  EXPECT_EQ(observer_.last.reason, "MEMORY_FULL");
  EXPECT_EQ(frames_.used(), 0);
}

TEST_F(CallRunnerTest, AMessageCountsByTheMemoryThatItTakes) {
  v1::CounterfactualRequest many;
  while (many.ByteSizeLong() < 900) {
    many.add_attributes();
  }
  ASSERT_GT(static_cast<int64_t>(many.SpaceUsedLong()), memory_.bytes());
  grpc::ClientContext context;
  v1::CounterfactualResponse response;
  const grpc::Status status = stub_->Counterfactual(&context, many, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "MESSAGE_TOO_LARGE");
}

TEST_F(CallRunnerTest, ACancelledStreamStopsItsWork) {
  service_.traverse = [this]() -> StreamWork<v1::TraverseResponse> {
    return Work<Sink>{.run = [this](const Cancellation& cancellation, Sink* sink) {
      v1::TraverseResponse response;
      sink->Write(response);
      while (!cancellation.stopped()) {
        sink->WriteLatest(response);
        std::this_thread::yield();
      }
      stopped_.set_value(cancellation.status().code());
      return cancellation.status();
    }};
  };
  grpc::ClientContext context;
  const auto reader = stub_->Traverse(&context, {});
  v1::TraverseResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context.TryCancel();
  EXPECT_EQ(stopped_.get_future().get(), absl::StatusCode::kCancelled);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace stylex
