// The generator's pass on the CPU, float32, without gradients: weights are prepared once,
// activations are channels last, and what surrounds a convolution is one loop. Equal to the
// generator's own pass up to rounding (1e-5 of the images' range).
#ifndef STYLEX_MODELS_CPU_SYNTHESIS_H_
#define STYLEX_MODELS_CPU_SYNTHESIS_H_

#include <torch/types.h>

#include <cstdint>
#include <numbers>
#include <vector>

#include "models/networks/generator.h"

namespace stylex {

inline constexpr double kActivationGain = std::numbers::sqrt2;  // of the generator's leaky ReLU

// What does not depend on the image: weights in the layout that the kernels need. Immutable.
class SynthesisPlan {
 public:
  // Copies the current weights. The generator must be on the CPU.
  explicit SynthesisPlan(const GeneratorImpl& generator);

  struct Conv {
    int64_t in = 0, out = 0;
    int64_t in_side = 0, out_side = 0;
    bool up = false;
    torch::Tensor taps;    // [in, 9, out]: scaled weights, tap by tap
    torch::Tensor weight;  // as [out, 3, 3, in], or up: [9, out, in]
    torch::Tensor energy;  // [in, out]: sum of the squared scaled weights
    torch::Tensor shift;   // [P, out]: sqrt(2) (fixed noise x strength + bias)
  };
  struct ToRgb {
    torch::Tensor weight;  // [planes, in], scaled
    torch::Tensor bias;    // [planes]
  };

  const std::vector<Conv>& convs() const { return convs_; }
  const std::vector<ToRgb>& to_rgbs() const { return to_rgbs_; }
  const torch::Tensor& constant() const { return constant_; }  // [4, 4, C]
  // Channels of the images.
  int64_t planes() const { return to_rgbs_[0].weight.size(0); }
  // Side of the images.
  int64_t resolution() const { return convs_.back().out_side; }
  const StyleLayout& layout() const { return layout_; }
  // As GeneratorImpl::ChannelStyles, by one matrix product.
  StyleVectors ChannelStyles(const StyleVectors& styles) const;
  // Bytes of the largest activation of one image from convolution `layer` on, for choosing a batch
  // size.
  int64_t BytesPerImage(int64_t layer) const;

 private:
  void CopyStyles(const GeneratorImpl& generator);

  StyleLayout layout_;
  // Of components: channels' styles = coordinates . weight + bias, [W, S] and [S]; else undefined.
  torch::Tensor styles_weight_;
  torch::Tensor styles_bias_;
  torch::Tensor constant_;
  std::vector<Conv> convs_;
  std::vector<ToRgb> to_rgbs_;
};

// A convolution without demodulation. x: [N, in_side, in_side, in]; weight: conv.weight's shape,
// e.g. with styles folded in -> [N, out_side, out_side, out]. Where `shift` is not null, it is
// added and the result activated (synthesis_kernels.h).
torch::Tensor Convolve(const SynthesisPlan::Conv& conv, const torch::Tensor& weight,
                       const torch::Tensor& x, const float* shift);

// The image [N, side, side, planes] after a to_rgb layer. x: [N, side, side, channels]; weight:
// with the styles folded in, [planes, channels], or [N, planes, channels] for styles of each
// image's own; `below`: the image so far, undefined at the first layer.
torch::Tensor ApplyToRgb(const torch::Tensor& weight, const torch::Tensor& bias,
                         const torch::Tensor& x, const torch::Tensor& below);

// One image for each of N styles of all channels (not of components), [N, planes, R, R], not
// clamped. The fixed noise is used. Thread-safe.
torch::Tensor Synthesize(const SynthesisPlan& plan, const StyleVectors& styles);

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_SYNTHESIS_H_
