#include "explain/selection.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "explain/image_variants.h"

namespace stylex {
namespace {

// Index of the greatest value of a vector, the first of equals.
int64_t FirstArgmax(const torch::Tensor& values) { return values.argmax().item<int64_t>(); }

Coordinate FromColumn(int64_t column, int64_t size) {
  return {column % size, static_cast<int>(column / size)};
}

SelectedAttribute Describe(const StyleEffects& effects, Coordinate coordinate, int64_t target) {
  const torch::Tensor effect =
      effects.effect.select(1, coordinate.direction).select(1, coordinate.index);  // [N, K]
  const torch::Tensor flipped = (effects.base + effect).argmax(1) == target;
  return {coordinate, effect.select(1, target).mean(torch::kFloat64).item<double>(),
          flipped.to(torch::kFloat64).mean().item<double>()};
}

// Excludes both directions of a coordinate: moved in both, it would reach neither extreme.
void Exclude(int64_t index, int64_t size, torch::Tensor* available) {
  (*available)[index] = false;
  (*available)[size + index] = false;
}

// The coordinate-direction pairs whose single effects raise the target most on average, best first.
std::vector<Coordinate> StrongestPairs(const StyleEffects& effects, int64_t target, int64_t count) {
  const int64_t size = effects.effect.size(2);
  const torch::Tensor mean = effects.effect.select(3, target).mean(0, false, torch::kFloat64);
  const auto [gains, columns] = mean.flatten().topk(std::min(count, 2 * size));
  std::vector<Coordinate> pairs;
  for (int64_t i = 0; i < gains.size(0) && gains[i].item<double>() > 0; ++i) {
    pairs.push_back(FromColumn(columns[i].item<int64_t>(), size));
  }
  return pairs;
}

std::vector<Move> ToMoves(const std::vector<SelectedAttribute>& selected, double shift) {
  std::vector<Move> moves;
  for (const SelectedAttribute& attribute : selected) {
    moves.push_back({attribute.coordinate, shift});
  }
  return moves;
}

// Mean target logit over the images after `moves` together with each candidate: [M], float64.
absl::StatusOr<torch::Tensor> MeanJointLogits(const Stylex& model, const StyleVectors& styles,
                                              const StyleRanges& ranges,
                                              std::span<const Move> moves,
                                              std::span<const Coordinate> candidates,
                                              int64_t target, double shift,
                                              const VariantOptions& batches) {
  const int64_t images = styles.conv.size(0);
  torch::Tensor sum = torch::zeros({static_cast<int64_t>(candidates.size())}, torch::kFloat64);
  for (int64_t n = 0; n < images; ++n) {
    const ImageVariants variants(model, ranges, ApplyMoves(styles.Narrow(n, 1), ranges, moves),
                                 batches);
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits,
                            variants.LogitsOfSingles(candidates, shift));
    sum += logits.select(1, target);
  }
  return sum / static_cast<double>(images);
}

}  // namespace

std::vector<SelectedAttribute> SelectAttributes(const StyleEffects& effects, int64_t target,
                                                const SelectionOptions& options) {
  torch::NoGradGuard no_grad;
  const int64_t images = effects.effect.size(0);
  const int64_t size = effects.effect.size(2);
  std::vector<SelectedAttribute> selected;
  if (images == 0) {
    return selected;
  }
  // Column d * S + s, as the released code numbers them.
  torch::Tensor gain =
      effects.effect.select(3, target).reshape({images, 2 * size}).to(torch::kFloat64);
  torch::Tensor available = gain.mean(0) > 0;
  if (!options.paper) {
    gain = gain.clamp_min(0);
  }
  torch::Tensor explained = torch::zeros({images}, torch::kFloat64);
  torch::Tensor unexplained = torch::ones({images}, torch::kBool);
  while (static_cast<int64_t>(selected.size()) < options.max_attributes &&
         unexplained.any().item<bool>()) {
    const torch::Tensor mean = gain.index({unexplained}).mean(0).masked_fill(~available, -1);
    const int64_t best = FirstArgmax(mean);
    if (mean[best].item<double>() <= 0) {
      break;
    }
    const Coordinate coordinate = FromColumn(best, size);
    Exclude(coordinate.index, size, &available);
    if (options.accepts && !options.accepts(coordinate.index)) {
      continue;
    }
    selected.push_back(Describe(effects, coordinate, target));
    if (options.explained_at > 0) {
      const torch::Tensor chosen = gain.select(1, best);
      explained = options.paper ? torch::maximum(explained, chosen) : explained + chosen;
      // Algorithm 1 drops images that a move changes by more than t, the released code those whose
      // sum has reached T.
      unexplained =
          options.paper ? explained <= options.explained_at : explained < options.explained_at;
    }
  }
  return selected;
}

torch::Tensor StableImages(const StyleEffects& effects, double large) {
  const torch::Tensor share =
      effects.effect.abs().gt(large).flatten(1).to(torch::kFloat64).mean(1);  // [N]
  return share.le(kUnstableShare);
}

absl::StatusOr<std::vector<SelectedAttribute>> SelectAttributesJointly(
    const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
    const StyleEffects& effects, int64_t target, const SubsetOptions& options) {
  torch::NoGradGuard no_grad;
  std::vector<SelectedAttribute> selected;
  if (effects.base.size(0) == 0) {
    return selected;
  }
  std::vector<Coordinate> candidates = StrongestPairs(effects, target, options.candidates);
  double current = effects.base.select(1, target).mean(torch::kFloat64).item<double>();
  int64_t done = 0;
  const int64_t total = styles.conv.size(0) * static_cast<int64_t>(candidates.size()) *
                        std::max<int64_t>(options.max_attributes - 1, 0);
  VariantOptions batches{.control = options.control};
  if (options.control.progress) {
    batches.classified = [&](int64_t count) { options.control.progress(done += count, total); };
  }
  while (static_cast<int64_t>(selected.size()) < options.max_attributes && !candidates.empty()) {
    size_t best = 0;  // in the first step: candidates are sorted by single effect
    double reached = current + Describe(effects, candidates[0], target).mean_effect;
    if (!selected.empty()) {
      STYLEX_ASSIGN_OR_RETURN(
          const torch::Tensor joint,
          MeanJointLogits(model, styles, ranges, ToMoves(selected, options.shift), candidates,
                          target, options.shift, batches));
      best = FirstArgmax(joint);
      reached = joint[best].item<double>();
    }
    if (reached <= current || reached - current < options.threshold) {
      break;
    }
    current = reached;
    const Coordinate chosen = candidates[best];
    selected.push_back(Describe(effects, chosen, target));
    std::erase_if(candidates, [&](Coordinate c) { return c.index == chosen.index; });
  }
  return selected;
}

}  // namespace stylex
