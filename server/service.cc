#include "server/service.h"

namespace stylex {

grpc::ServerUnaryReactor* ExplanationServiceImpl::ListModels(grpc::CallbackServerContext* call,
                                                             const v1::ListModelsRequest* request,
                                                             v1::ListModelsResponse* response) {
  return runner_.Unary<v1::ListModelsResponse>("ListModels", call, *request, response, [&] {
    return stylex::ListModels(context_, *request);
  });
}

grpc::ServerUnaryReactor* ExplanationServiceImpl::GetModel(grpc::CallbackServerContext* call,
                                                           const v1::GetModelRequest* request,
                                                           v1::GetModelResponse* response) {
  return runner_.Unary<v1::GetModelResponse>("GetModel", call, *request, response,
                                             [&] { return stylex::GetModel(context_, *request); });
}

grpc::ServerUnaryReactor* ExplanationServiceImpl::Classify(grpc::CallbackServerContext* call,
                                                           const v1::ClassifyRequest* request,
                                                           v1::ClassifyResponse* response) {
  return runner_.Unary<v1::ClassifyResponse>("Classify", call, *request, response,
                                             [&] { return stylex::Classify(context_, *request); });
}

grpc::ServerUnaryReactor* ExplanationServiceImpl::Encode(grpc::CallbackServerContext* call,
                                                         const v1::EncodeRequest* request,
                                                         v1::EncodeResponse* response) {
  return runner_.Unary<v1::EncodeResponse>("Encode", call, *request, response,
                                           [&] { return stylex::Encode(context_, *request); });
}

grpc::ServerUnaryReactor* ExplanationServiceImpl::Reconstruct(grpc::CallbackServerContext* call,
                                                              const v1::ReconstructRequest* request,
                                                              v1::ReconstructResponse* response) {
  return runner_.Unary<v1::ReconstructResponse>("Reconstruct", call, *request, response, [&] {
    return stylex::Reconstruct(context_, *request);
  });
}

grpc::ServerWriteReactor<v1::FindAttributesResponse>* ExplanationServiceImpl::FindAttributes(
    grpc::CallbackServerContext* call, const v1::FindAttributesRequest* request) {
  return runner_.Stream<v1::FindAttributesResponse>(
      "FindAttributes", call, *request, [&] { return stylex::FindAttributes(context_, *request); });
}

grpc::ServerUnaryReactor* ExplanationServiceImpl::Counterfactual(
    grpc::CallbackServerContext* call, const v1::CounterfactualRequest* request,
    v1::CounterfactualResponse* response) {
  return runner_.Unary<v1::CounterfactualResponse>("Counterfactual", call, *request, response, [&] {
    return stylex::Counterfactual(context_, *request);
  });
}

grpc::ServerWriteReactor<v1::TraverseResponse>* ExplanationServiceImpl::Traverse(
    grpc::CallbackServerContext* call, const v1::TraverseRequest* request) {
  return runner_.Stream<v1::TraverseResponse>("Traverse", call, *request,
                                              [&] { return stylex::Traverse(context_, *request); });
}

}  // namespace stylex
