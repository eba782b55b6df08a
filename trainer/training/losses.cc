#include "trainer/training/losses.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "models/cpu/fused_layers.h"

namespace stylex {
namespace {

constexpr double kPathLengthDecay = 0.01;
// Keeps the gradient finite at coordinates that do not move.
constexpr double kLeastSquaredMove = 1e-6;

constexpr double kHardestShare = 0.1;
constexpr int kPyramidLevels = 3;

constexpr int kTextureLevels = 2;
constexpr int64_t kTexturePool = 6;
constexpr int64_t kTextureStride = 3;
// Mean square of differences below which there is no texture to speak of (images reach from -1 to
// 1); keeps the gradient of the root finite.
constexpr double kTextureFloor = 1e-4;

// Local strength of differences between neighbours: [4, N, C, H', W'], by direction.
torch::Tensor StrengthOfDifferences(const torch::Tensor& images) {
  using torch::indexing::None;
  using torch::indexing::Slice;
  const auto corner = [&](const Slice& rows, const Slice& columns) {
    return images.index({Slice(), Slice(), rows, columns});
  };
  const Slice first(None, -1);
  const Slice second(1, None);
  const torch::Tensor here = corner(first, first);
  const torch::Tensor right = corner(first, second);
  const torch::Tensor below = corner(second, first);
  std::vector<torch::Tensor> strengths;
  for (const torch::Tensor& difference :
       {right - here, below - here, corner(second, second) - here, right - below}) {
    const torch::Tensor energy =
        torch::avg_pool2d(difference.square(), {kTexturePool}, {kTextureStride});
    strengths.push_back((energy + kTextureFloor).sqrt());
  }
  return torch::stack(strengths);
}

// L1Loss of activations; on the CPU in one pass, whose sum is float32 whatever their type is.
torch::Tensor FeatureDifference(const torch::Tensor& real, const torch::Tensor& fake) {
  const bool fused =
      real.is_cpu() && !real.requires_grad() && real.strides() == fake.strides() &&
      real.is_non_overlapping_and_dense() &&
      (real.scalar_type() == torch::kFloat32 || real.scalar_type() == torch::kBFloat16);
  return fused ? MeanAbsoluteDifference(real, fake) : L1Loss(real, fake);
}

torch::Tensor UnitMeanSquare(const torch::Tensor& x) {
  // The epsilon keeps the gradient finite at positions where no channel is active.
  return x * torch::rsqrt(x.square().mean(1, /*keepdim=*/true) + 1e-3);
}

}  // namespace

torch::Tensor DiscriminatorLoss(const torch::Tensor& real_scores,
                                const torch::Tensor& fake_scores) {
  return torch::softplus(-real_scores).mean() + torch::softplus(fake_scores).mean();
}

torch::Tensor GeneratorLoss(const torch::Tensor& fake_scores) {
  return torch::softplus(-fake_scores).mean();
}

torch::Tensor RelativisticLoss(const torch::Tensor& winners, const torch::Tensor& losers) {
  return torch::softplus(losers - winners).mean();
}

torch::Tensor FeatureMatchingLoss(const std::vector<torch::Tensor>& real,
                                  const std::vector<torch::Tensor>& fake) {
  TORCH_CHECK(!real.empty() && real.size() == fake.size(), "feature matching without features");
  torch::Tensor sum = FeatureDifference(real[0], fake[0]);
  for (size_t l = 1; l < real.size(); ++l) {
    sum = sum + FeatureDifference(real[l], fake[l]);
  }
  return sum / static_cast<double>(real.size());
}

torch::Tensor R1Penalty(const torch::Tensor& images, const torch::Tensor& scores) {
  const torch::Tensor gradient =
      torch::autograd::grad({scores.sum()}, {images}, {}, /*retain_graph=*/true,
                            /*create_graph=*/true)[0];
  return gradient.square().sum({1, 2, 3}).mean();
}

torch::Tensor PathLengthPenalty(const torch::Tensor& images, const torch::Tensor& latents,
                                const torch::Tensor& noise, torch::Tensor* mean_length) {
  const double pixels = static_cast<double>(images.size(2) * images.size(3));
  const torch::Tensor projected = (images * (noise / std::sqrt(pixels))).sum();
  const torch::Tensor jacobian = torch::autograd::grad({projected}, {latents}, {},
                                                       /*retain_graph=*/true,
                                                       /*create_graph=*/true)[0];  // [N, L, D]
  const torch::Tensor length = (jacobian.square().sum(2).mean(1) + 1e-12).sqrt();
  const torch::Tensor mean = *mean_length + kPathLengthDecay * (length.mean() - *mean_length);
  *mean_length = mean.detach();
  return (length - mean).square().mean();
}

torch::Tensor L1Loss(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().mean();
}

torch::Tensor L2Loss(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).square().mean();
}

