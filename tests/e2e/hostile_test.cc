// Clients that mean harm, or are broken: each is refused at little cost, leaves a line in the log
// and a count in the metrics, and the server goes on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "image/codec.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/raw_http2.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/rpc/error_details.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

constexpr char kClassify[] = "/stylex.v1.ExplanationService/Classify";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";

class HostileTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    WriteTinyCheckpoint(models_->path(), {});
  }
  static void TearDownTestSuite() { delete models_; }

  void Start(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(models_->path(), flags);
    server_->AwaitLoaded();
    v1::ClassifyResponse warm;
    ASSERT_TRUE(Classify(&warm).ok());
  }
  grpc::Status Classify(v1::ClassifyResponse* response,
                        grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    v1::ClassifyRequest request;
    request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
    grpc::ClientContext context;
    context.set_compression_algorithm(compression);
    return server_->stub().Classify(&context, request, response);
  }

  static TemporaryFolder* models_;
  std::unique_ptr<ServerProcess> server_;
};

TemporaryFolder* HostileTest::models_ = nullptr;

// Sanitizers keep what was freed, up to 256 MiB of it, and have more of everything.
#ifdef STYLEX_SANITIZED
constexpr int64_t kKeptMib = 400;
#else
constexpr int64_t kKeptMib = 0;
#endif

// 1 MB on the wire that is 1 GiB unpacked.
TEST_F(HostileTest, CompressedRequestsAreNotUnpacked) {
  constexpr int64_t kMayGrowKib = (64 + kKeptMib) << 10;
  Start({});
  const std::string bomb = GzippedZeros(int64_t{1} << 30);
  ASSERT_LT(bomb.size(), 2u << 20);
  const int64_t before = server_->PeakResidentKib();
  for (const char* path : {kClassify, kHealthCheck}) {
    for (const char* encoding : {"gzip", "deflate"}) {
      for (int i = 0; i < 20; ++i) {
        RawHttp2 client(server_->address());
        EXPECT_EQ(client.Post(path, {{"grpc-encoding", encoding}}, MessageFrame(bomb, true)),
                  RawHttp2::End::kAnswered)
            << path;
        EXPECT_EQ(client.status(), grpc::StatusCode::UNIMPLEMENTED) << path;
      }
    }
  }
  EXPECT_LT(server_->PeakResidentKib() - before, kMayGrowKib);
  v1::ClassifyResponse response;
  EXPECT_TRUE(Classify(&response).ok());
}

