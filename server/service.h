// The gRPC implementation of stylex.v1.ExplanationService: passes each method to its handler
// through the CallRunner. Thread-safe.
#ifndef STYLEX_SERVER_SERVICE_H_
#define STYLEX_SERVER_SERVICE_H_

#include "server/handlers/handlers.h"
#include "server/rpc/call_runner.h"
#include "stylex/v1/explanation.grpc.pb.h"

namespace stylex {

class ExplanationServiceImpl : public v1::ExplanationService::CallbackService {
 public:
  // `runner` and everything `context` points to must outlive this.
  ExplanationServiceImpl(const HandlerContext& context, CallRunner* runner)
      : context_(context), runner_(*runner) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* call,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* call,
                                     const v1::GetModelRequest* request,
                                     v1::GetModelResponse* response) override;
  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* call,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse* response) override;
  grpc::ServerUnaryReactor* Encode(grpc::CallbackServerContext* call,
                                   const v1::EncodeRequest* request,
                                   v1::EncodeResponse* response) override;
  grpc::ServerUnaryReactor* Reconstruct(grpc::CallbackServerContext* call,
                                        const v1::ReconstructRequest* request,
                                        v1::ReconstructResponse* response) override;
  grpc::ServerWriteReactor<v1::FindAttributesResponse>* FindAttributes(
      grpc::CallbackServerContext* call, const v1::FindAttributesRequest* request) override;
  grpc::ServerUnaryReactor* Counterfactual(grpc::CallbackServerContext* call,
                                           const v1::CounterfactualRequest* request,
                                           v1::CounterfactualResponse* response) override;
  grpc::ServerWriteReactor<v1::TraverseResponse>* Traverse(
      grpc::CallbackServerContext* call, const v1::TraverseRequest* request) override;

 private:
  const HandlerContext context_;
  CallRunner& runner_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SERVICE_H_
