#include <torch/types.h>

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/style_messages.h"
#include "server/repository/network_passes.h"
#include "server/repository/served_model.h"

namespace stylex {

UnaryWork<v1::ClassifyResponse> Classify(const HandlerContext& context,
                                         const v1::ClassifyRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  RequestChecks checks(model->shape());
  checks.Image("image", request.has_image(), request.image());
  STYLEX_RETURN_IF_ERROR(checks.Status());
  auto run = [model, &request, &context](const Cancellation& cancellation,
                                         v1::ClassifyResponse* response) -> absl::Status {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                            ReadPicture(request.image(), "image", *model, context.decode_limits));
    SharedNetworks networks(model->passes(), context.device, cancellation);
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, networks.Logits(image));
    *response->mutable_prediction() = ToPrediction(logits, *model);
    response->set_model(model->id());
    return absl::OkStatus();
  };
  return Work<v1::ClassifyResponse>{.run = std::move(run)};
}

UnaryWork<v1::EncodeResponse> Encode(const HandlerContext& context,
                                     const v1::EncodeRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  RequestChecks checks(model->shape());
  checks.Image("image", request.has_image(), request.image());
  STYLEX_RETURN_IF_ERROR(checks.Status());
  auto run = [model, &request, &context](const Cancellation& cancellation,
                                         v1::EncodeResponse* response) -> absl::Status {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                            ReadPicture(request.image(), "image", *model, context.decode_limits));
    SharedNetworks networks(model->passes(), context.device, cancellation);
    STYLEX_ASSIGN_OR_RETURN(const EncodedImage encoded, networks.Encode(image));
    *response->mutable_latent() = ToLatent(encoded.w, model->id());
    *response->mutable_styles() = ToStyles(encoded.styles, model->id());
    *response->mutable_prediction() = ToPrediction(encoded.logits, *model);
    return absl::OkStatus();
  };
  return Work<v1::EncodeResponse>{.run = std::move(run)};
}

}  // namespace stylex
