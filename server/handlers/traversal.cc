#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

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

constexpr int kDefaultFrames = 9;
constexpr int kMaxFrames = 256;

struct Plan {
  Coordinate coordinate;
  int64_t frames = kDefaultFrames;
  double shift_from = 0;
  double shift_to = 1;

  double ShiftOf(int64_t frame) const {
    return shift_from +
           (shift_to - shift_from) * static_cast<double>(frame) / static_cast<double>(frames - 1);
  }
};

absl::StatusOr<Plan> MakePlan(const v1::TraverseRequest& request, const ModelShape& shape) {
  RequestChecks checks(shape);
  if (request.has_image()) {
    checks.Image("image", true, request.image());
  } else if (request.has_styles()) {
    checks.Styles("styles", request.styles());
  } else {
    checks.Add("source", "is missing; one of image and styles is needed");
  }
  if (request.has_attribute()) {
    checks.Attribute("attribute", request.attribute());
  } else {
    checks.Add("attribute", "is missing; `index`, and perhaps `direction`, are needed");
  }
  Plan plan;
  plan.coordinate = ToCoordinate(request.attribute());
  plan.frames = checks.Count("steps", request.steps(), 2, kMaxFrames, kDefaultFrames);
  if (request.has_shift_from()) {
    plan.shift_from = checks.Number("shift_from", request.shift_from(), -kMaxShift, kMaxShift);
  }
  if (request.has_shift_to()) {
    plan.shift_to = checks.Number("shift_to", request.shift_to(), -kMaxShift, kMaxShift);
  }
  checks.OutputFormat("output_format", request.output_format());
  checks.NeedsRanges();
  STYLEX_RETURN_IF_ERROR(checks.Status());
  return plan;
}

absl::StatusOr<StyleVectors> StylesOfSource(const ServedModel& served,
                                            const v1::TraverseRequest& request,
                                            const HandlerContext& context,
                                            const Cancellation& cancellation) {
  if (request.has_styles()) {
    return FromStyles(request.styles(), served.model().device());
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                          ReadPicture(request.image(), "image", served, context.decode_limits));
  if (!served.model().device().is_cpu()) {
    SharedNetworks networks(served.passes(), context.device, cancellation);
    STYLEX_ASSIGN_OR_RETURN(const EncodedImage encoded, networks.Encode(image));
    return StyleVectors{encoded.styles.conv.to(served.model().device()),
                        encoded.styles.rgb.to(served.model().device())};
  }
  // On a CPU not by the passes of interactive calls, for which searches leave a core.
  DeviceScheduler::Turn turn(context.device, [&] { return !cancellation.stopped(); });
  if (!turn.active()) {
    return absl::CancelledError("the traversal was cancelled");
  }
  StyleVectors styles;
  OnOneCore([&] { styles = served.model().StylesOfImages(image); });
  return styles;
}

// Styles of frames `first` to `first` + `count` - 1.
StyleVectors StylesOfFrames(const StyleVectors& styles, const StyleRanges& ranges, const Plan& plan,
                            int64_t first, int64_t count) {
  std::vector<torch::Tensor> conv;
  for (int64_t frame = first; frame < first + count; ++frame) {
    const Move move = {plan.coordinate, plan.ShiftOf(frame)};
    conv.push_back(ApplyMoves(styles, ranges, {&move, 1}).conv);
  }
  return {torch::cat(conv), styles.rgb.expand({count, -1})};
}

// Frames [count, ...] and their logits, on the CPU.
struct DrawnFrames {
  torch::Tensor images;
  torch::Tensor logits;
};

