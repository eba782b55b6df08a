#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "explain/local_change.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/style_messages.h"
#include "server/repository/network_passes.h"
#include "server/repository/served_model.h"

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

// The request's image, if any, and its logits.
struct Given {
  torch::Tensor image;   // [1, C, R, R]; undefined if a latent or styles were given
  torch::Tensor logits;  // [1, K]
};

absl::StatusOr<StyleVectors> StylesOfSource(const ServedModel& served,
                                            const v1::ReconstructRequest& request,
                                            const DecodeLimits& limits, SharedNetworks* networks,
                                            Given* given) {
  if (request.has_latent()) {
    return networks->Styles(FromLatent(request.latent(), torch::kCPU));
  }
  if (request.has_styles()) {
    return FromStyles(request.styles(), torch::kCPU);
  }
  STYLEX_ASSIGN_OR_RETURN(given->image, ReadPicture(request.image(), "image", served, limits));
  STYLEX_ASSIGN_OR_RETURN(const EncodedImage encoded, networks->Encode(given->image));
  given->logits = encoded.logits;
  return encoded.styles;
}

// The image with the request's edits.
absl::StatusOr<DrawnImage> DrawEdited(const ServedModel& served,
                                      const v1::ReconstructRequest& request,
                                      const StyleVectors& styles, SharedNetworks* networks) {
  const Rendering rendering = RenderingOf(request.output_format());
  if (request.edits().empty()) {
    return networks->Synthesize(styles, rendering);
  }
  STYLEX_ASSIGN_OR_RETURN(
      DrawnImage drawn,
      networks->Synthesize(ApplyMoves(styles, served.ranges(), ToMoves(request.edits())),
                           rendering));
  if (request.local()) {
    STYLEX_ASSIGN_OR_RETURN(const DrawnImage before, networks->Synthesize(styles, rendering));
    drawn.image = LocalChange(before.image, drawn.image);
    STYLEX_ASSIGN_OR_RETURN(drawn.logits, networks->Logits(rendering.Apply(drawn.image)));
  }
  return drawn;
}

absl::Status Draw(const ServedModel& served, const v1::ReconstructRequest& request,
                  const HandlerContext& context, const Cancellation& cancellation,
                  v1::ReconstructResponse* response) {
  const torch::NoGradGuard no_grad;
  SharedNetworks networks(served.passes(), context.device, cancellation);
  Given given;
  STYLEX_ASSIGN_OR_RETURN(
      const StyleVectors styles,
      StylesOfSource(served, request, context.decode_limits, &networks, &given));
  STYLEX_ASSIGN_OR_RETURN(const DrawnImage drawn, DrawEdited(served, request, styles, &networks));
  STYLEX_RETURN_IF_ERROR(CheckDrawable(
      drawn.image, drawn.logits,
      request.has_latent() ? "latent.values" : (request.has_styles() ? "styles.values" : "edits")));
  const PictureWriter writer(request.output_format(), served.id());
  STYLEX_ASSIGN_OR_RETURN(*response->mutable_image(), writer.Write(drawn.image));
  *response->mutable_reconstruction() = ToPrediction(drawn.logits, served);
  if (given.image.defined()) {
    *response->mutable_original() = ToPrediction(given.logits, served);
    *response->mutable_quality() =
        CompareImages(given.image, drawn.image, given.logits, drawn.logits, served);
  }
  response->set_model(served.id());
  return absl::OkStatus();
}

}  // namespace

UnaryWork<v1::ReconstructResponse> Reconstruct(const HandlerContext& context,
                                               const v1::ReconstructRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_RETURN_IF_ERROR(CheckRequest(request, model->shape()));
  auto run = [model, &request, &context](const Cancellation& cancellation,
                                         v1::ReconstructResponse* response) {
    return Draw(*model, request, context, cancellation, response);
  };
  return Work<v1::ReconstructResponse>{.run = std::move(run)};
}

}  // namespace stylex
