#include "tests/e2e/load.h"

#include <chrono>
#include <utility>

#include "tests/e2e/odd_images.h"

namespace stylex {
namespace {

v1::Image Picture() {
  v1::Image image;
  image.set_data(PngPicture(16, 16, 3, 20));
  return image;
}

template <class Request, class Response>
grpc::Status Call(v1::ExplanationService::Stub* stub,
                  grpc::Status (v1::ExplanationService::Stub::*method)(grpc::ClientContext*,
                                                                       const Request&, Response*)) {
  static const v1::Image picture = Picture();
  grpc::ClientContext context;
  Request request;
  *request.mutable_image() = picture;
  Response response;
  return (stub->*method)(&context, request, &response);
}

void Pause(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace

Load::Load(std::shared_ptr<grpc::Channel> channel, int clients)
    : stub_(v1::ExplanationService::NewStub(std::move(channel))) {
  for (int i = 0; i < clients; ++i) {
    clients_.emplace_back([this] { Run(); });
  }
}

void Load::Run() {
  using Stub = v1::ExplanationService::Stub;
  for (int i = 0; !stop_; ++i) {
    const grpc::Status status =
        i % 3 == 0   ? Call<v1::ClassifyRequest, v1::ClassifyResponse>(stub_.get(), &Stub::Classify)
        : i % 3 == 1 ? Call<v1::EncodeRequest, v1::EncodeResponse>(stub_.get(), &Stub::Encode)
                     : Call<v1::ReconstructRequest, v1::ReconstructResponse>(stub_.get(),
                                                                             &Stub::Reconstruct);
    if (status.ok()) {
      ++succeeded_;
      continue;
    }
    {
      MutexLock lock(&mutex_);
      failures_.push_back(status);
    }
    Pause(10);  // avoids a busy loop while the server is down
  }
}

void Load::AwaitCalls(int count) const {
  for (const int wanted = succeeded_ + count; succeeded_ < wanted;) {
    Pause(1);
  }
}

void Load::AwaitStandstill() const {
  int before = -1;
  while (before != succeeded_) {
    before = succeeded_;
    Pause(300);
  }
}

void Load::Stop() {
  stop_ = true;
  for (std::thread& client : clients_) {
    client.join();
  }
  clients_.clear();
}

std::vector<grpc::Status> Load::failures() const {
  MutexLock lock(&mutex_);
  return failures_;
}

}  // namespace stylex
