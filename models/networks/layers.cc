#include "models/networks/layers.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace stylex {

torch::Tensor ScaledLeakyRelu(const torch::Tensor& x) {
  return torch::leaky_relu(x, 0.2).mul_(std::numbers::sqrt2);
}

torch::Tensor FirKernel() {
  const torch::Tensor taps = torch::tensor({1.f, 3.f, 3.f, 1.f}) / 8.f;
  return torch::outer(taps, taps);
}

torch::Tensor FirFilter(const torch::Tensor& x, const torch::Tensor& kernel, int64_t pad_before,
                        int64_t pad_after, int64_t stride, double gain) {
  const int64_t channels = x.size(1);
  const torch::Tensor depthwise =
      (kernel * gain).to(x.dtype()).expand({channels, 1, kernel.size(0), kernel.size(1)});
  if (pad_before == pad_after) {
    return torch::conv2d(x, depthwise, {}, stride, pad_before, 1, channels);
  }
  const torch::Tensor padded =
      torch::constant_pad_nd(x, {pad_before, pad_after, pad_before, pad_after});
  constexpr int64_t kNoPadding = 0;  // a literal 0 would also be a null string
  return torch::conv2d(padded, depthwise, {}, stride, kNoPadding, 1, channels);
}

torch::Tensor FirUpsample(const torch::Tensor& x, const torch::Tensor& kernel) {
  const int64_t channels = x.size(1);
  const torch::Tensor depthwise =
      (kernel * 4).to(x.dtype()).expand({channels, 1, kernel.size(0), kernel.size(1)});
  // Zero insertion and filtering at once; the kernel is symmetric, so the flip does not matter.
  return torch::conv_transpose2d(x, depthwise, {}, /*stride=*/2, /*padding=*/1,
                                 /*output_padding=*/0, channels);
}

torch::Tensor InferenceConv2d(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& bias, int64_t padding) {
  const std::array<int64_t, 2> pads = {padding, padding}, ones = {1, 1};
  if (x.is_cpu() && at::hasMKLDNN() && x.scalar_type() == torch::kFloat32) {
    const auto optional_bias = bias.defined() ? c10::optional<torch::Tensor>(bias) : c10::nullopt;
    return at::mkldnn_convolution(x, weight, optional_bias, pads, ones, ones, 1);
  }
  return torch::conv2d(x, weight, bias, ones, pads, ones, 1);
}

torch::Tensor AppendMinibatchStddev(const torch::Tensor& x, int64_t group) {
  const int64_t n = x.size(0);
  const int64_t g = std::min(n, group);
  TORCH_CHECK(n % g == 0, "minibatch stddev: batch ", n, " is not a multiple of the group ", g);
  torch::Tensor y = x.reshape({g, n / g, x.size(1), x.size(2), x.size(3)});
  y = y - y.mean(0, /*keepdim=*/true);
  y = (y.square().mean(0) + 1e-8).sqrt();                // [N/g, C, H, W]
  y = y.mean({1, 2, 3}).repeat({g}).view({n, 1, 1, 1});  // sample n gets subgroup n mod (N/g)
  return torch::cat({x, y.expand({n, 1, x.size(2), x.size(3)})}, 1);
}

EqualLinearImpl::EqualLinearImpl(int64_t in, int64_t out, double bias_init, double lr_multiplier)
    : scale_(lr_multiplier / std::sqrt(static_cast<double>(in))), lr_multiplier_(lr_multiplier) {
  weight = register_parameter("weight", torch::randn({out, in}) / lr_multiplier);
  bias = register_parameter("bias", torch::full({out}, bias_init / lr_multiplier));
}

torch::Tensor EqualLinearImpl::forward(const torch::Tensor& x) const {
  return torch::linear(x, weight * scale_, bias * lr_multiplier_);
}

EqualConv2dImpl::EqualConv2dImpl(int64_t in, int64_t out, int64_t kernel, bool with_bias)
    : scale_(1 / std::sqrt(static_cast<double>(in * kernel * kernel))) {
  weight = register_parameter("weight", torch::randn({out, in, kernel, kernel}));
  if (with_bias) {
    bias = register_parameter("bias", torch::zeros({out}));
  }
}

torch::Tensor EqualConv2dImpl::forward(const torch::Tensor& x, int64_t stride) const {
  const int64_t padding = stride == 1 ? weight.size(2) / 2 : 0;
  return torch::conv2d(x, weight * scale_, bias, stride, padding);
}

}  // namespace stylex
