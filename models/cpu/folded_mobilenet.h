// MobileNetV2 for inference: batch normalisation folded into the convolutions, and a CPU
// implementation that passes over each activation once. With LibTorch's separate operators, small
// images take more time between convolutions than in them.
#ifndef STYLEX_MODELS_CPU_FOLDED_MOBILENET_H_
#define STYLEX_MODELS_CPU_FOLDED_MOBILENET_H_

#include <torch/types.h>

#include <vector>

#include "models/networks/mobilenet_v2.h"

namespace stylex {

class FoldedMobileNet {
 public:
  // Copies the network, which is treated as in evaluation mode; later changes do not affect the
  // copy. Logits are multiplied by `logit_scale`.
  FoldedMobileNet(const MobileNetV2Impl& network, double logit_scale);

  // As MobileNetV2Impl::ForwardWithFeatures, up to rounding and the scale; differentiable in x.
  // Thread-safe, as is Logits.
  MobileNetV2Impl::Features ForwardWithFeatures(const torch::Tensor& x) const;
  // Only the logits, [N, K]; on the CPU without gradients, elsewhere as ForwardWithFeatures.
  torch::Tensor Logits(const torch::Tensor& x) const;

  // Moves all tensors; not thread-safe.
  void To(const torch::Device& device);

  // Multiplications of the convolutions for one image of this size.
  int64_t MultiplyAdds(int64_t height, int64_t width) const;

 private:
  // y = conv(x, weight) + bias, then relu6 where the network has it.
  struct Conv {
    torch::Tensor weight, bias;
    // The weight for the CPU implementation: [in / groups, taps, out].
    torch::Tensor direct;
    int64_t stride = 1, padding = 0, groups = 1;
    bool relu6 = true;
  };
  // A sequence of convolutions; if `residual`, the input is added at the end.
  struct Block {
    std::vector<Conv> convs;
    bool residual = false;
  };

  static std::vector<Conv> ConvsOf(torch::nn::Module& block);
  // The whole network on a batch that fits into the caches: x contiguous -> [N, K].
  torch::Tensor LogitsOfPart(const torch::Tensor& x) const;
  torch::Tensor ApplyDirectly(const Conv& conv, const torch::Tensor& x,
                              const torch::Tensor& residual) const;
  // Calls visit(conv, pixels of its output) in order, for images of this size.
  template <typename Visit>
  void ForEachConv(int64_t height, int64_t width, Visit visit) const;
  // Bytes of the largest activation of one image.
  int64_t BytesPerImage(int64_t height, int64_t width) const;

  std::vector<Block> blocks_;
  torch::Tensor linear_weight_, linear_bias_;
};

}  // namespace stylex

#endif  // STYLEX_MODELS_CPU_FOLDED_MOBILENET_H_
