// Synthesizes many variants of one image, each with the style of one channel changed, as AttFind
// needs them (StylEx, Lang et al. 2021, §3.2), with far fewer operations than whole passes
// (synthesis.h), whose weights and loops it shares.
//
//   - The unmodified image's activations are kept; a variant is computed from the moved layer on.
//   - In the moved layer the output is linear in the style before demodulation, so that the variant
//     is the image's output plus the convolution of one input channel, which both directions share;
//     demodulation follows from the squared weights.
//   - Above the moved layer all variants share their styles, which are folded into the weights:
//     plain convolutions with shared weights, in channels-last order.
//
// On the CPU, float32. Equal to the generator's own pass up to rounding (1e-5 of the images'
// range).
#ifndef STYLEX_MODELS_CPU_VARIANT_SYNTHESIS_H_
#define STYLEX_MODELS_CPU_VARIANT_SYNTHESIS_H_

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/cpu/synthesis.h"

namespace stylex {

// A new value of one channel's style in one convolution.
struct StyleChange {
  int64_t layer = 0;
  int64_t channel = 0;
  float value = 0;
};

class VariantSynthesis {
 public:
  // styles: one image, [1, ...], on the CPU. Synthesizes the unmodified image.
  VariantSynthesis(std::shared_ptr<const SynthesisPlan> plan, const StyleVectors& styles);

  // The unmodified image, [1, planes, R, R], not clamped.
  torch::Tensor image() const { return ToImages(rgb_.back()); }
  // One image for each change, [M, planes, R, R], not clamped. Changes must be sorted by layer; all
  // variants run through the layers together, each starting at its own. Adjacent changes of the
  // same channel share work. Thread-safe; uses one thread, because many batches in parallel are
  // faster than each of them on all cores.
  torch::Tensor Draw(std::span<const StyleChange> changes) const;

 private:
  struct Folded {
    torch::Tensor style;   // [in]
    torch::Tensor energy;  // [out], float64: sum of style^2 energy
    torch::Tensor weight;  // styles and demodulation folded in; SynthesisPlan::Conv's shape
    torch::Tensor input;   // [in_side, in_side, in]: of the unmodified image
    torch::Tensor output;  // [P, out] before shift and activation
  };

  torch::Tensor ToImages(const torch::Tensor& rgb) const;
  // x: [M, in_side, in_side, in] -> [M, out_side, out_side, out] before shift and activation.
  torch::Tensor Convolve(int64_t layer, const torch::Tensor& x, bool activate) const;
  torch::Tensor DrawRgb(int64_t level, const torch::Tensor& x, const torch::Tensor& below) const;
  // Outputs of the moved layer, the same for all changes: [M, side, side, out].
  torch::Tensor MoveChannels(std::span<const StyleChange> changes) const;
  void Demodulate(const StyleChange& change, float* gain, float* slope) const;

  std::shared_ptr<const SynthesisPlan> plan_;
  std::vector<Folded> folded_;
  std::vector<torch::Tensor> rgb_weights_;  // [planes, in], styles folded in
  std::vector<torch::Tensor> rgb_;          // [1, side, side, planes] after each to_rgb layer
};

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_VARIANT_SYNTHESIS_H_
