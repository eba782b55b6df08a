// Calls that gRPC or its generated code end before a handler sees them: a request that is no
// message (broken protobuf, invalid UTF-8, half-closed without a message), or an unknown method.
// They are told what is wrong, and reported to the observers like all others.
#ifndef STYLEX_SERVER_RPC_REFUSED_CALLS_H_
#define STYLEX_SERVER_RPC_REFUSED_CALLS_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <vector>

#include "base/clock.h"
#include "server/rpc/call_record.h"

namespace stylex {

// Gives every call of a server an interceptor that reports it if the CallRunner did not.
class RefusedCalls : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  // All must outlive the server.
  RefusedCalls(std::vector<CallObserver*> observers, CallAuditor* auditor, const Clock* clock)
      : observers_(std::move(observers)), auditor_(auditor), clock_(*clock) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override;

 private:
  class Interceptor;

  const std::vector<CallObserver*> observers_;
  CallAuditor* const auditor_;  // may be null
  const Clock& clock_;
};

// Answers the calls of methods that no registered service has.
class UnknownMethods : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;
};

// For every server: requests are never unpacked. gRPC unpacks a compressed message, a thousand
// times its size or more, before its size and the call's token can be checked; images are
// compressed already. Such calls are UNIMPLEMENTED, with the encodings that are accepted.
void RefuseCompression(grpc::ServerBuilder* builder);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_REFUSED_CALLS_H_