// gRPC holds what has come of a message before the server sees its call or token. It gives up
// streams when a quarter of the budget is full, late; several connections together outrun that:
// STYLEX_HOSTILE_CONNECTIONS measures it (docs/operating.md).
TEST_F(HostileTest, MessagesThatAreNeverWholeTakeABoundedPartOfTheMemory) {
  constexpr int kBudgetMib = 512;
  const char* const more = getenv("STYLEX_HOSTILE_CONNECTIONS");
  const int connections = more == nullptr ? 1 : std::atoi(more);
  Start({"--memory-budget-mib", absl::StrCat(kBudgetMib)});
  const int64_t before = server_->PeakResidentKib();
  std::atomic<int64_t> taken = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < connections; ++i) {
    clients.emplace_back([&] {
      RawHttp2 client(server_->address());
      taken += client.PostHalves(kClassify, 64, 16 << 20);
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  const int64_t grown_mib = (server_->PeakResidentKib() - before) >> 10;
  std::printf("%d connections sent %d MiB and took %d MiB\n", connections,
              static_cast<int>(taken >> 20), static_cast<int>(grown_mib));
  EXPECT_GT(taken >> 20, kBudgetMib / 4) << "the server was not put to the test";
  if (connections == 1) {
    EXPECT_LT(grown_mib, kBudgetMib + kKeptMib);  // of 1 GiB
  }
  v1::ClassifyResponse response;
  EXPECT_TRUE(Classify(&response).ok());
}

TEST_F(HostileTest, AnHonestClientThatCompressesIsToldSo) {
  Start({});
  v1::ClassifyResponse response;
  const grpc::Status status = Classify(&response, GRPC_COMPRESS_GZIP);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("gzip"));
}

TEST_F(HostileTest, EveryRefusalLeavesALineAndACount) {
  Start({"--metrics-port", "0"});
  constexpr char kTraverse[] = "/stylex.v1.ExplanationService/Traverse";
  const std::string broken = MessageFrame("\x0a\xff", false);
  const struct {
    const char* what;
    const char* path;
    std::string body;
    RawHttp2::Then then = RawHttp2::Then::kEnd;
  } requests[] = {
      {"broken protobuf", kClassify, broken},
      {"broken protobuf, not ended", kClassify, broken, RawHttp2::Then::kNothing},
      {"invalid UTF-8", kClassify, MessageFrame("\x0a\x02\xff\xfe", false)},
      {"no message", kClassify, ""},
      {"half a message", kClassify, broken.substr(0, broken.size() - 1)},
      {"reset in the midst of a message", kClassify, broken.substr(0, broken.size() - 1),
       RawHttp2::Then::kReset},
      {"broken search", kTraverse, MessageFrame("\xff", false)},
      {"broken search, not ended", kTraverse, MessageFrame("\xff", false),
       RawHttp2::Then::kNothing},
      {"unknown method", "/stylex.v1.ExplanationService/Guess", MessageFrame("", false)},
      {"unknown method, not ended", "/stylex.v1.ExplanationService/Guess", MessageFrame("", false),
       RawHttp2::Then::kNothing},
      {"unknown service", "/other.Service/Guess", MessageFrame("", false)},
  };
  const auto refused = [this] {
    const std::string& address = server_->address("metrics");
    const std::string text = ReadMetrics(std::stoi(address.substr(address.rfind(':') + 1)));
    int count = 0;
    for (const char* code : {"INVALID_ARGUMENT", "UNIMPLEMENTED"}) {
      const std::string start = absl::StrCat("stylex_requests_total{code=\"", code, "\"");
      for (size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
        count += std::stoi(text.substr(text.find("} ", at) + 2));
      }
    }
    return count;
  };
  int expected = 0;
  for (const auto& request : requests) {
    RawHttp2 client(server_->address());
    const bool reset = request.then == RawHttp2::Then::kReset;
    EXPECT_EQ(client.Post(request.path, {}, request.body, request.then),
              reset ? RawHttp2::End::kReset : RawHttp2::End::kAnswered)
        << request.what;
    EXPECT_EQ(client.status() > 0, !reset) << request.what;
    ++expected;
    for (int i = 0; i < 100 && reset && refused() < expected; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_EQ(refused(), expected) << request.what;
  }
  std::istringstream log(server_->Log());
  int lines = 0;
  for (std::string line; std::getline(log, line);) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << "not of our format: " << line;
    lines += line.find("MALFORMED_REQUEST") != std::string::npos ||
             line.find("there is no method") != std::string::npos;
  }
  EXPECT_EQ(lines, expected);
}

// OpenMP is told to print where each of its threads runs.
TEST_F(HostileTest, WhatLibrariesPrintIsPartOfTheLog) {
#ifdef STYLEX_SANITIZED
  GTEST_SKIP() << "the reports of sanitizers are printed as they are";
#endif
  setenv("OMP_DISPLAY_AFFINITY", "true", /*overwrite=*/1);
  Start({"--threads", "2"});
  unsetenv("OMP_DISPLAY_AFFINITY");
  v1::ClassifyResponse response;
  EXPECT_TRUE(Classify(&response).ok());
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  std::istringstream log(server_->Log());
  int printed = 0;
  for (std::string line; std::getline(log, line);) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << "not of our format: " << line;
    printed += line.find("affinity") != std::string::npos;
  }
  EXPECT_GE(printed, 1);
}

