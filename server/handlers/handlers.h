// The eight RPC methods without their transport: each validates a request, which is cheap and
// happens at once, and returns the work that answers it. One .cc file per subject. The request must
// outlive the work. Thread-safe.
#ifndef STYLEX_SERVER_HANDLERS_HANDLERS_H_
#define STYLEX_SERVER_HANDLERS_HANDLERS_H_

#include "image/codec.h"
#include "server/repository/model_repository.h"
#include "server/rpc/call_runner.h"
#include "server/scheduling/device_scheduler.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// The dependencies of handlers.
struct HandlerContext {
  const ModelRepository* models = nullptr;
  DeviceScheduler* device = nullptr;
  DecodeLimits decode_limits;
  const Clock* clock = nullptr;
};

// model_listing.cc
UnaryWork<v1::ListModelsResponse> ListModels(const HandlerContext& context,
                                             const v1::ListModelsRequest& request);
// NOT_FOUND without the model.
UnaryWork<v1::GetModelResponse> GetModel(const HandlerContext& context,
                                         const v1::GetModelRequest& request);
// classification.cc
UnaryWork<v1::ClassifyResponse> Classify(const HandlerContext& context,
                                         const v1::ClassifyRequest& request);
// Latent and styles of an image.
UnaryWork<v1::EncodeResponse> Encode(const HandlerContext& context,
                                     const v1::EncodeRequest& request);
// reconstruction.cc
UnaryWork<v1::ReconstructResponse> Reconstruct(const HandlerContext& context,
                                               const v1::ReconstructRequest& request);
// attribute_search.cc
StreamWork<v1::FindAttributesResponse> FindAttributes(const HandlerContext& context,
                                                      const v1::FindAttributesRequest& request);
// counterfactual.cc
UnaryWork<v1::CounterfactualResponse> Counterfactual(const HandlerContext& context,
                                                     const v1::CounterfactualRequest& request);
// traversal.cc
StreamWork<v1::TraverseResponse> Traverse(const HandlerContext& context,
                                          const v1::TraverseRequest& request);

}  // namespace stylex

#endif  // STYLEX_SERVER_HANDLERS_HANDLERS_H_
