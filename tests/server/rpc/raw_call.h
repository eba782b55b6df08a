// Calls of any method with any bytes, as no generated stub makes them.
#ifndef STYLEX_TESTS_SERVER_RPC_RAW_CALL_H_
#define STYLEX_TESTS_SERVER_RPC_RAW_CALL_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

namespace stylex {

// `method`: "/package.Service/Method". The answer's message is not kept.
inline grpc::Status SendBytes(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& method, const std::string& bytes) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareUnaryCall(&context, method, request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  return status;
}

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_RPC_RAW_CALL_H_
