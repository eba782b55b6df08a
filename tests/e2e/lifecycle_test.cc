// The server's lifecycle: loading, cancelling, full queues, draining.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/load.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;
using ::testing::Not;

// A search that takes many seconds unless it is cancelled.
v1::FindAttributesRequest LongSearch() {
  v1::FindAttributesRequest request;
  request.mutable_target_class()->set_label("dark");
  request.set_strategy(v1::STRATEGY_SUBSET);
  request.set_max_attributes(100);
  for (int i = 0; i < 256; ++i) {
    request.add_images()->set_data(PngPicture(16, 16, 3, 235));
  }
  return request;
}

v1::ClassifyRequest DarkImage() {
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  return request;
}

class LifecycleTest : public ::testing::Test {
 protected:
  LifecycleTest() { WriteTinyCheckpoint(models_.path(), {.channels = 48}); }

  void Start(const std::vector<std::string>& flags = {}) {
    server_ = std::make_unique<ServerProcess>(models_.path(), flags);
    server_->AwaitLoaded();
  }
  grpc::Status Classify(v1::ExplanationService::Stub* stub) {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    return stub->Classify(&context, DarkImage(), &response);
  }

  // A search that runs until it is cancelled; the constructor returns once it runs on the worker.
  class RunningSearch {
   public:
    RunningSearch(v1::ExplanationService::Stub* stub, std::chrono::milliseconds deadline,
                  const v1::FindAttributesRequest& request = LongSearch(),
                  const std::string& token = "") {
      context_.set_deadline(std::chrono::system_clock::now() + deadline);
      if (!token.empty()) {
        context_.AddMetadata("authorization", "Bearer " + token);
      }
      reader_ = stub->FindAttributes(&context_, request);
      EXPECT_TRUE(reader_->Read(&response_));
      EXPECT_TRUE(response_.has_progress());
    }
    void Cancel() { context_.TryCancel(); }
    // Reads to the end.
    grpc::Status Finish() {
      while (reader_->Read(&response_)) {
      }
      return reader_->Finish();
    }
    const v1::FindAttributesResponse& last() const { return response_; }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<v1::FindAttributesResponse>> reader_;
    v1::FindAttributesResponse response_;
  };

  TemporaryFolder models_;
  std::unique_ptr<ServerProcess> server_;
};

constexpr std::chrono::milliseconds kLong(120'000);

TEST_F(LifecycleTest, HealthNamesTheModelsAndReflectsTheState) {
  Start();
  for (const char* name :
       {"", "startup", "readiness", "liveness", "model:tiny", "stylex.v1.ExplanationService"}) {
    EXPECT_EQ(server_->Health(name), HealthCheckResponse::SERVING) << name;
  }
  EXPECT_EQ(server_->Health("model:lions"), HealthCheckResponse::SERVICE_UNKNOWN);
}

TEST_F(LifecycleTest, AnEmptyFolderServesNothingAndSaysSo) {
  const TemporaryFolder empty;
  ServerProcess server(empty.path());
  server.AwaitLoaded();
  EXPECT_EQ(server.Health("readiness"), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(server.Health("liveness"), HealthCheckResponse::SERVING);
  // The log is written by a thread of its own.
  EXPECT_THAT(server.AwaitLogLine("there is no model"), HasSubstr("there is no model"));
  EXPECT_EQ(Classify(&server.stub()).error_code(), grpc::StatusCode::NOT_FOUND);
}

// Searches have a queue of their own, and give way between chunks.
TEST_F(LifecycleTest, SearchesOfOneClientDoNotHoldUpAnothersExplanations) {
  const TemporaryFolder files;
  std::ofstream(files / "tokens") << "many\nfew\n";
  Start({"--token-file", files / "tokens"});
  std::vector<std::unique_ptr<RunningSearch>> searches;
  for (int i = 0; i < 4; ++i) {
    searches.push_back(
        std::make_unique<RunningSearch>(&server_->stub(), kLong, LongSearch(), "many"));
  }
  v1::CounterfactualRequest request;
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  request.set_target_probability(0);
  for (int i = 0; i < 5; ++i) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer few");
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(8));
    v1::CounterfactualResponse response;
    const grpc::Status status = server_->stub().Counterfactual(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  for (const auto& search : searches) {
    search->Cancel();
    EXPECT_EQ(search->Finish().error_code(), grpc::StatusCode::CANCELLED)
        << "it ended too soon to be in the way";
  }
}

TEST_F(LifecycleTest, CancellingStopsTheWork) {
  Start();
  RunningSearch search(&server_->stub(), kLong);
  search.Cancel();
  EXPECT_EQ(search.Finish().error_code(), grpc::StatusCode::CANCELLED);
  // The only worker is free again, and the search did not run to completion.
  EXPECT_TRUE(Classify(&server_->stub()).ok());
  EXPECT_THAT(server_->AwaitLogLine("\"method\":\"FindAttributes\""),
              HasSubstr("\"code\":\"CANCELLED\""));
}

TEST_F(LifecycleTest, ADeadlineStopsTheWork) {
  Start();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(700));
  const auto reader = server_->stub().FindAttributes(&context, LongSearch());
  v1::FindAttributesResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Classify(&server_->stub()).ok());
  EXPECT_THAT(server_->AwaitLogLine("\"method\":\"FindAttributes\""),
              ::testing::AnyOf(HasSubstr("\"code\":\"DEADLINE_EXCEEDED\""),
                               HasSubstr("\"code\":\"CANCELLED\"")));
}

