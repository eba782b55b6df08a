#include <torch/torch.h>

#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "server/handlers.h"
#include "server/pictures.h"
#include "server/request_checks.h"
#include "server/served_model.h"
#include "server/style_messages.h"

namespace stylex {
namespace {

absl::Status CheckRequest(const v1::ReconstructRequest& request, const ModelShape& shape) {
  RequestChecks checks(shape);
  switch (request.source_case()) {
    case v1::ReconstructRequest::kImage:
      checks.Image("image", true, request.image());
      break;
    case v1::ReconstructRequest::kLatent:
      checks.Latent("latent", request.latent());
      break;
    case v1::ReconstructRequest::kStyles:
      checks.Styles("styles", request.styles());
      break;
    case v1::ReconstructRequest::SOURCE_NOT_SET:
      checks.Add("source", "is missing; one of image, latent and styles is needed");
      break;
  }
  checks.Edits("edits", request.edits());
  checks.OutputFormat("output_format", request.output_format());
  return checks.Status();
}

// What an image, if one came in, is and how it is decided.
struct Given {
  torch::Tensor image;   // [1, C, R, R]; undefined when a latent or styles came in
  torch::Tensor logits;  // [1, K]
};

absl::StatusOr<StyleVectors> StylesOfSource(const ServedModel& served,
                                            const v1::ReconstructRequest& request,
                                            const DecodeLimits& limits, Given* given) {
  const Stylex& model = served.model();
  if (request.has_latent()) {
    return model.Styles(FromLatent(request.latent(), model.device()));
  }
  if (request.has_styles()) {
    return FromStyles(request.styles(), model.device());
  }
  STYLEX_ASSIGN_OR_RETURN(given->image, ReadPicture(request.image(), "image", served, limits));
  given->logits = model.Logits(given->image);
  return model.Styles(model.Encode(given->image, given->logits));
}

absl::Status Draw(const ServedModel& served, const v1::ReconstructRequest& request,
                  const DecodeLimits& limits, const Cancellation& cancellation,
                  v1::ReconstructResponse* response) {
  const torch::NoGradGuard no_grad;
  const Stylex& model = served.model();
  Given given;
  STYLEX_ASSIGN_OR_RETURN(StyleVectors styles, StylesOfSource(served, request, limits, &given));
  STYLEX_RETURN_IF_ERROR(cancellation.status());
  if (!request.edits().empty()) {
    styles = ApplyMoves(styles, served.ranges(), ToMoves(request.edits()));
  }
  const torch::Tensor drawn = model.Synthesize(styles);
  const torch::Tensor logits = model.Logits(drawn);
  STYLEX_RETURN_IF_ERROR(CheckDrawable(
      drawn, logits,
      request.has_latent() ? "latent.values" : (request.has_styles() ? "styles.values" : "edits")));
  STYLEX_RETURN_IF_ERROR(cancellation.status());
  const PictureWriter writer(request.output_format(), served.id());
  STYLEX_ASSIGN_OR_RETURN(*response->mutable_image(), writer.Write(drawn));
  *response->mutable_reconstruction() = ToPrediction(logits, served);
  if (given.image.defined()) {
    *response->mutable_original() = ToPrediction(given.logits, served);
    *response->mutable_quality() = CompareImages(given.image, drawn, given.logits, logits);
  }
  response->set_model(served.id());
  return absl::OkStatus();
}

}  // namespace

UnaryWork<v1::ReconstructResponse> Reconstruct(const HandlerContext& context,
                                               const v1::ReconstructRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_RETURN_IF_ERROR(CheckRequest(request, model->shape()));
  auto run = [model, &request, limits = context.decode_limits](const Cancellation& cancellation,
                                                               v1::ReconstructResponse* response) {
    return Draw(*model, request, limits, cancellation, response);
  };
  return Work<v1::ReconstructResponse>{.run = std::move(run)};
}

}  // namespace stylex
