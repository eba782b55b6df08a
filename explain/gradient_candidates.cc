#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "explain/counterfactual.h"

namespace stylex {
namespace {

// Gradient of logit(target) - greatest other logit in the conv styles of one image, [S] on the CPU.
torch::Tensor MarginGradient(const Stylex& model, const StyleVectors& styles, int64_t target) {
  const torch::AutoGradMode with_gradients(true);
  const torch::Tensor conv = styles.conv.detach().clone().requires_grad_(true);
  const torch::Tensor logits = model.LogitsOfStyles({conv, styles.rgb.detach()});
  const torch::Tensor margin = MarginOf(logits, target);
  return torch::autograd::grad({margin.sum()}, {conv})[0][0].to(torch::kCPU);
}

// Towards min and towards max, [2, S]: what a move does to each coordinate's value.
torch::Tensor Displacements(const StyleVectors& styles, const StyleRanges& ranges, double shift) {
  const torch::Tensor values = styles.conv[0].to(torch::kCPU);
  return torch::stack({ranges.min - values, ranges.max - values}) * shift;
}

// The better direction of each coordinate, by predicted gain.
struct Predicted {
  torch::Tensor gain, direction;  // [S]
};
Predicted Predict(const torch::Tensor& gradient, const torch::Tensor& displacements) {
  const auto [gain, direction] = (gradient * displacements).max(0);
  return {gain, direction};
}

}  // namespace

std::vector<Coordinate> RankByGradient(const Stylex& model, const StyleVectors& styles,
                                       const StyleRanges& ranges, std::span<const Coordinate> among,
                                       int64_t target, double shift, int64_t count) {
  torch::NoGradGuard no_grad;
  const torch::Tensor gains =
      (MarginGradient(model, styles, target) * Displacements(styles, ranges, shift))
          .contiguous();  // [2, S]
  const float* const values = gains.data_ptr<float>();
  const auto gain = [&](const Coordinate& move) {
    return values[move.direction * ranges.size() + move.index];
  };
  std::vector<Coordinate> ranked(among.begin(), among.end());
  const auto kept = static_cast<std::ptrdiff_t>(
      std::min(ranked.size(), static_cast<size_t>(std::max<int64_t>(count, 0))));
  std::partial_sort(ranked.begin(), ranked.begin() + kept, ranked.end(),
                    [&](const Coordinate& a, const Coordinate& b) { return gain(a) > gain(b); });
  ranked.resize(static_cast<size_t>(kept));
  return ranked;
}

std::vector<Coordinate> GradientCandidates(const Stylex& model, const StyleVectors& styles,
                                           const StyleRanges& ranges, int64_t target, double shift,
                                           int64_t count) {
  torch::NoGradGuard no_grad;
  const torch::Tensor displacements = Displacements(styles, ranges, shift);
  const torch::Tensor here = MarginGradient(model, styles, target);
  const Predicted first = Predict(here, displacements);
  const int64_t strongest = first.gain.argmax().item<int64_t>();
  const Move half_way{{strongest, first.direction[strongest].item<int>()}, shift / 2};
  const torch::Tensor there =
      MarginGradient(model, ApplyMoves(styles, ranges, std::span(&half_way, 1)), target);

  const Predicted mean = Predict((here + there) / 2, displacements);
  const auto [gains, order] = mean.gain.topk(std::min(count, mean.gain.size(0)));
  std::vector<Coordinate> candidates;
  for (int64_t i = 0; i < gains.size(0) && gains[i].item<float>() > 0; ++i) {
    const int64_t index = order[i].item<int64_t>();
    candidates.push_back({index, mean.direction[index].item<int>()});
  }
  return candidates;
}

}  // namespace stylex
