#include "server/rpc/refused_calls.h"

#include <grpc/compression.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exceptions.h"
#include "server/rpc/errors.h"
#include "server/rpc/forwarded_peer.h"
#include "server/rpc/request_id.h"

namespace stylex {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// Generated code's answer to a request that it could not parse.
bool IsUnparsed(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNIMPLEMENTED && status.error_message().empty();
}

// Not refused, but ended by the client, or by a server that stops.
bool IsEnded(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::CANCELLED ||
         status.error_code() == grpc::StatusCode::UNAVAILABLE;
}

// The part of "/package.Service/Method" after the last slash.
const char* MethodOf(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

class RefusedCalls::Interceptor : public grpc::experimental::Interceptor {
 public:
  Interceptor(const RefusedCalls& calls, grpc::experimental::ServerRpcInfo* info)
      : calls_(calls), info_(*info), start_(calls.clock_.Now()) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      // Without memory for it, the client is told what gRPC has to say.
      WithoutExceptions([&] {
        Look(methods);
        return absl::OkStatus();
      }).IgnoreError();
    }
    methods->Proceed();
  }

 private:
  void Look(InterceptorBatchMethods* methods) const {
    const grpc::Status status = methods->GetSendStatus();
    auto* const metadata = methods->GetSendTrailingMetadata();
    // The CallRunner adds the id to every call.
    const bool seen = metadata != nullptr && metadata->contains(kRequestIdKey);
    if (!status.ok() && !seen && !IsEnded(status)) {
      methods->ModifySendStatus(Refuse(status));
    }
  }
  // Reports the call; returns what to tell the client.
  grpc::Status Refuse(const grpc::Status& status) const {
    absl::Status told(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
    const bool unknown = info_.type() == grpc::experimental::ServerRpcInfo::Type::BIDI_STREAMING;
    if (IsUnparsed(status)) {
      told = MalformedRequestError();
    }
    CallRecord record;
    // Labels of metrics are of a fixed set.
    record.method = unknown ? "unknown" : MethodOf(info_.method());
    record.request_id = RandomRequestId();
    record.peer = PeerOf(*info_.server_context());
    record.status = told;
    record.reason = ReasonOfError(told);
    record.total = calls_.clock_.Now() - start_;
    // Nothing was answered that could be withheld; and one that has no memory must cost neither the
    // others nor the client's answer.
    if (calls_.auditor_ != nullptr) {
      WithoutExceptions([&] { return calls_.auditor_->Record(record); }).IgnoreError();
    }
    for (CallObserver* observer : calls_.observers_) {
      WithoutExceptions([&] {
        observer->OnStarted(record.method);
        observer->OnFinished(record);
        return absl::OkStatus();
      }).IgnoreError();
    }
    return ToGrpcStatus(told, record.request_id);
  }

  const RefusedCalls& calls_;
  grpc::experimental::ServerRpcInfo& info_;
  const absl::Time start_;
};

grpc::experimental::Interceptor* RefusedCalls::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) try {
  return new Interceptor(*this, info);
} catch (const std::exception&) {
  return nullptr;  // the call goes on without one
}

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  class Refusal : public grpc::ServerGenericBidiReactor {
   public:
    explicit Refusal(const grpc::Status& status) { Finish(status); }
    void OnDone() override { delete this; }
  };
  grpc::Status status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");  // no memory for the text
  WithoutExceptions([&] {
    status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                          absl::StrCat("there is no method ", Quoted(context->method())));
    return absl::OkStatus();
  }).IgnoreError();
  return new Refusal(status);
}

void RefuseCompression(grpc::ServerBuilder* builder) {
  builder->AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                              1 << GRPC_COMPRESS_NONE);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

}  // namespace stylex