// Draws frames `first` to `first` + `count` - 1, on a CPU side by side. `unmoved`: the image
// without the move, which masks the change; undefined: no mask.
absl::StatusOr<DrawnFrames> DrawFrames(const ServedModel& served, const StyleVectors& styles,
                                       const Plan& plan, const Rendering& rendering, int64_t first,
                                       int64_t count, const torch::Tensor& unmoved,
                                       const SearchControl& control) {
  const Stylex& model = served.model();
  const bool on_cpu = model.device().is_cpu();
  const int64_t cores = on_cpu ? at::get_num_threads() : 1;
  const int64_t length = (count + cores - 1) / cores;
  const int64_t pieces = (count + length - 1) / length;
  std::vector<torch::Tensor> images(pieces), logits(pieces);
  STYLEX_RETURN_IF_ERROR(SideBySide(
      pieces, /*parallel=*/on_cpu, control,
      [&](int64_t i, const GiveWay&) {
        const torch::NoGradGuard no_grad;
        const int64_t start = i * length;
        torch::Tensor drawn = model.Synthesize(StylesOfFrames(
            styles, served.ranges(), plan, first + start, std::min(length, count - start)));
        drawn = unmoved.defined() ? LocalChange(unmoved.expand_as(drawn), drawn) : drawn;
        logits[i] = model.Logits(rendering.Apply(drawn)).to(torch::kCPU);
        images[i] = drawn.to(torch::kCPU);
        return absl::OkStatus();
      },
      Pieces::kBrief));
  return DrawnFrames{torch::cat(images), torch::cat(logits)};
}

absl::Status Draw(const ServedModel& served, const v1::TraverseRequest& request, const Plan& plan,
                  const HandlerContext& context, const Cancellation& cancellation,
                  StreamSink<v1::TraverseResponse>* sink) {
  const torch::NoGradGuard no_grad;
  STYLEX_ASSIGN_OR_RETURN(const StyleVectors styles,
                          StylesOfSource(served, request, context, cancellation));
  const Rendering rendering = RenderingOf(request.output_format());
  const PictureWriter writer(request.output_format(), served.id());
  const bool on_cpu = served.model().device().is_cpu();
  const int64_t batch =
      std::max<int64_t>(served.search_batch(), on_cpu ? at::get_num_threads() : 1);
  torch::Tensor unmoved;  // the image without the move, where frames are masked
  for (int64_t first = 0; first < plan.frames; first += batch) {
    const int64_t count = std::min(batch, plan.frames - first);
    // Each chunk takes a separate turn: others compute while its files are written.
    DeviceScheduler::Turn turn(context.device, [&] { return !cancellation.stopped(); });
    if (!turn.active()) {
      return absl::CancelledError("the traversal was cancelled");
    }
    if (request.local() && !unmoved.defined()) {
      OnOneCore([&] { unmoved = served.model().Synthesize(styles); });
    }
    STYLEX_ASSIGN_OR_RETURN(const DrawnFrames drawn,
                            DrawFrames(served, styles, plan, rendering, first, count, unmoved,
                                       {.give_way = [&turn] { return turn.Yield(); },
                                        .cores = &context.device->cores()}));
    turn.End();
    STYLEX_RETURN_IF_ERROR(CheckDrawable(drawn.images, drawn.logits, "styles.values"));
    for (int64_t i = 0; i < count; ++i) {
      v1::TraverseResponse frame;
      frame.set_step(static_cast<int32_t>(first + i));
      frame.set_shift(plan.ShiftOf(first + i));
      STYLEX_ASSIGN_OR_RETURN(*frame.mutable_image(), writer.Write(drawn.images[i]));
      *frame.mutable_prediction() = ToPrediction(drawn.logits[i], served);
      sink->Write(std::move(frame));
    }
  }
  return absl::OkStatus();
}

}  // namespace

StreamWork<v1::TraverseResponse> Traverse(const HandlerContext& context,
                                          const v1::TraverseRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_ASSIGN_OR_RETURN(const Plan plan, MakePlan(request, model->shape()));
  auto run = [model, &request, plan, &context](const Cancellation& cancellation,
                                               StreamSink<v1::TraverseResponse>* sink) {
    return Draw(*model, request, plan, context, cancellation, sink);
  };
  return Work<StreamSink<v1::TraverseResponse>>{.run = std::move(run),
                                                .effort = Effort::kExplanation};
}

}  // namespace stylex
