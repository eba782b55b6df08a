// Building blocks of StyleGAN2's networks: equalized-learning-rate layers, the scaled leaky ReLU,
// FIR filtering and the minibatch-stddev channel (StyleGAN2, Karras et al. 2020, appendix B).
//
// All consist of standard operations that can be differentiated twice, as R1 and path length need.
// Forward passes are thread-safe.
#ifndef STYLEX_MODELS_NETWORKS_LAYERS_H_
#define STYLEX_MODELS_NETWORKS_LAYERS_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

namespace stylex {

// leaky_relu(x, 0.2) * sqrt(2): keeps the variance of its input.
torch::Tensor ScaledLeakyRelu(const torch::Tensor& x);

// FIR kernel [1,3,3,1] x [1,3,3,1] normalised to sum 1 -> [4, 4], float32.
torch::Tensor FirKernel();

// Filters every channel of x [N, C, H, W] with kernel [4, 4] * gain after padding by pad_before on
// the left and top and pad_after on the right and bottom; keeps every `stride`-th sample.
torch::Tensor FirFilter(const torch::Tensor& x, const torch::Tensor& kernel, int64_t pad_before,
                        int64_t pad_after, int64_t stride = 1, double gain = 1);

// Doubles the size by FIR interpolation, as in the generator's skip connection. [N, C, H, W] -> [N,
// C, 2H, 2W].
torch::Tensor FirUpsample(const torch::Tensor& x, const torch::Tensor& kernel);

// conv2d of channels-last activations without gradients: always oneDNN's on the CPU (conv2d itself
// computes small batches as a matrix product in a library with its own threads), conv2d elsewhere.
// `bias` may be undefined.
torch::Tensor InferenceConv2d(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& bias, int64_t padding);

// Appends a channel with the standard deviation over groups of images (Karras et al. 2018, §3): g =
// min(N, group) images per subgroup; sample n belongs to subgroup n mod (N / g). N must be
// divisible by g.
torch::Tensor AppendMinibatchStddev(const torch::Tensor& x, int64_t group);

// y = x (W * lr_multiplier / sqrt(in))^T + b * lr_multiplier, W ~ N(0, 1) / lr_multiplier.
class EqualLinearImpl : public torch::nn::Module {
 public:
  // The learning rate of weight and bias is multiplied by `lr_multiplier`.
  EqualLinearImpl(int64_t in, int64_t out, double bias_init = 0, double lr_multiplier = 1);
  // [..., in] -> [..., out].
  torch::Tensor forward(const torch::Tensor& x) const;

  torch::Tensor weight;  // [out, in]
  torch::Tensor bias;    // [out]

 private:
  double scale_;
  double lr_multiplier_;
};
TORCH_MODULE(EqualLinear);

// Convolution with W * 1 / sqrt(in * k * k), W ~ N(0, 1); "same" padding unless stride is 2.
class EqualConv2dImpl : public torch::nn::Module {
 public:
  // `kernel`: its side, odd.
  EqualConv2dImpl(int64_t in, int64_t out, int64_t kernel, bool with_bias);
  // stride 1: padded by kernel / 2; stride 2: not padded (the input has been filtered and padded).
  torch::Tensor forward(const torch::Tensor& x, int64_t stride = 1) const;

  torch::Tensor weight;  // [out, in, kernel, kernel]
  torch::Tensor bias;    // [out], undefined without bias

 private:
  double scale_;
};
TORCH_MODULE(EqualConv2d);

}  // namespace stylex

#endif  // STYLEX_MODELS_NETWORKS_LAYERS_H_
