// Closed-loop load on a stylex-server; prints one JSON object to stdout.
//
//   serving_load --server HOST:PORT --method METHOD --image FILE [FILE ...] [--model NAME]
//                [--clients N] [--seconds S] [--searches N]
//
// METHOD is Classify, Encode, Reconstruct, Counterfactual (the service's defaults: a local
// explanation towards the runner-up), Traverse (a walk of 16 frames to attribute 0's extreme; times
// are per frame) or Cancel. Several images are used in turn. --searches keeps so many exhaustive
// FindAttributes running during the measurement. Cancel measures, with one client, the time from
// the cancellation of a search to the first step of the next one; it needs a server with
// --search-workers 1, where this is the time until the device is free.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "stylex/v1/explanation.grpc.pb.h"

namespace stylex {
namespace {

struct Flags {
  std::string server, method, model;
  std::vector<std::string> images;
  int clients = 1;
  double seconds = 10;
  int searches = 0;
};

using Stub = v1::ExplanationService::Stub;

std::unique_ptr<Stub> NewStub(const Flags& flags) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::ExplanationService::NewStub(
      grpc::CreateCustomChannel(flags.server, grpc::InsecureChannelCredentials(), arguments));
}

v1::Image ReadImage(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  v1::Image image;
  image.set_data(std::string(std::istreambuf_iterator<char>(file), {}));
  return image;
}

v1::FindAttributesRequest Search(const Flags& flags, int target) {
  v1::FindAttributesRequest request;
  request.set_model(flags.model);
  request.set_search(v1::SEARCH_EXHAUSTIVE);
  request.set_strategy(v1::STRATEGY_INDEPENDENT);
  request.mutable_target_class()->set_class_id(target);
  for (int i = 0; i < 64; ++i) {
    *request.add_images() = ReadImage(flags.images.front());
  }
  return request;
}

template <class Request, class Response>
bool CallWith(Stub* stub, const Flags& flags, const v1::Image& image,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  grpc::ClientContext context;
  Request request;
  request.set_model(flags.model);
  *request.mutable_image() = image;
  Response response;
  return (stub->*method)(&context, request, &response).ok();
}

// Requests a walk of kFrames frames; returns whether all arrived.
constexpr int kFrames = 16;
bool Walk(Stub* stub, const Flags& flags, const v1::Image& image, int frames) {
  grpc::ClientContext context;
  v1::TraverseRequest request;
  request.set_model(flags.model);
  *request.mutable_image() = image;
  request.mutable_attribute()->set_index(0);
  request.set_steps(frames);
  const auto reader = stub->Traverse(&context, request);
  v1::TraverseResponse frame;
  int read = 0;
  while (reader->Read(&frame)) {
    ++read;
  }
  return reader->Finish().ok() && read == frames;
}

bool Call(Stub* stub, const Flags& flags, const v1::Image& image) {
  if (flags.method == "Classify") {
    return CallWith<v1::ClassifyRequest, v1::ClassifyResponse>(stub, flags, image, &Stub::Classify);
  }
  if (flags.method == "Encode") {
    return CallWith<v1::EncodeRequest, v1::EncodeResponse>(stub, flags, image, &Stub::Encode);
  }
  if (flags.method == "Counterfactual") {
    return CallWith<v1::CounterfactualRequest, v1::CounterfactualResponse>(stub, flags, image,
                                                                           &Stub::Counterfactual);
  }
  if (flags.method == "Traverse") {
    return Walk(stub, flags, image, kFrames);
  }
  return CallWith<v1::ReconstructRequest, v1::ReconstructResponse>(stub, flags, image,
                                                                   &Stub::Reconstruct);
}

// A search that is computing (its second progress message has arrived) until it is cancelled.
class RunningSearch {
 public:
  RunningSearch(Stub* stub, const Flags& flags, int target)
      : reader_(stub->FindAttributes(&context_, Search(flags, target))) {
    v1::FindAttributesResponse response;
    while (reader_->Read(&response) && response.progress().done() == 0 && !response.has_result()) {
    }
    if (response.has_result()) {
      std::fprintf(stderr, "the image is decided as the target: no search ran\n");
    }
  }
  void Cancel() { context_.TryCancel(); }
  void Finish() {
    v1::FindAttributesResponse response;
    while (reader_->Read(&response)) {
    }
    reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::FindAttributesResponse>> reader_;
};

// Milliseconds from a cancellation to the next search's first step.
double CancelOnce(Stub* stub, const Flags& flags, int target) {
  RunningSearch search(stub, flags, target);
  search.Cancel();
  const absl::Time start = absl::Now();
  search.Finish();
  RunningSearch next(stub, flags, target);
  const double ms = absl::ToDoubleMilliseconds(absl::Now() - start);
  next.Cancel();
  next.Finish();
  return ms;
}

// A class other than the decision on the image.
int OtherClass(Stub* stub, const Flags& flags) {
  grpc::ClientContext context;
  v1::ClassifyRequest request;
  request.set_model(flags.model);
  *request.mutable_image() = ReadImage(flags.images.front());
  v1::ClassifyResponse response;
  stub->Classify(&context, request, &response);
  return response.prediction().class_id() == 0 ? 1 : 0;
}

void Print(std::vector<double> milliseconds, int errors, double seconds) {
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto quantile = [&](double q) {
    return milliseconds.empty() ? 0.0
                                : milliseconds[static_cast<size_t>(
                                      q * static_cast<double>(milliseconds.size() - 1))];
  };
  std::printf(
      "{\"calls\": %zu, \"errors\": %d, \"per_second\": %.2f, \"p50_ms\": %.3f, \"p95_ms\": %.3f, "
      "\"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
      milliseconds.size(), errors, static_cast<double>(milliseconds.size()) / seconds,
      quantile(0.5), quantile(0.95), quantile(0.99), quantile(1));
}

void MeasureCancelling(const Flags& flags) {
  const auto stub = NewStub(flags);
  const int target = OtherClass(stub.get(), flags);
  std::vector<double> milliseconds;
  const absl::Time start = absl::Now();
  while (absl::Now() - start < absl::Seconds(flags.seconds)) {
    milliseconds.push_back(CancelOnce(stub.get(), flags, target));
  }
  Print(milliseconds, 0, absl::ToDoubleSeconds(absl::Now() - start));
}

// One search after another, the last one cancelled.
void SearchUntil(const std::atomic<bool>& done, Stub* stub, const Flags& flags, int target) {
  while (!done) {
    RunningSearch search(stub, flags, target);
    while (!done) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    search.Cancel();
    search.Finish();
  }
}

void MeasureCalls(const Flags& flags) {
  std::atomic<bool> done = false;
  std::vector<std::thread> searchers;
  for (int i = 0; i < flags.searches; ++i) {
    searchers.emplace_back([&] {
      const auto stub = NewStub(flags);
      const int target = OtherClass(stub.get(), flags);
      SearchUntil(done, stub.get(), flags, target);
    });
  }
  if (flags.searches > 0) {
    absl::SleepFor(absl::Seconds(2));
  }
  std::mutex mutex;
  std::vector<double> milliseconds;
  std::atomic<int> errors = 0;
  std::vector<v1::Image> images;
  std::transform(flags.images.begin(), flags.images.end(), std::back_inserter(images), ReadImage);
  const double parts = flags.method == "Traverse" ? kFrames : 1;
  const auto run = [&](absl::Duration duration, bool count) {
    std::vector<std::thread> clients;
    for (int c = 0; c < flags.clients; ++c) {
      clients.emplace_back([&] {
        const auto stub = NewStub(flags);
        std::vector<double> own;
        const absl::Time end = absl::Now() + duration;
        while (absl::Now() < end) {
          const v1::Image& image = images[own.size() % images.size()];
          const absl::Time start = absl::Now();
          if (!Call(stub.get(), flags, image)) {
            ++errors;
          }
          own.push_back(absl::ToDoubleMilliseconds(absl::Now() - start) / parts);
        }
        const std::lock_guard lock(mutex);
        if (count) {
          milliseconds.insert(milliseconds.end(), own.begin(), own.end());
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
  };
  run(absl::Seconds(1), /*count=*/false);
  const absl::Time start = absl::Now();
  run(absl::Seconds(flags.seconds), /*count=*/true);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  done = true;
  for (std::thread& searcher : searchers) {
    searcher.join();
  }
  Print(milliseconds, errors, seconds);
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  stylex::Flags flags;
  CLI::App app("Load for stylex-server", "serving_load");
  app.add_option("--server", flags.server)->required();
  app.add_option("--method", flags.method)
      ->required()
      ->check(CLI::IsMember(
          {"Classify", "Encode", "Reconstruct", "Counterfactual", "Traverse", "Cancel"}));
  app.add_option("--image", flags.images)->required()->check(CLI::ExistingFile);
  app.add_option("--model", flags.model);
  app.add_option("--clients", flags.clients)->check(CLI::Range(1, 1024));
  app.add_option("--seconds", flags.seconds)->check(CLI::Range(0.1, 3600.0));
  app.add_option("--searches", flags.searches)->check(CLI::Range(0, 64));
  CLI11_PARSE(app, argc, argv);
  if (flags.method == "Cancel") {
    stylex::MeasureCancelling(flags);
  } else {
    stylex::MeasureCalls(flags);
  }
  return 0;
}
