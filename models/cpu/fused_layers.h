// The layers of generator, encoder and discriminator for training on the CPU: each convolution with
// all that surrounds it is one operation with a backward pass written by hand. Activations are
// float32 or bfloat16, channels last; weights, styles, biases and images are float32, and so are
// all gradients of these. Weights are rounded once per operation.
//
// They can be differentiated once: a second derivative (R1, path length) needs the layers of
// models/networks, whose results these equal up to rounding. Deterministic for one kind of
// processor and a number of threads.
#ifndef STYLEX_MODELS_CPU_FUSED_LAYERS_H_
#define STYLEX_MODELS_CPU_FUSED_LAYERS_H_

#include <torch/types.h>

namespace stylex {

// A modulated 3x3 convolution of the generator (GeneratorImpl::Conv), and the to_rgb layer that
// reads its result, if there is one.
struct StyledConvolution {
  torch::Tensor style;   // [N, in]
  torch::Tensor weight;  // [out, in, 3, 3], not scaled
  torch::Tensor bias;    // [out]
  torch::Tensor noise;   // [N, 1, H, W] of the result, times its strength; undefined: none
  bool up = false;
  // 1x1, modulated and scaled, [N, planes, out] with 1 or 3 planes; undefined: no to_rgb layer.
  torch::Tensor rgb_weight;
  torch::Tensor rgb_bias;  // [planes]
  torch::Tensor below;  // image [N, planes, H/2, W/2] that is enlarged and added; may be undefined
};
struct StyledResult {
  torch::Tensor x;      // [N, out, H, W], of the input's type
  torch::Tensor image;  // [N, planes, H, W], float32; undefined without a to_rgb layer
};
// x: [N, in, H, W], or [N, in, H/2, W/2] if it enlarges.
StyledResult Apply(const StyledConvolution& layer, const torch::Tensor& x);

// sqrt(2) leaky_relu of a 1x1 convolution. images: [N, planes, H, W], float32, 1 or 3 planes;
// weight: [out, planes, 1, 1], not scaled -> [N, out, H, W] of type `type`.
torch::Tensor ReadRgb(const torch::Tensor& images, const torch::Tensor& weight,
                      const torch::Tensor& bias, torch::ScalarType type);

// The weights of a block of ResidualBody, not scaled.
struct ResidualWeights {
  torch::Tensor weight1;  // [in, in, 3, 3]
  torch::Tensor bias1;    // [in]
  torch::Tensor weight2;  // [out, in, 3, 3]
  torch::Tensor bias2;    // [out]
  torch::Tensor skip;     // [out, in, 1, 1]
};
// x: [N, in, H, W] -> [N, out, H/2, W/2], of the same type.
torch::Tensor ResidualBlock(const torch::Tensor& x, const ResidualWeights& weights);

// The mean of |a - b|, float32, of tensors of one type and layout; `a` has no gradient.
torch::Tensor MeanAbsoluteDifference(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_FUSED_LAYERS_H_