torch::Tensor LocalContrast(const torch::Tensor& images) {
  return (images - BinomialBlur(images)).abs().mean(1, /*keepdim=*/true);
}

torch::Tensor HardestPixelsLoss(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor errors = (a - b).abs().mean(1).flatten(1);  // [N, H W]
  const int64_t count =
      std::max<int64_t>(1, std::llround(kHardestShare * static_cast<double>(errors.size(1))));
  return std::get<0>(errors.topk(count, 1, /*largest=*/true, /*sorted=*/false)).mean();
}

torch::Tensor LaplacianLoss(const torch::Tensor& a, const torch::Tensor& b) {
  torch::Tensor error = a - b;  // the pyramid is linear
  torch::Tensor sum;
  for (int level = 0; level < kPyramidLevels; ++level) {
    const torch::Tensor blurred = BinomialBlur(error);
    const torch::Tensor loss = (error - blurred).abs().mean() * (1 << level);
    sum = level == 0 ? loss : sum + loss;
    error = blurred.slice(2, 0, {}, 2).slice(3, 0, {}, 2);
  }
  return sum;
}

torch::Tensor BinomialBlur(const torch::Tensor& images) {
  const int64_t channels = images.size(1);
  const torch::Tensor taps = torch::tensor({1., 4., 6., 4., 1.}, images.options()) / 16;
  const torch::Tensor padded = torch::reflection_pad2d(images, {2, 2, 2, 2});
  constexpr int64_t kNoPadding = 0;  // a literal 0 would also be a null string
  const torch::Tensor rows = torch::conv2d(
      padded, taps.view({1, 1, 5, 1}).expand({channels, 1, 5, 1}), {}, 1, kNoPadding, 1, channels);
  return torch::conv2d(rows, taps.view({1, 1, 1, 5}).expand({channels, 1, 1, 5}), {}, 1, kNoPadding,
                       1, channels);
}

torch::Tensor TextureLoss(const torch::Tensor& a, const torch::Tensor& b) {
  torch::Tensor sum;
  torch::Tensor of_a = a;
  torch::Tensor of_b = b;
  for (int level = 0; level < kTextureLevels; ++level) {
    if (level > 0) {
      of_a = BinomialBlur(of_a).slice(2, 0, {}, 2).slice(3, 0, {}, 2);
      of_b = BinomialBlur(of_b).slice(2, 0, {}, 2).slice(3, 0, {}, 2);
    }
    const torch::Tensor loss = L1Loss(StrengthOfDifferences(of_a), StrengthOfDifferences(of_b));
    sum = level == 0 ? loss : sum + loss;
  }
  return sum;
}

torch::Tensor PlaceBoundTexture(const torch::Tensor& images) {
  const torch::Tensor common = (images - BinomialBlur(images)).mean(0, /*keepdim=*/true);
  const torch::Tensor energy = torch::avg_pool2d(common.square(), {kTexturePool}, {kTextureStride});
  return (energy + kTextureFloor).sqrt().mean() - std::sqrt(kTextureFloor);
}

torch::Tensor DifferencesLoss(const torch::Tensor& a, const torch::Tensor& b) {
  const torch::Tensor error = a - b;
  return error.diff(1, 2).abs().mean() + error.diff(1, 3).abs().mean();
}

torch::Tensor PerceptualLoss(const std::vector<torch::Tensor>& real,
                             const std::vector<torch::Tensor>& fake) {
  TORCH_CHECK(!real.empty() && real.size() == fake.size(), "perceptual loss without features");
  torch::Tensor sum = L1Loss(UnitMeanSquare(real[0]), UnitMeanSquare(fake[0]));
  for (size_t l = 1; l < real.size(); ++l) {
    sum = sum + L1Loss(UnitMeanSquare(real[l]), UnitMeanSquare(fake[l]));
  }
  return sum / static_cast<double>(real.size());
}

torch::Tensor KlLoss(const torch::Tensor& real_logits, const torch::Tensor& fake_logits) {
  const torch::Tensor p = torch::log_softmax(real_logits, 1);
  const torch::Tensor q = torch::log_softmax(fake_logits, 1);
  return (p.exp() * (p - q)).sum(1).mean();
}

torch::Tensor LatentKl(const torch::Tensor& means, const torch::Tensor& log_deviations) {
  const torch::Tensor energy = means.square().mean(0);  // [D]
  return 0.5 * (energy + (2 * log_deviations).exp() - 2 * log_deviations - 1).sum();
}

torch::Tensor MoveSparsity(const torch::Tensor& changes) {
  return (changes.square().mean(0) + kLeastSquaredMove).sqrt().mean();
}

}  // namespace stylex
