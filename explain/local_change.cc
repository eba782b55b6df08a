#include "explain/local_change.h"

#include <torch/nn/functional/conv.h>
#include <torch/nn/functional/padding.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "explain/side_by_side.h"

namespace stylex {
namespace {

constexpr double kWhole = 0.25, kNone = 0.05;  // of the greatest change
constexpr int64_t kBlurs = 32;                 // standard deviations in a side

// [N, 1, H, W], with the border's pixels repeated beyond it.
torch::Tensor Blur(const torch::Tensor& images) {
  namespace F = torch::nn::functional;
  const double sigma =
      static_cast<double>(std::min(images.size(2), images.size(3))) / static_cast<double>(kBlurs);
  const int64_t radius = static_cast<int64_t>(std::ceil(2 * sigma));
  const torch::Tensor offsets = torch::arange(-radius, radius + 1, images.options());
  torch::Tensor kernel = (-offsets.square() / (2 * sigma * sigma)).exp();
  kernel = kernel / kernel.sum();
  const torch::Tensor padded =
      F::pad(images, F::PadFuncOptions({radius, radius, radius, radius}).mode(torch::kReplicate));
  return F::conv2d(F::conv2d(padded, kernel.view({1, 1, 1, -1})), kernel.view({1, 1, -1, 1}));
}

}  // namespace

torch::Tensor ChangeMask(const torch::Tensor& before, const torch::Tensor& after) {
  torch::Tensor mask;
  OnOneCore([&] {
    const torch::Tensor difference = after.to(torch::kCPU) - before.to(torch::kCPU);
    const torch::Tensor change = Blur(difference.abs().mean(1, /*keepdim=*/true));
    const torch::Tensor greatest = change.amax({1, 2, 3}, /*keepdim=*/true).clamp_min(1e-6);
    const torch::Tensor t = ((change / greatest - kNone) / (kWhole - kNone)).clamp(0, 1);
    mask = t * t * (3 - 2 * t);
  });
  return mask.to(before.device());
}

torch::Tensor LocalChange(const torch::Tensor& before, const torch::Tensor& after) {
  return ChangeOnPhotograph(before, before, after);
}

torch::Tensor ChangeOnPhotograph(const torch::Tensor& photograph, const torch::Tensor& before,
                                 const torch::Tensor& after) {
  return (photograph + ChangeMask(before, after) * (after - before)).clamp(-1, 1);
}

}  // namespace stylex
