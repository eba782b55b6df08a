// MobileNetV2 (Sandler et al. 2018) with torchvision's parameter names, so that a state_dict of
// torchvision's `mobilenet_v2` loads unchanged.
#ifndef STYLEX_MODELS_NETWORKS_MOBILENET_V2_H_
#define STYLEX_MODELS_NETWORKS_MOBILENET_V2_H_

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <array>
#include <map>
#include <string>
#include <vector>

namespace stylex {

// Blocks whose outputs ForwardWithFeatures returns.
inline constexpr std::array<size_t, 4> kMobileNetTaps = {1, 3, 6, 13};

class InvertedResidualImpl : public torch::nn::Module {
 public:
  // `expansion`: hidden channels per input channel.
  InvertedResidualImpl(int64_t in, int64_t out, int64_t stride, int64_t expansion);
  // [N, in, H, W] -> [N, out, H / stride, W / stride].
  torch::Tensor forward(const torch::Tensor& x);
  // Whether the input is added to the output.
  bool residual() const { return residual_; }

 private:
  bool residual_;
  torch::nn::Sequential conv_;
};
TORCH_MODULE(InvertedResidual);

class MobileNetV2Impl : public torch::nn::Module {
 public:
  // width_multiplier 1 is torchvision's default; strides are torchvision's at every input size.
  MobileNetV2Impl(int64_t image_channels, int64_t num_classes, double width_multiplier = 1);

  // x: [N, image_channels, R, R] in [-1, 1] -> logits [N, num_classes].
  torch::Tensor forward(const torch::Tensor& x);

  // Logits, and activations after blocks 1, 3, 6 and 13 (at 1/2, 1/4, 1/8 and 1/16 of the input's
  // size), which the perceptual loss compares.
  struct Features {
    torch::Tensor logits;
    std::vector<torch::Tensor> taps;  // [N, C_l, H_l, W_l]
  };
  // The same, with the activations of several depths.
  Features ForwardWithFeatures(const torch::Tensor& x);

 private:
  torch::nn::Sequential features_;
  torch::nn::Sequential classifier_;
};
TORCH_MODULE(MobileNetV2);

// Parameters and buffers by name, each behind `prefix`.
std::map<std::string, torch::Tensor> NamedTensors(const MobileNetV2& network,
                                                  const std::string& prefix = "");

}  // namespace stylex

#endif  // STYLEX_MODELS_NETWORKS_MOBILENET_V2_H_