TEST_F(LifecycleTest, TheServersOwnDeadlineStopsTheWork) {
  Start({"--default-stream-deadline", "0.7"});
  grpc::ClientContext context;
  const auto reader = server_->stub().FindAttributes(&context, LongSearch());
  v1::FindAttributesResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_FALSE(response.has_result());
}

TEST_F(LifecycleTest, AFullQueueIsUnavailableAndHealthAnswersMeanwhile) {
  Start({"--search-workers", "1", "--max-search-queue", "1"});
  RunningSearch search(&server_->stub(), kLong);
  // Only one of three calls fits into the queue.
  grpc::Status statuses[3];
  std::atomic<int> refused = 0;
  std::vector<std::thread> clients;
  for (grpc::Status& status : statuses) {
    clients.emplace_back([&] {
      v1::FindAttributesRequest request = LongSearch();
      request.mutable_images()->DeleteSubrange(1, request.images_size() - 1);
      request.set_max_attributes(1);
      grpc::ClientContext context;
      const auto reader = server_->stub().FindAttributes(&context, request);
      v1::FindAttributesResponse response;
      while (reader->Read(&response)) {
      }
      status = reader->Finish();
      refused += status.ok() ? 0 : 1;
    });
  }
  while (refused < 2) {
    EXPECT_EQ(server_->Health("liveness"), HealthCheckResponse::SERVING);
  }
  search.Cancel();
  for (std::thread& client : clients) {
    client.join();
  }
  EXPECT_EQ(refused, 2);
  for (const grpc::Status& status : statuses) {
    if (!status.ok()) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
      EXPECT_EQ(ReasonOf(status), "QUEUE_FULL");
      EXPECT_TRUE(FindDetail<google::rpc::RetryInfo>(status).has_value());
    }
  }
}

// Health checks are unaffected while every worker is busy, the queue is full and calls are refused.
TEST_F(LifecycleTest, HealthAnswersWithin20MillisecondsUnderFullLoad) {
  Start({"--workers", "4", "--max-queue", "4", "--search-workers", "1"});
  RunningSearch search(&server_->stub(), kLong);
  Load load(server_->NewChannel(), 16);
  while (load.failures().empty()) {
    std::this_thread::yield();
  }
  const auto health = grpc::health::v1::Health::NewStub(server_->NewChannel());
  std::vector<std::chrono::steady_clock::duration> took;
  for (int i = 0; i < 101; ++i) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service("liveness");
    HealthCheckResponse response;
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(health->Check(&context, request, &response).ok());
    took.push_back(std::chrono::steady_clock::now() - start);
    EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  search.Cancel();
  load.Stop();
  for (const grpc::Status& failure : load.failures()) {
    EXPECT_EQ(ReasonOf(failure), "QUEUE_FULL") << failure.error_message();
  }
  // The median, because other programs may use the machine for a while.
  std::nth_element(took.begin(), took.begin() + 50, took.end());
  EXPECT_LT(took[50], std::chrono::milliseconds(20));
}

// A call whose deadline would pass while it waits is refused instead of queued.
TEST_F(LifecycleTest, ADeadlineThatTheQueueOutlastsIsRefusedAtOnce) {
  Start({"--workers", "1", "--max-queue", "64"});
  Load load(server_->NewChannel(), 48);
  load.AwaitCalls(100);
  std::string reason;
  while (reason != "DEADLINE_TOO_SHORT") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(20));
    v1::ClassifyResponse response;
    reason = ReasonOf(server_->stub().Classify(&context, DarkImage(), &response));
  }
  load.Stop();
  EXPECT_TRUE(load.failures().empty());
}

