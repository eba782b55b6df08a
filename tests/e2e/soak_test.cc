// Soak test: all methods, valid and invalid images, cancellations, too short deadlines, and
// versions that are added and removed, all at once. No call is lost or answered twice, and memory
// does not grow.
//
// STYLEX_SOAK_REQUESTS is the number of requests (default 400; 10000 takes some minutes).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

constexpr int kClients = 8;
constexpr char kIdStart[] = "soak-";

int Requests() {
  const char* requests = getenv("STYLEX_SOAK_REQUESTS");
  return requests == nullptr ? 400 : std::stoi(requests);
}

struct Outcome {
  std::string id;
  grpc::StatusCode code;
};

// One thread's calls, drawn from its own seed.
class Client {
 public:
  Client(const ServerProcess& server, int number)
      : stub_(v1::ExplanationService::NewStub(server.NewChannel())),
        number_(number),
        random_(static_cast<unsigned>(number)) {}

  void CallOnce() {
    grpc::ClientContext context;
    const std::string id = absl::StrCat(kIdStart, number_, "-", outcomes_.size());
    context.AddMetadata("x-request-id", id);
    const Fate fate = static_cast<Fate>(Draw({70, 10, 10, 10}));
    const v1::Image image = fate == Fate::kBadImage ? BadImage() : GoodImage();
    std::thread canceller;
    if (fate == Fate::kCancelled) {
      canceller = std::thread([&context, ms = Below(15)] {
        std::this_thread::sleep_for(std::chrono::milliseconds(ms));
        context.TryCancel();
      });
    } else if (fate == Fate::kHurried) {
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::milliseconds(1 + Below(15)));
    }
    const grpc::Status status = Send(&context, image);
    if (canceller.joinable()) {
      canceller.join();
    }
    EXPECT_TRUE(Expected(fate, status.error_code()))
        << id << ": " << status.error_code() << " " << status.error_message();
    outcomes_.push_back({id, status.error_code()});
  }

  const std::vector<Outcome>& outcomes() const { return outcomes_; }

 private:
  enum class Fate { kPlain, kCancelled, kHurried, kBadImage };

  static bool Expected(Fate fate, grpc::StatusCode code) {
    switch (fate) {
      case Fate::kCancelled:
        return code == grpc::StatusCode::OK || code == grpc::StatusCode::CANCELLED;
      case Fate::kHurried:
        return code == grpc::StatusCode::OK || code == grpc::StatusCode::DEADLINE_EXCEEDED;
      case Fate::kBadImage:
        return code == grpc::StatusCode::INVALID_ARGUMENT ||
               code == grpc::StatusCode::RESOURCE_EXHAUSTED;
      default:
        return code == grpc::StatusCode::OK;
    }
  }

  int Below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random_); }
  int Draw(std::initializer_list<double> weights) {
    return std::discrete_distribution<int>(weights)(random_);
  }

  v1::Image GoodImage() {
    v1::Image image;
    const int side = 16 + Below(64);
    image.set_data(Below(2) == 0 ? PngPicture(side, side, 3, 40 + Below(180))
                                 : JpegPicture(side, 2 * side, 1, 40 + Below(180)));
    return image;
  }

  v1::Image BadImage() {
    v1::Image image = GoodImage();
    std::string& data = *image.mutable_data();
    switch (Below(4)) {
      case 0:
        data.clear();
        break;
      case 1:
        data.resize(data.size() / 3);
        break;
      case 2:
        data = PngBomb();
        break;
      default:
        data = "no image";
    }
    return image;
  }

  grpc::Status Send(grpc::ClientContext* context, const v1::Image& image) {
    switch (Draw({6, 6, 6, 3, 2, 2})) {
      case 0:
        return Unary<v1::ClassifyRequest>(context, image, &Stub::Classify);
      case 1:
        return Unary<v1::EncodeRequest>(context, image, &Stub::Encode);
      case 2:
        return Unary<v1::ReconstructRequest>(context, image, &Stub::Reconstruct);
      case 3:
        return Unary<v1::CounterfactualRequest>(context, image, &Stub::Counterfactual);
      case 4:
        return Traverse(context, image);
      default:
        return Search(context, image);
    }
  }

  using Stub = v1::ExplanationService::Stub;
  template <class Request, class Response>
  grpc::Status Unary(grpc::ClientContext* context, const v1::Image& image,
                     grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                  Response*)) {
    Request request;
    *request.mutable_image() = image;
    Response response;
    return (stub_.get()->*method)(context, request, &response);
  }

  grpc::Status Traverse(grpc::ClientContext* context, const v1::Image& image) {
    v1::TraverseRequest request;
    *request.mutable_image() = image;
    request.mutable_attribute()->set_index(Below(30));
    request.set_steps(3);
    const auto reader = stub_->Traverse(context, request);
    v1::TraverseResponse response;
    int frames = 0;
    while (reader->Read(&response)) {
      ++frames;
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(!status.ok() || frames == 3) << frames << " frames";
    return status;
  }

  grpc::Status Search(grpc::ClientContext* context, const v1::Image& image) {
    v1::FindAttributesRequest request;
    request.mutable_target_class()->set_class_id(Below(3));
    request.set_max_attributes(3);
    *request.add_images() = image;
    const auto reader = stub_->FindAttributes(context, request);
    v1::FindAttributesResponse response;
    int results = 0;
    while (reader->Read(&response)) {
      results += response.has_result() ? 1 : 0;
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(!status.ok() || results == 1) << results << " results";
    return status;
  }

  const std::unique_ptr<Stub> stub_;
  const int number_;
  std::mt19937 random_;
  std::vector<Outcome> outcomes_;
};

class SoakTest : public ::testing::Test {
 protected:
  SoakTest() {
    WriteTinyCheckpoint(models_.path(), {});
    server_ = std::make_unique<ServerProcess>(
        models_.path(),
        std::vector<std::string>{"--reload-interval", "0.1", "--metrics-port", "0"});
    server_->AwaitLoaded();
    for (int i = 0; i < kClients; ++i) {
      clients_.push_back(std::make_unique<Client>(*server_, i));
    }
  }

  void Run(int requests) {
    std::atomic<int> left = requests;
    std::vector<std::thread> threads;
    for (const auto& client : clients_) {
      threads.emplace_back([&] {
        while (left-- > 0) {
          client->CallOnce();
        }
      });
    }
    // Several changes of the version, spread over the run; one version in three is refused.
    for (int change = 1; change <= 3; ++change) {
      while (left > requests * (4 - change) / 4) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      ChangeVersion();
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }

  void ChangeVersion() {
    namespace fs = std::filesystem;
    const std::string folder = models_.path() + "/tiny/";
    const int64_t old = version_++;
    if (version_ % 3 == 0) {
      fs::create_directory(absl::StrCat(folder, version_));  // holds nothing
      EXPECT_NE(server_->AwaitLogLine(absl::StrCat("model tiny/", version_, " failed")), "");
      fs::remove(absl::StrCat(folder, version_));
      version_++;
    }
    WriteTinyCheckpoint(models_.path(),
                        {.version = version_, .seed = static_cast<uint64_t>(version_)});
    while (Served() != absl::StrCat("tiny/", version_)) {
    }
    fs::rename(absl::StrCat(folder, old), absl::StrCat(folder, ".gone"));
    fs::remove_all(folder + ".gone");
  }

  std::string Served() {
    grpc::ClientContext context;
    v1::ClassifyRequest request;
    request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
    v1::ClassifyResponse response;
    const grpc::Status status = server_->stub().Classify(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.model();
  }

  // The codes that the server logged for each of our requests.
  std::map<std::string, std::vector<std::string>> LoggedCodes() const {
    std::map<std::string, std::vector<std::string>> codes;
    std::istringstream log(server_->Log());
    for (std::string line; std::getline(log, line);) {
      const auto entry = nlohmann::json::parse(line);
      const std::string id = entry.value("request_id", "");
      if (absl::StartsWith(id, kIdStart)) {
        codes[id].push_back(entry["code"]);
      }
    }
    return codes;
  }

  void ExpectEachAnsweredOnce() const {
    const auto logged = LoggedCodes();
    size_t known = 0;
    for (const auto& client : clients_) {
      for (const Outcome& outcome : client->outcomes()) {
        const auto found = logged.find(outcome.id);
        const size_t lines = found == logged.end() ? 0 : found->second.size();
        known += lines > 0 ? 1 : 0;
        const bool told_by_the_client = outcome.code == grpc::StatusCode::CANCELLED ||
                                        outcome.code == grpc::StatusCode::DEADLINE_EXCEEDED;
        if (told_by_the_client) {
          EXPECT_LE(lines, 1u) << outcome.id;  // the call may not have reached the server
          continue;
        }
        ASSERT_EQ(lines, 1u) << outcome.id;
        EXPECT_EQ(found->second.front(),
                  absl::StatusCodeToString(static_cast<absl::StatusCode>(outcome.code)))
            << outcome.id;
      }
    }
    EXPECT_EQ(known, logged.size()) << "the server answered what nobody asked";
  }

  // Expects that the metrics count no call as running or waiting.
  void ExpectNothingUnderWay() const {
    const std::string& address = server_->address("metrics");
    const std::string metrics = ReadMetrics(std::stoi(address.substr(address.rfind(':') + 1)));
    int gauges = 0;
    for (const absl::string_view line : absl::StrSplit(metrics, '\n')) {
      if (absl::StartsWith(line, "stylex_inflight_requests{") ||
          absl::StartsWith(line, "stylex_queue_depth{")) {
        ++gauges;
        EXPECT_TRUE(absl::EndsWith(line, " 0")) << line;
      }
    }
    EXPECT_GE(gauges, 8) << metrics;
  }

  TemporaryFolder models_;
  int64_t version_ = 1;
  std::unique_ptr<ServerProcess> server_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(SoakTest, NothingIsLostOrAnsweredTwiceAndMemoryStays) {
  const int requests = Requests();
  Run(requests / 4);
  const int64_t warm = server_->ResidentKib();
  Run(requests - requests / 4);
  const int64_t end = server_->ResidentKib();
  std::printf("resident: %ld KiB after %d requests, %ld KiB after %d\n", warm, requests / 4, end,
              requests);
  RecordProperty("resident_kib_warm", std::to_string(warm));
  RecordProperty("resident_kib_end", std::to_string(end));
  // In a short run the server is not fully warm at the first measurement.
  EXPECT_LT(end, requests < 5000 ? warm + warm / 5 : warm + warm / 20);
  ExpectNothingUnderWay();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  ExpectEachAnsweredOnce();
}

}  // namespace
}  // namespace stylex
