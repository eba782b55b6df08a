// Three servers behind one client that is configured as documented.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/e2e/load.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {
namespace {

using ::testing::IsEmpty;

constexpr int kReplicas = 3;
constexpr int kClients = 6;

class ReplicasTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    replicas_ = new std::vector<std::unique_ptr<ServerProcess>>;
    WriteTinyCheckpoint(models_->path(), {});
    for (int i = 0; i < kReplicas; ++i) {
      replicas_->push_back(Start("0"));
    }
    for (const auto& replica : *replicas_) {
      replica->AwaitLoaded();
    }
  }
  static void TearDownTestSuite() {
    delete replicas_;
    delete models_;
  }

  static std::unique_ptr<ServerProcess> Start(const std::string& port) {
    // A drain delay of a second, as behind any load balancer, so that clients stop sending calls.
    return std::make_unique<ServerProcess>(
        models_->path(), std::vector<std::string>{"--port", port, "--drain-delay", "1"});
  }
  // Another in its place.
  static void Replace(std::unique_ptr<ServerProcess>* replica) {
    *replica = Start((*replica)->address().substr((*replica)->address().rfind(':') + 1));
    (*replica)->AwaitLoaded();
  }

  std::shared_ptr<grpc::Channel> Channel() const {
    std::ifstream file(STYLEX_SOURCE_DIR "/deploy/client-service-config.json");
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(std::string(std::istreambuf_iterator<char>(file), {}));
    // Detects a restarted replica quickly.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    const auto address = [](std::string* out, const auto& replica) { *out += replica->address(); };
    return grpc::CreateCustomChannel(absl::StrCat("ipv4:", absl::StrJoin(*replicas_, ",", address)),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  void AwaitTraffic() const {
    for (const auto& replica : *replicas_) {
      ASSERT_NE(replica->AwaitLogLine("\"code\":\"OK\""), "") << "a replica gets no calls";
    }
  }

  static std::vector<std::string> Messages(const Load& load) {
    std::vector<std::string> messages;
    for (const grpc::Status& status : load.failures()) {
      messages.push_back(absl::StrCat(status.error_code(), ": ", status.error_message()));
    }
    return messages;
  }

  static TemporaryFolder* models_;
  static std::vector<std::unique_ptr<ServerProcess>>* replicas_;
};

TemporaryFolder* ReplicasTest::models_ = nullptr;
std::vector<std::unique_ptr<ServerProcess>>* ReplicasTest::replicas_ = nullptr;

TEST_F(ReplicasTest, KillingOneUnderLoadFailsNoCall) {
  Load load(Channel(), kClients);
  AwaitTraffic();
  // Stopped first (SIGSTOP), so that it is killed while every client waits for an answer.
  std::unique_ptr<ServerProcess>& victim = replicas_->at(1);
  victim->Signal(SIGSTOP);
  load.AwaitStandstill();
  victim->Signal(SIGKILL);
  EXPECT_EQ(victim->Wait(), -SIGKILL);
  load.AwaitCalls(100);
  load.Stop();
  EXPECT_THAT(Messages(load), IsEmpty());
  Replace(&victim);
}

TEST_F(ReplicasTest, ARollingRestartFailsNoCall) {
  Load load(Channel(), kClients);
  AwaitTraffic();
  for (auto& replica : *replicas_) {
    replica->Signal(SIGTERM);
    EXPECT_EQ(replica->Wait(), 0) << replica->Log();
    Replace(&replica);
    ASSERT_NE(replica->AwaitLogLine("\"code\":\"OK\""), "") << "it gets no calls again";
  }
  load.Stop();
  EXPECT_GT(load.succeeded(), 0);
  EXPECT_THAT(Messages(load), IsEmpty());
}

}  // namespace
}  // namespace stylex