// Single images are answered while every search worker is busy.
TEST_F(LifecycleTest, SingleImagesGoBeforeSearches) {
  Start({"--search-workers", "2"});
  RunningSearch first(&server_->stub(), kLong);
  RunningSearch second(&server_->stub(), kLong);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Classify(&server_->stub()).ok());
  }
  first.Cancel();
  second.Cancel();
  EXPECT_EQ(first.Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(second.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// One that does not, such as a thread that OpenBLAS starts while it is loaded, would let a signal
// end the process that comes before the main thread waits for it.
TEST_F(LifecycleTest, EveryThreadBlocksTheStopSignals) {
  Start();
  const pid_t pid = server_->pid();
  int others = 0;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    if (thread.path().filename() == std::to_string(pid)) {
      continue;  // which waits for them
    }
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("SigBlk:")) {
        const uint64_t blocked = std::stoull(line.substr(7), nullptr, 16);
        EXPECT_TRUE(blocked >> (SIGTERM - 1) & 1) << thread.path();
        EXPECT_TRUE(blocked >> (SIGINT - 1) & 1) << thread.path();
        ++others;
      }
    }
  }
  EXPECT_GT(others, 2);
}

// One client's searches, as many as there are workers and more, do not keep another's explanations
// of one image waiting.
TEST_F(LifecycleTest, ExplanationsDoNotWaitForSearches) {
  Start();
  std::vector<std::unique_ptr<RunningSearch>> searches;
  for (int i = 0; i < 4; ++i) {
    searches.push_back(std::make_unique<RunningSearch>(&server_->stub(), kLong));
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  v1::TraverseRequest request;
  *request.mutable_image() = DarkImage().image();
  request.mutable_attribute()->set_index(0);
  request.set_steps(2);
  const auto frames = server_->stub().Traverse(&context, request);
  v1::TraverseResponse frame;
  while (frames->Read(&frame)) {
  }
  const grpc::Status status = frames->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const auto& search : searches) {
    search->Cancel();
  }
  for (const auto& search : searches) {
    EXPECT_EQ(search->Finish().error_code(), grpc::StatusCode::CANCELLED) << "it was no long one";
  }
}

TEST_F(LifecycleTest, HangingUpDrainsToo) {
  Start();
  server_->Signal(SIGHUP);
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_THAT(server_->Log(), HasSubstr("all calls finished"));
}

TEST_F(LifecycleTest, SigtermFinishesWhatRunsAndRefusesTheRest) {
  Start({"--drain-timeout", "200"});
  v1::FindAttributesRequest request = LongSearch();
  request.mutable_images()->DeleteSubrange(2, request.images_size() - 2);
  request.set_max_attributes(2);
  RunningSearch search(&server_->stub(), kLong, request);
  server_->Signal(SIGTERM);
  EXPECT_TRUE(search.Finish().ok());
  EXPECT_TRUE(search.last().has_result());
  EXPECT_EQ(server_->Wait(), 0);
  EXPECT_THAT(server_->Log(), HasSubstr("all calls finished"));
}

TEST_F(LifecycleTest, WhileDrainingNewCallsAreUnavailable) {
  Start({"--drain-timeout", "60"});
  RunningSearch search(&server_->stub(), kLong);
  server_->Signal(SIGTERM);
  while (server_->Health("readiness") == HealthCheckResponse::SERVING) {
  }
  EXPECT_EQ(server_->Health("liveness"), HealthCheckResponse::SERVING);
  grpc::Status status;
  do {
    grpc::ClientContext context;
    v1::ListModelsResponse response;
    status = server_->stub().ListModels(&context, {}, &response);
  } while (status.ok());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "DRAINING");
  search.Cancel();
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(LifecycleTest, AStalledComputationMakesTheServerNeitherReadyNorLive) {
  WriteTinyCheckpoint(models_.path(), {.version = 2, .stalls = true});
  // A limit longer than the warm-up's batches take on a busy machine: the server is live before the
  // stall.
  Start({"--stall-limit", "3", "--drain-timeout", "0.1"});
  EXPECT_EQ(server_->Health("liveness"), HealthCheckResponse::SERVING);
  while (server_->Health("liveness") == HealthCheckResponse::SERVING) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
    v1::ClassifyResponse response;
    EXPECT_FALSE(server_->stub().Classify(&context, DarkImage(), &response).ok());
  }
  EXPECT_EQ(server_->Health("readiness"), HealthCheckResponse::NOT_SERVING);
  EXPECT_THAT(server_->AwaitLogLine("no sign of life"), HasSubstr("no sign of life"));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 1) << "it ends, although the computation does not";
}

