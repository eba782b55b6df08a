#include "explain/gradient_candidates.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <string>

#include "explain/decisions.h"
#include "explain/side_by_side.h"

namespace stylex {
namespace {

// Gradients of logit(target) - greatest other logit in the conv styles, [N, S] on the CPU.
torch::Tensor MarginGradients(const Stylex& model, const StyleVectors& styles, int64_t target) {
  const torch::AutoGradMode with_gradients(true);
  const torch::Tensor conv = styles.conv.detach().clone().requires_grad_(true);
  const torch::Tensor logits = model.LogitsOfStyles({conv, styles.rgb.detach()});
  const torch::Tensor margin = MarginOf(logits, target);
  TORCH_CHECK(margin.requires_grad(),
              "the classifier gives no gradients: its output does not require grad");
  const torch::Tensor gradients =
      torch::autograd::grad({margin.sum()}, {conv}, {}, /*retain_graph=*/c10::nullopt,
                            /*create_graph=*/false, /*allow_unused=*/true)[0];
  TORCH_CHECK(gradients.defined(),
              "the classifier gives no gradients: what it says of an image does not require grad");
  return gradients.to(torch::kCPU);
}

// The same with the images distributed over the cores: passes of a few images are so small that
// LibTorch's threads, which synchronise after every operator, would slow them down.
torch::Tensor MarginGradientsSideBySide(const Stylex& model, const StyleVectors& styles,
                                        int64_t target, const CoreBudget* cores) {
  const bool on_cpu = model.device().is_cpu();
  const int64_t images = styles.conv.size(0);
  const int64_t parts = on_cpu ? std::min<int64_t>(images, at::get_num_threads()) : 1;
  const int64_t of_part = (images + parts - 1) / parts;
  std::vector<torch::Tensor> gradients(static_cast<size_t>((images + of_part - 1) / of_part));
  const absl::Status status = SideBySide(
      static_cast<int64_t>(gradients.size()), on_cpu, {.cores = cores},
      [&](int64_t part, const GiveWay&) {
        const int64_t start = part * of_part;
        gradients[static_cast<size_t>(part)] =
            MarginGradients(model, styles.Narrow(start, std::min(of_part, images - start)), target);
        return absl::OkStatus();
      },
      Pieces::kBrief);
  // It is never told to stop: what failed is LibTorch or the classifier, which throw.
  TORCH_CHECK(status.ok(), std::string(status.message()));
  return torch::cat(gradients);
}

// Change of each coordinate's value by a move towards min and towards max, [N, 2, S].
torch::Tensor Displacements(const StyleVectors& styles, const StyleRanges& ranges, double shift) {
  const torch::Tensor values = styles.conv.to(torch::kCPU);
  return torch::stack({ranges.min - values, ranges.max - values}, 1) * shift;
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

std::vector<std::vector<Coordinate>> RankByGradient(const Stylex& model, const StyleVectors& styles,
                                                    const StyleRanges& ranges,
                                                    std::vector<std::vector<Coordinate>> among,
                                                    int64_t target, double shift, int64_t count,
                                                    const CoreBudget* cores) {
  torch::NoGradGuard no_grad;
  const torch::Tensor gains =
      (MarginGradientsSideBySide(model, styles, target, cores).unsqueeze(1) *
       Displacements(styles, ranges, shift))
          .contiguous();  // [N, 2, S]
  TORCH_CHECK(gains.size(0) == static_cast<int64_t>(among.size()), among.size(), " lists for ",
              gains.size(0), " images");
  for (size_t n = 0; n < among.size(); ++n) {
    const float* const values =
        gains.data_ptr<float>() + static_cast<int64_t>(n) * 2 * ranges.size();
    const auto gain = [&](const Coordinate& move) {
      return values[move.direction * ranges.size() + move.index];
    };
    std::vector<Coordinate>& ranked = among[n];
    const size_t kept = std::min(ranked.size(), static_cast<size_t>(std::max<int64_t>(count, 0)));
    std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(kept),
                      ranked.end(),
                      [&](const Coordinate& a, const Coordinate& b) { return gain(a) > gain(b); });
    ranked.resize(kept);
  }
  return among;
}

std::vector<Coordinate> GradientCandidates(const Stylex& model, const StyleVectors& styles,
                                           const StyleRanges& ranges, int64_t target, double shift,
                                           int64_t count, const CoreBudget* cores) {
  torch::NoGradGuard no_grad;
  const torch::Tensor displacements = Displacements(styles, ranges, shift)[0];
  const torch::Tensor here = MarginGradientsSideBySide(model, styles, target, cores)[0];
  const Predicted first = Predict(here, displacements);
  const int64_t strongest = first.gain.argmax().item<int64_t>();
  const Move half_way{{strongest, first.direction[strongest].item<int>()}, shift / 2};
  const torch::Tensor there = MarginGradientsSideBySide(
      model, ApplyMoves(styles, ranges, std::span(&half_way, 1)), target, cores)[0];

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
