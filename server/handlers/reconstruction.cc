#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "explain/local_change.h"
#include "explain/side_by_side.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/style_messages.h"
#include "server/repository/network_passes.h"
#include "server/repository/served_model.h"
#include "server/scheduling/device_scheduler.h"

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
                                      const HandlerContext& context,
                                      const Cancellation& cancellation, Given* given) {
  SharedNetworks networks(served.passes(), context.device, cancellation);
  STYLEX_ASSIGN_OR_RETURN(StyleVectors styles,
                          StylesOfSource(served, request, context.decode_limits, &networks, given));
  if (!request.edits().empty()) {
    styles = ApplyMoves(styles, served.ranges(), ToMoves(request.edits()));
  }
  return networks.Synthesize(styles, RenderingOf(request.output_format()));
}

// Styles of the request's source on the model's device, `given->image` having been read.
StyleVectors StylesOfGiven(const Stylex& model, const v1::ReconstructRequest& request,
                           Given* given) {
  if (request.has_styles()) {
    return FromStyles(request.styles(), model.device());
  }
  if (request.has_latent()) {
    return model.Styles(FromLatent(request.latent(), model.device()));
  }
  const torch::Tensor image = given->image.to(model.device());
  const torch::Tensor logits = model.Logits(image);
  given->logits = logits.to(torch::kCPU);
  return model.Styles(model.Encode(image, logits));
}

// The image changed only where the edits change it most. Drawn as Counterfactual draws, alone and
// by the same passes, because others differ in the last bits: what was applied there gives the same
// bytes here.
absl::StatusOr<DrawnImage> DrawLocally(const ServedModel& served,
                                       const v1::ReconstructRequest& request,
                                       const HandlerContext& context,
                                       const Cancellation& cancellation, Given* given) {
  if (request.has_image()) {
    STYLEX_ASSIGN_OR_RETURN(given->image,
                            ReadPicture(request.image(), "image", served, context.decode_limits));
  }
  const DeviceScheduler::Turn turn(context.device, [&] { return !cancellation.stopped(); });
  if (!turn.active()) {
    return absl::CancelledError("the drawing was cancelled");
  }
  DrawnImage drawn;
  OnOneCore([&] {
    const Stylex& model = served.model();
    const StyleVectors styles = StylesOfGiven(model, request, given);
    const torch::Tensor image = LocalChange(
        model.Synthesize(styles),
        model.Synthesize(ApplyMoves(styles, served.ranges(), ToMoves(request.edits()))));
    const torch::Tensor file = RenderingOf(request.output_format()).Apply(image);
    drawn = {image.to(torch::kCPU), model.Logits(file).to(torch::kCPU)};
  });
  return drawn;
}

bool IsLocal(const v1::ReconstructRequest& request) {
  return request.local() && !request.edits().empty();
}

absl::Status Draw(const ServedModel& served, const v1::ReconstructRequest& request,
                  const HandlerContext& context, const Cancellation& cancellation,
                  v1::ReconstructResponse* response) {
  const torch::NoGradGuard no_grad;
  Given given;
  STYLEX_ASSIGN_OR_RETURN(const DrawnImage drawn,
                          IsLocal(request)
                              ? DrawLocally(served, request, context, cancellation, &given)
                              : DrawEdited(served, request, context, cancellation, &given));
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
  return Work<v1::ReconstructResponse>{
      .run = std::move(run),
      .effort = IsLocal(request) ? Effort::kExplanation : Effort::kInteractive};
}

}  // namespace stylex
