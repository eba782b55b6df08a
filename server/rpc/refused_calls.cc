#include "server/rpc/refused_calls.h"

#include <grpc/compression.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
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
      const grpc::Status status = methods->GetSendStatus();
      auto* const metadata = methods->GetSendTrailingMetadata();
      // The CallRunner adds the id to every call.
      const bool seen = metadata != nullptr && metadata->contains(kRequestIdKey);
      if (!status.ok() && !seen && !IsEnded(status)) {
        methods->ModifySendStatus(Refuse(status));
      }
    }
    methods->Proceed();
  }

 private:
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
    if (calls_.auditor_ != nullptr) {
      calls_.auditor_->Record(record).IgnoreError();  // nothing was answered that could be withheld
    }
    for (CallObserver* observer : calls_.observers_) {
      observer->OnStarted(record.method);
      observer->OnFinished(record);
    }
    return ToGrpcStatus(told, record.request_id);
  }

  const RefusedCalls& calls_;
  grpc::experimental::ServerRpcInfo& info_;
  const absl::Time start_;
};

grpc::experimental::Interceptor* RefusedCalls::CreateServerInterceptor(
    grpc::experimental::ServerRpcInfo* info) {
  return new Interceptor(*this, info);
}

grpc::ServerGenericBidiReactor* UnknownMethods::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  class Refusal : public grpc::ServerGenericBidiReactor {
   public:
    explicit Refusal(const std::string& method) {
      Finish(grpc::Status(grpc::StatusCode::UNIMPLEMENTED,
                          absl::StrCat("there is no method ", Quoted(method))));
    }
    void OnDone() override { delete this; }
  };
  return new Refusal(context->method());
}

void RefuseCompression(grpc::ServerBuilder* builder) {
  builder->AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                              1 << GRPC_COMPRESS_NONE);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
}

}  // namespace stylex
