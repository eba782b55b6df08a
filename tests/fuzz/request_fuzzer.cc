// Parses and validates arbitrary bytes as a request of any method (selected by the first byte), as
// the server does before it queues the call. Errors must fit into the size that gRPC can transport.
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <future>

#include "server/handlers/handlers.h"
#include "server/repository/model_loading.h"
#include "server/rpc/errors.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {
namespace {

// A tiny model, ready.
class Handlers {
 public:
  Handlers()
      : device_({}, &Clock::Real()),
        models_({.list = [this] { return ListServedVersions(folder_.path()); },
                 .load =
                     [this](const VersionPath& version) {
                       return LoadServedModel(version, torch::kCPU, {.device = &device_});
                     },
                 .on_name = [](const std::string&, bool) {},
                 .on_loaded = [this] { loaded_.set_value(); }}) {
    WriteTinyCheckpoint(folder_.path(), {});
    models_.Start();
    loaded_.get_future().wait();
    if (!models_.Find("tiny").ok()) {
      std::abort();
    }
    context_ = {.models = &models_,
                .device = &device_,
                .decode_limits = {.max_pixels = 1 << 18},
                .clock = &Clock::Real()};
  }

  template <class Request, class Work>
  void Check(const char* bytes, int size, Work (*handler)(const HandlerContext&, const Request&)) {
    Request request;
    if (!request.ParseFromArray(bytes, size)) {
      return;
    }
    const absl::Status status = handler(context_, request).status();
    const grpc::Status told = ToGrpcStatus(status, "id");
    const bool known = status.ok() || absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                       absl::IsFailedPrecondition(status);
    if (!known || told.error_details().size() > kMaxDetailsBytes ||
        told.error_message().size() > kMaxMessageBytes + 100) {
      std::abort();
    }
  }

 private:
  TemporaryFolder folder_;
  std::promise<void> loaded_;
  DeviceScheduler device_;
  ModelRepository models_;
  HandlerContext context_;
};

void Dispatch(Handlers* handlers, uint8_t method, const char* bytes, int size) {
  switch (method % 8) {
    case 0:
      return handlers->Check(bytes, size, &ListModels);
    case 1:
      return handlers->Check(bytes, size, &GetModel);
    case 2:
      return handlers->Check(bytes, size, &Classify);
    case 3:
      return handlers->Check(bytes, size, &Encode);
    case 4:
      return handlers->Check(bytes, size, &Reconstruct);
    case 5:
      return handlers->Check(bytes, size, &FindAttributes);
    case 6:
      return handlers->Check(bytes, size, &Counterfactual);
    default:
      return handlers->Check(bytes, size, &Traverse);
  }
}

}  // namespace
}  // namespace stylex

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const google::protobuf::LogSilencer silence;  // would log each string that is not UTF-8
  static auto* const handlers = new stylex::Handlers;
  if (size > 0) {
    stylex::Dispatch(handlers, data[0], reinterpret_cast<const char*>(data + 1),
                     static_cast<int>(size - 1));
  }
  return 0;
}