TEST_F(HostileTest, WhatIsWrongWithAMessageIsSaid) {
  Start({});
  grpc::GenericStub stub(server_->NewChannel());
  grpc::ClientContext context;
  const grpc::Slice bytes("\x0a\x02\xff\xfe");
  grpc::ByteBuffer request(&bytes, 1), response;
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, kClassify, request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonOf(status), "MALFORMED_REQUEST");
  EXPECT_THAT(status.error_message(), HasSubstr("UTF-8"));
}

// A picture of one colour that can only be decoded whole: some 50 kB for 4096 x 4096 pixels.
std::string LargePng(int side) { return InterlacedPng(side, 120); }

TEST_F(HostileTest, LargeImagesShareTheMemory) {
  constexpr int kBudgetMib = 300;
  constexpr int kClients = 16;
  const char* const more = getenv("STYLEX_HOSTILE_ROUNDS");
  const int rounds = more == nullptr ? 1 : std::atoi(more);
  Start({"--memory-budget-mib", absl::StrCat(kBudgetMib), "--default-deadline", "600"});
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(LargePng(4096));
  ASSERT_LT(request.ByteSizeLong(), 200u << 10);
  const int64_t before = server_->ResidentKib();
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&] {
        grpc::ClientContext context;
        v1::ClassifyResponse response;
        const grpc::Status status = server_->stub().Classify(&context, request, &response);
        EXPECT_TRUE(status.ok()) << status.error_message();
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
  }
  // Half of the budget is for decoding; 16 of these pictures would take 770 MiB.
  EXPECT_LT((server_->PeakResidentKib() - before) >> 10, kBudgetMib / 2 + 100 + kKeptMib);
  // What was freed goes back to the system.
  for (int i = 0; i < 100 && server_->ResidentKib() - before > (100 + kKeptMib) << 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_LT((server_->ResidentKib() - before) >> 10, 100 + kKeptMib);
}

// gRPC counts in int.
TEST_F(HostileTest, LimitsOfHalfAGibibyteAndMoreDoNotOverflow) {
  for (const char* mib : {"512", "1024"}) {
    Start({"--max-message-mib", mib, "--memory-budget-mib", "4096"});
    v1::ClassifyRequest request;
    request.mutable_image()->set_data(std::string(20 << 20, 'x'));
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    const grpc::Status status = server_->stub().Classify(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << "neither too large nor an image: " << status.error_message();
  }
}

TEST_F(HostileTest, WhatNeverFitsIsRefusedAtOnce) {
  Start({"--memory-budget-mib", "64"});
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(LargePng(4096));
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  const grpc::Status status = server_->stub().Classify(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("--memory-budget-mib"));
  EXPECT_TRUE(Classify(&response).ok());
}

// A pipe that is full before the server starts, which nobody reads.
TEST_F(HostileTest, AnUnreadLogStopsNothing) {
  int log[2];
  ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
  ASSERT_EQ(fcntl(log[1], F_SETPIPE_SZ, 4096), 4096);
  server_ = std::make_unique<ServerProcess>(models_->path(), std::vector<std::string>{}, log[1]);
  server_->AwaitLoaded();
  v1::ClassifyResponse response;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(Classify(&response).ok());
  }
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  close(log[0]);
  close(log[1]);
}

TEST_F(HostileTest, AClosedLogStopsNothing) {
  int log[2];
  ASSERT_EQ(pipe2(log, O_CLOEXEC), 0);
  server_ = std::make_unique<ServerProcess>(models_->path(), std::vector<std::string>{}, log[1]);
  close(log[0]);
  close(log[1]);
  server_->AwaitLoaded();
  v1::ClassifyResponse response;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Classify(&response).ok());
  }
  EXPECT_EQ(server_->Health("liveness"), HealthCheckResponse::SERVING);
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
}

TEST_F(HostileTest, OtherAddressesServeToo) {
  Start({"--host", "[::1]", "--metrics-port", "0"});
  EXPECT_EQ(server_->address().substr(0, 6), "[::1]:");
  TemporaryFolder folder;
  Start({"--host", "unix:" + folder.path() + "/socket"});
  EXPECT_EQ(server_->address(), "unix:" + folder.path() + "/socket");
}

}  // namespace
}  // namespace stylex