TEST_F(LifecycleTest, ANewVersionTakesOverWithoutARestartAndABadOneDoesNot) {
  Start({"--reload-interval", "0.1"});
  const auto served = [this] {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    const grpc::Status status = server_->stub().Classify(&context, DarkImage(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.model();
  };
  EXPECT_EQ(served(), "tiny/1");
  const std::string bad = models_.path() + "/tiny/3";
  std::filesystem::create_directory(bad);  // holds nothing
  WriteTinyCheckpoint(models_.path(), {.version = 2, .seed = 2});
  while (served() != "tiny/2") {
  }
  EXPECT_NE(server_->AwaitLogLine("model tiny/3 failed"), "");
  EXPECT_EQ(served(), "tiny/2");
  EXPECT_EQ(server_->Health("model:tiny"), HealthCheckResponse::SERVING);
  std::filesystem::rename(models_.path() + "/tiny/2", models_.path() + "/tiny/.gone");
  while (served() != "tiny/1") {
  }
}

TEST_F(LifecycleTest, TheDrainGivesUpAfterItsTimeout) {
  Start({"--drain-timeout", "0.2"});
  RunningSearch search(&server_->stub(), kLong);
  server_->Signal(SIGTERM);
  EXPECT_EQ(search.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(LifecycleTest, ASecondSignalEndsAtOnce) {
  Start({"--drain-timeout", "600"});
  RunningSearch search(&server_->stub(), kLong);
  server_->Signal(SIGINT);
  while (server_->Health("readiness") == HealthCheckResponse::SERVING) {
  }
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 128 + SIGTERM);
}

TEST_F(LifecycleTest, ATakenPortIsAnError) {
  Start();
  const std::string port = server_->address().substr(server_->address().rfind(':') + 1);
  const std::string command = std::string(STYLEX_BIN_DIR) + "/stylex-server --models " +
                              models_.path() + " --host 127.0.0.1 --port " + port +
                              " >/dev/null 2>&1";
  const int status = system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

v1::ModelSummary Find(v1::ExplanationService::Stub* stub, int64_t version) {
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  EXPECT_TRUE(stub->ListModels(&context, {}, &response).ok());
  for (const v1::ModelSummary& model : response.models()) {
    if (model.version() == version) {
      return model;
    }
  }
  return {};
}

// Waits until the version has this state, with an error or without.
void AwaitState(v1::ExplanationService::Stub* stub, int64_t version, v1::ModelState state,
                bool error) {
  v1::ModelSummary model;
  for (int i = 0; i < 600; ++i) {
    model = Find(stub, version);
    if (model.state() == state && model.error().empty() != error) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ADD_FAILURE() << model.DebugString();
}

// As `cp -r` does it, file by file; and then files are overwritten.
TEST_F(LifecycleTest, FilesThatChangeInPlaceAreNoticed) {
  namespace fs = std::filesystem;
  Start({"--reload-interval", "0.1"});
  const TemporaryFolder elsewhere;
  const fs::path from = WriteTinyCheckpoint(elsewhere.path(), {.version = 2, .seed = 2});
  const fs::path to = fs::path(models_.path()) / "tiny" / "2";
  fs::create_directory(to);
  fs::copy_file(from / "model.json", to / "model.json");
  AwaitState(&server_->stub(), 2, v1::MODEL_STATE_FAILED, /*error=*/true);
  for (const fs::directory_entry& file : fs::directory_iterator(from)) {
    fs::copy_file(file.path(), to / file.path().filename(), fs::copy_options::skip_existing);
  }
  AwaitState(&server_->stub(), 2, v1::MODEL_STATE_READY, /*error=*/false);
  std::fstream weights(to / "weights.safetensors", std::ios::in | std::ios::out);
  weights.seekp(-1, std::ios::end);
  weights.put('x');
  weights.close();
  AwaitState(&server_->stub(), 2, v1::MODEL_STATE_READY, /*error=*/true);
  EXPECT_TRUE(Classify(&server_->stub()).ok());
  fs::copy_file(from / "weights.safetensors", to / "weights.safetensors",
                fs::copy_options::overwrite_existing);
  AwaitState(&server_->stub(), 2, v1::MODEL_STATE_READY, /*error=*/false);
}

TEST_F(LifecycleTest, FoldersThatAreNoVersionsAreWarnedOf) {
  for (const char* name : {"01", "v2", ".hidden"}) {
    std::filesystem::create_directory(models_.path() + "/tiny/" + name);
  }
  std::filesystem::create_directory_symlink("../gone", models_.path() + "/tiny/3");
  Start();
  EXPECT_THAT(server_->AwaitLogLine("tiny/3"), HasSubstr("link to nothing"));
  EXPECT_THAT(server_->AwaitLogLine("tiny/01"), HasSubstr("no version"));
  EXPECT_THAT(server_->AwaitLogLine("tiny/v2"), HasSubstr("no version"));
  EXPECT_THAT(server_->Log(), Not(HasSubstr("hidden")));
}

TEST_F(LifecycleTest, AClassifierThatComparesTheImagesOfABatchIsRefused) {
  WriteTinyCheckpoint(models_.path(), {.name = "relative", .version = 7, .compares = true});
  Start();
  const v1::ModelSummary model = Find(&server_->stub(), 7);
  EXPECT_EQ(model.state(), v1::MODEL_STATE_FAILED);
  EXPECT_THAT(model.error(), HasSubstr("depend on what else is in a batch"));
}

}  // namespace
}  // namespace stylex
