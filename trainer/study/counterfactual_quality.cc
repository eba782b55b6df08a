#include "trainer/study/counterfactual_quality.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "explain/counterfactual.h"
#include "explain/decisions.h"
#include "explain/metrics.h"
#include "explain/style_space.h"
#include "models/pixels.h"
#include "trainer/data/random_order.h"
#include "trainer/study/image_workers.h"

namespace stylex {
namespace {

constexpr int kStrengths = 10;

double SpanOf(const StyleRanges& ranges, int64_t index) {
  return static_cast<double>(ranges.Extreme({index, 1})) - ranges.Extreme({index, 0});
}

// The target's probability with all moves at 0, 1/10, ..., 1 of their shift.
std::vector<double> ProbabilitiesAlongTheWay(const Stylex& model, const StyleVectors& styles,
                                             const StyleRanges& ranges,
                                             const std::vector<AppliedMove>& applied,
                                             int64_t target) {
  std::vector<StyleVectors> on_the_way;
  for (int step = 0; step <= kStrengths; ++step) {
    std::vector<Move> moves;
    for (const AppliedMove& move : applied) {
      moves.push_back({move.move.coordinate, move.move.shift * step / kStrengths});
    }
    on_the_way.push_back(ApplyMoves(styles, ranges, moves));
  }
  const torch::Tensor probability = model.LogitsOfStyles(StyleVectors::Concatenate(on_the_way))
                                        .softmax(1)
                                        .select(1, target)
                                        .to(torch::kCPU, torch::kFloat64)
                                        .contiguous();
  const double* const values = probability.data_ptr<double>();
  return {values, values + probability.size(0)};
}

struct ImageQuality {
  bool read = false;
  std::optional<CounterfactualFigures> found;
  std::vector<bool> agrees, convinced, by_the_image;  // per oracle
};

bool Decides(const Oracle& oracle, const torch::Tensor& image, int64_t class_id) {
  return oracle.classifier->Logits(image).argmax(1).item<int64_t>() == class_id;
}

absl::StatusOr<ImageQuality> QualityOfImage(const Stylex& model, const StyleRanges& ranges,
                                            const ClassLists& index, const Bitmap& bitmap,
                                            const std::vector<Oracle>& oracles,
                                            const FlipOptions& options) {
  ImageQuality quality;
  quality.read = true;
  const torch::Tensor x = BitmapToTensor(bitmap).to(model.device());
  const torch::Tensor original = model.Logits(x);
  const int64_t original_class = original.argmax(1).item<int64_t>();
  for (const Oracle& oracle : oracles) {
    quality.agrees.push_back(Decides(oracle, x, original_class));
  }
  const StyleVectors styles = model.Styles(model.Encode(x, original));
  const torch::Tensor before = Rendering::Png().Apply(model.Synthesize(styles));
  const torch::Tensor base = model.Logits(before);
  const int64_t decided = base.argmax(1).item<int64_t>();
  const int64_t target = RunnerUp(base);
  STYLEX_ASSIGN_OR_RETURN(const CounterfactualResult result,
                          SearchJointly(model, styles, ranges, index, target, options));
  if (result.outcome != CounterfactualOutcome::kFlipped) {
    return quality;
  }
  CounterfactualFigures figures;
  std::vector<Move> moves;
  const torch::Tensor values = styles.conv.to(torch::kCPU);
  for (const AppliedMove& applied : result.applied) {
    const Coordinate coordinate = applied.move.coordinate;
    moves.push_back(applied.move);
    const double change = applied.move.shift *
                          (ranges.Extreme(coordinate) - values[0][coordinate.index].item<double>());
    const double span = SpanOf(ranges, coordinate.index);
    figures.distance += span > 0 ? std::abs(change) / span : 0;
  }
  const torch::Tensor after =
      Rendering::Png().Apply(model.Synthesize(ApplyMoves(styles, ranges, moves)));
  figures.attributes = static_cast<double>(moves.size());
  figures.changed_area = ChangedAreaPerImage(before, after, kVisibleChange).item<double>();
  figures.l1 = L1PerImage(before, after).item<double>();
  figures.ssim = SsimPerImage(before, after).item<double>();
  const std::vector<double> probability =
      ProbabilitiesAlongTheWay(model, styles, ranges, result.applied, target);
  figures.gain = probability.back() - probability.front();
  figures.cout = Cout([&](const torch::Tensor& images) { return model.Logits(images); }, before,
                      after, decided, target);
  std::vector<double> strength;
  for (int step = 0; step <= kStrengths; ++step) {
    strength.push_back(step);
  }
  figures.monotonicity = Spearman(strength, probability);
  quality.found = figures;
  for (const Oracle& oracle : oracles) {
    quality.convinced.push_back(Decides(oracle, after, target));
    quality.by_the_image.push_back(Decides(oracle, before, target));
  }
  return quality;
}

}  // namespace

absl::StatusOr<QualityFigures> EvaluateQuality(const Checkpoint& checkpoint, const Dataset& dataset,
                                               const std::vector<Oracle>& oracles,
                                               const FlipOptions& options, Progress* progress) {
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  const ClassLists index = IndexLists(*checkpoint.attributes, checkpoint.model.num_classes());
  const std::vector<int64_t> order =
      DrawnIndices(dataset.size(Split::kValidation), options.seed, options.images);
  std::vector<ImageQuality> qualities(order.size());
  STYLEX_RETURN_IF_ERROR(OnEachImage(
      dataset, Split::kValidation, order, options.workers, "counterfactuals", progress,
      [&](const Bitmap& bitmap, size_t i) -> absl::Status {
        STYLEX_ASSIGN_OR_RETURN(qualities[i], QualityOfImage(checkpoint.model, ranges, index,
                                                             bitmap, oracles, options));
        return absl::OkStatus();
      }));
  QualityFigures figures;
  for (const Oracle& oracle : oracles) {
    figures.oracles.push_back({oracle.name});
  }
  for (const ImageQuality& quality : qualities) {
    if (!quality.read) {
      continue;
    }
    ++figures.images;
    for (size_t o = 0; o < oracles.size(); ++o) {
      figures.oracles[o].agreeing += quality.agrees[o] ? 1 : 0;
    }
    if (!quality.found) {
      continue;
    }
    figures.found.push_back(*quality.found);
    for (size_t o = 0; o < oracles.size(); ++o) {
      figures.oracles[o].convinced += quality.convinced[o] ? 1 : 0;
      figures.oracles[o].by_the_image += quality.by_the_image[o] ? 1 : 0;
    }
  }
  return figures;
}

}  // namespace stylex
