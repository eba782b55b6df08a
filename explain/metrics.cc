#include "explain/metrics.h"

#include <torch/nn/functional/padding.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace stylex {
namespace {

constexpr int64_t kSsimWindow = 11;
constexpr double kSsimSigma = 1.5;
constexpr double kDynamicRange = 2;  // of pixels in [-1, 1]
constexpr double kEqualImagesPsnr = 100;

void CheckSameShape(const torch::Tensor& a, const torch::Tensor& b) {
  TORCH_CHECK(a.dim() == 4 && a.sizes() == b.sizes(), "images of shapes ", a.sizes(), " and ",
              b.sizes(), "; expected [N, C, H, W] twice");
}

// Weights along one axis, [11], with sum 1; the two-dimensional window is their outer product.
torch::Tensor GaussianTaps(const torch::TensorOptions& options) {
  const torch::Tensor distance = torch::arange(kSsimWindow, options) - kSsimWindow / 2;
  const torch::Tensor taps = torch::exp(distance.square() / (-2 * kSsimSigma * kSsimSigma));
  return taps / taps.sum();
}

// Weighted mean over every window inside the image: [N, C, H, W] -> [N, C, H - 10, W - 10].
torch::Tensor WindowMean(const torch::Tensor& x, const torch::Tensor& taps) {
  const int64_t channels = x.size(1);
  const torch::Tensor rows = taps.view({1, 1, kSsimWindow, 1}).expand({channels, 1, -1, -1});
  const torch::Tensor columns = taps.view({1, 1, 1, kSsimWindow}).expand({channels, 1, -1, -1});
  constexpr int64_t kNoPadding = 0;  // a literal 0 would also be a null string
  const torch::Tensor y = torch::conv2d(x, rows, {}, 1, kNoPadding, 1, channels);
  return torch::conv2d(y, columns, {}, 1, kNoPadding, 1, channels);
}

// The greatest of each square window of side `window` (odd), in the middle of it.
torch::Tensor WindowMaximum(const torch::Tensor& x, int64_t window) {
  // Padding is with minus infinity: no pixel.
  return torch::max_pool2d(x, {window, window}, {1, 1}, {window / 2, window / 2});
}

torch::Tensor WindowMinimum(const torch::Tensor& x, int64_t window) {
  return -WindowMaximum(-x, window);
}

torch::Tensor InSomeChannel(const torch::Tensor& mask) { return std::get<0>(mask.max(1)); }

std::vector<double> MeanRanks(const std::vector<double>& values) {
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    double below = 0, equal = 0;
    for (const double other : values) {
      below += other < values[i] ? 1 : 0;
      equal += other == values[i] ? 1 : 0;
    }
    ranks[i] = below + (equal + 1) / 2;
  }
  return ranks;
}

}  // namespace

torch::Tensor L1PerImage(const torch::Tensor& a, const torch::Tensor& b) {
  torch::NoGradGuard no_grad;
  CheckSameShape(a, b);
  return (a - b).abs().mean({1, 2, 3});
}

torch::Tensor PsnrPerImage(const torch::Tensor& a, const torch::Tensor& b) {
  torch::NoGradGuard no_grad;
  CheckSameShape(a, b);
  const torch::Tensor error = (a - b).square().mean({1, 2, 3});
  const torch::Tensor psnr = torch::log10(kDynamicRange * kDynamicRange / error) * 10;
  return torch::where(error > 0, psnr, torch::full_like(psnr, kEqualImagesPsnr));
}

torch::Tensor SsimPerImage(const torch::Tensor& a, const torch::Tensor& b) {
  torch::NoGradGuard no_grad;
  CheckSameShape(a, b);
  TORCH_CHECK(std::min(a.size(2), a.size(3)) >= kSsimWindow, "images of ", a.size(2), "x",
              a.size(3), " are smaller than SSIM's window of ", kSsimWindow);
  constexpr double kC1 = (0.01 * kDynamicRange) * (0.01 * kDynamicRange);
  constexpr double kC2 = (0.03 * kDynamicRange) * (0.03 * kDynamicRange);
  // Double precision: variances are differences of nearly equal numbers in flat regions.
  const torch::Tensor x = a.to(torch::kFloat64);
  const torch::Tensor y = b.to(torch::kFloat64);
  const torch::Tensor taps = GaussianTaps(x.options());
  const torch::Tensor mean_x = WindowMean(x, taps);
  const torch::Tensor mean_y = WindowMean(y, taps);
  const torch::Tensor variance_x = WindowMean(x * x, taps) - mean_x * mean_x;
  const torch::Tensor variance_y = WindowMean(y * y, taps) - mean_y * mean_y;
  const torch::Tensor covariance = WindowMean(x * y, taps) - mean_x * mean_y;
  const torch::Tensor ssim =
      (2 * mean_x * mean_y + kC1) * (2 * covariance + kC2) /
      ((mean_x.square() + mean_y.square() + kC1) * (variance_x + variance_y + kC2));
  return ssim.mean({1, 2, 3}).to(torch::kFloat32);
}

torch::Tensor KlPerImage(const torch::Tensor& p_logits, const torch::Tensor& q_logits) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(p_logits.dim() == 2 && p_logits.sizes() == q_logits.sizes(), "logits of shapes ",
              p_logits.sizes(), " and ", q_logits.sizes(), "; expected [N, K] twice");
  const torch::Tensor log_p = torch::log_softmax(p_logits.to(torch::kFloat64), 1);
  const torch::Tensor log_q = torch::log_softmax(q_logits.to(torch::kFloat64), 1);
  // Rounding may leave a tiny negative number where the two agree.
  return (log_p.exp() * (log_p - log_q)).sum(1).clamp_min(0).to(torch::kFloat32);
}

