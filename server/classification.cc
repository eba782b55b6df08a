#include <torch/torch.h>

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "server/handlers.h"
#include "server/pictures.h"
#include "server/request_checks.h"
#include "server/served_model.h"
#include "server/style_messages.h"

namespace stylex {

UnaryWork<v1::ClassifyResponse> Classify(const HandlerContext& context,
                                         const v1::ClassifyRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  RequestChecks checks(model->shape());
  checks.Image("image", request.has_image(), request.image());
  STYLEX_RETURN_IF_ERROR(checks.Status());
  auto run = [model, &request, limits = context.decode_limits](
                 const Cancellation&, v1::ClassifyResponse* response) -> absl::Status {
    const torch::NoGradGuard no_grad;
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                            ReadPicture(request.image(), "image", *model, limits));
    *response->mutable_prediction() = ToPrediction(model->model().Logits(image), *model);
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
  auto run = [model, &request, limits = context.decode_limits](
                 const Cancellation& cancellation, v1::EncodeResponse* response) -> absl::Status {
    const torch::NoGradGuard no_grad;
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                            ReadPicture(request.image(), "image", *model, limits));
    const torch::Tensor logits = model->model().Logits(image);
    STYLEX_RETURN_IF_ERROR(cancellation.status());
    const torch::Tensor w = model->model().Encode(image, logits);
    *response->mutable_latent() = ToLatent(w, model->id());
    *response->mutable_styles() = ToStyles(model->model().Styles(w), model->id());
    *response->mutable_prediction() = ToPrediction(logits, *model);
    return absl::OkStatus();
  };
  return Work<v1::EncodeResponse>{.run = std::move(run)};
}

}  // namespace stylex