torch::Tensor MedianOf3x3(const torch::Tensor& images) {
  namespace F = torch::nn::functional;
  const torch::Tensor padded =
      F::pad(images, F::PadFuncOptions({1, 1, 1, 1}).mode(torch::kReplicate));
  std::vector<torch::Tensor> neighbours;
  for (int64_t dy = 0; dy < 3; ++dy) {
    for (int64_t dx = 0; dx < 3; ++dx) {
      neighbours.push_back(padded.narrow(2, dy, images.size(2)).narrow(3, dx, images.size(3)));
    }
  }
  return std::get<0>(torch::stack(neighbours).median(0));
}

Interval BootstrapInterval(const std::vector<double>& numerators,
                           const std::vector<double>& denominators, uint64_t seed) {
  constexpr size_t kSamples = 1000;
  const size_t n = numerators.size();
  TORCH_CHECK(denominators.size() == n, n, " numerators, ", denominators.size(), " denominators");
  if (n == 0) {
    return {};
  }
  std::mt19937_64 random(seed);
  std::vector<double> ratios;
  for (size_t sample = 0; sample < kSamples; ++sample) {
    double numerator = 0, denominator = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t drawn = random() % n;
      numerator += numerators[drawn];
      denominator += denominators[drawn];
    }
    ratios.push_back(denominator != 0 ? numerator / denominator : 0);
  }
  std::sort(ratios.begin(), ratios.end());
  return {ratios[kSamples / 40], ratios[kSamples - 1 - kSamples / 40]};
}

Interval WilsonInterval(int64_t successes, int64_t trials) {
  if (trials <= 0) {
    return {0, 1};
  }
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % point
  const double n = static_cast<double>(trials);
  const double rate = static_cast<double>(successes) / n;
  const double denominator = 1 + kZ * kZ / n;
  const double centre = (rate + kZ * kZ / (2 * n)) / denominator;
  const double half = kZ * std::sqrt(rate * (1 - rate) / n + kZ * kZ / (4 * n * n)) / denominator;
  // Rounding must not move bounds that are exactly 0 or 1.
  return {successes == 0 ? 0 : std::max(0.0, centre - half),
          successes == trials ? 1 : std::min(1.0, centre + half)};
}

std::optional<double> Spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = MeanRanks(a), y = MeanRanks(b);
  const double mean = (static_cast<double>(x.size()) + 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx == 0 || yy == 0 ? std::optional<double>() : xy / std::sqrt(xx * yy);
}

torch::Tensor ChangedAreaPerImage(const torch::Tensor& a, const torch::Tensor& b,
                                  double threshold) {
  CheckSameShape(a, b);
  const torch::Tensor change = std::get<0>((a - b).abs().max(1));
  return change.gt(threshold).to(torch::kFloat32).mean({1, 2});
}

torch::Tensor GradientPerImage(const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const int64_t rows = images.size(2) - 1, columns = images.size(3) - 1;
  const torch::Tensor dx = images.diff(1, 3).narrow(2, 0, rows);
  const torch::Tensor dy = images.diff(1, 2).narrow(3, 0, columns);
  return (dx.square() + dy.square()).sqrt().mean({1, 2, 3});
}

SmallParts FindSmallParts(const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const double side = static_cast<double>(std::min(images.size(2), images.size(3)));
  const int64_t window = 2 * std::lround(side / 18) + 1;
  const torch::Tensor opening = WindowMaximum(WindowMinimum(images, window), window);
  const torch::Tensor closing = WindowMinimum(WindowMaximum(images, window), window);
  return {(images - opening).gt(kStandsOut).to(torch::kFloat32),
          (closing - images).gt(kStandsOut).to(torch::kFloat32)};
}

torch::Tensor SmallParts::AreaPerImage() const {
  return InSomeChannel(torch::maximum(light, dark)).mean({1, 2});
}

torch::Tensor FoundAreaPerImage(const SmallParts& original, const SmallParts& drawn) {
  CheckSameShape(original.light, drawn.light);
  constexpr int64_t kNeighbours = 3;
  const torch::Tensor light = original.light * WindowMaximum(drawn.light, kNeighbours);
  const torch::Tensor dark = original.dark * WindowMaximum(drawn.dark, kNeighbours);
  return InSomeChannel(torch::maximum(light, dark)).mean({1, 2});
}

double Cout(const std::function<torch::Tensor(const torch::Tensor&)>& logits,
            const torch::Tensor& from, const torch::Tensor& to, int64_t decided, int64_t target,
            int64_t steps) {
  CheckSameShape(from, to);
  TORCH_CHECK(from.size(0) == 1 && steps > 0, "COUT takes one image and at least one step");
  const torch::NoGradGuard no_grad;
  const int64_t channels = from.size(1);
  const int64_t pixels = from.size(2) * from.size(3);
  const torch::Tensor order =
      (to - from).abs().sum(1).flatten().argsort(/*stable=*/true, 0, /*descending=*/true);
  const torch::Tensor source = to.reshape({channels, pixels});
  std::vector<torch::Tensor> pasted;
  for (int64_t step = 0; step <= steps; ++step) {
    const torch::Tensor moved = order.narrow(0, 0, step * pixels / steps);
    torch::Tensor image = from.reshape({channels, pixels}).clone();
    image.index_copy_(1, moved, source.index_select(1, moved));
    pasted.push_back(image.view(from.sizes()));
  }
  const torch::Tensor probability = logits(torch::cat(pasted)).softmax(1).to(torch::kFloat64);
  const torch::Tensor gap = probability.select(1, target) - probability.select(1, decided);
  // The trapezoid rule over steps + 1 points of the unit interval.
  return ((gap.narrow(0, 0, steps) + gap.narrow(0, 1, steps)).sum() / (2.0 * steps)).item<double>();
}

}  // namespace stylex
