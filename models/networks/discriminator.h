// The StyleGAN2 residual discriminator and the encoder, which has the same body and outputs a
// latent (StylEx, Lang et al. 2021, §3.1).
#ifndef STYLEX_MODELS_NETWORKS_DISCRIMINATOR_H_
#define STYLEX_MODELS_NETWORKS_DISCRIMINATOR_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <vector>

#include "models/networks/layers.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// From an image to a vector: from_rgb, one residual block a resolution down to 4x4, a convolution,
// two fully connected layers.
class ResidualBodyImpl : public torch::nn::Module {
 public:
  // channels: at 4, 8, 16, ... pixels. stddev_group 0: no minibatch-stddev channel.
  ResidualBodyImpl(const std::vector<int64_t>& channels, int64_t image_channels,
                   int64_t stddev_group, int64_t outputs);
  // x: [N, image_channels, R, R] -> [N, outputs].
  // `features`, unless null, get what from_rgb and each block put out, from fine to coarse.
  torch::Tensor forward(const torch::Tensor& x, std::vector<torch::Tensor>* features = nullptr);

  // The parts of forward, for other ways to compute it.
  struct Block {
    EqualConv2d conv1{nullptr};
    EqualConv2d conv2{nullptr};
    EqualConv2d skip{nullptr};
  };
  const EqualConv2d& from_rgb() const { return from_rgb_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  // From what the last block puts out, [N, C, 4, 4], to the result.
  torch::Tensor Head(const torch::Tensor& x) const;

 private:
  int64_t stddev_group_;
  torch::Tensor kernel_;
  EqualConv2d from_rgb_{nullptr};
  std::vector<Block> blocks_;
  EqualConv2d final_conv_{nullptr};
  EqualLinear final_linear_{nullptr};
  EqualLinear output_{nullptr};
};
TORCH_MODULE(ResidualBody);

class DiscriminatorImpl : public torch::nn::Module {
 public:
  // A checked config; fresh weights.
  DiscriminatorImpl(const v1::DiscriminatorConfig& config, int64_t image_channels,
                    int64_t num_classes);
  // x: [N, C, R, R]; probabilities: [N, K], not read by an unconditional discriminator. -> [N]
  // scores, higher is more real: sum_k p_k D_k(x).
  // `features`: see ResidualBody.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& probabilities,
                        std::vector<torch::Tensor>* features = nullptr);

  const ResidualBody& body() const { return body_; }
  // The scores from what the body puts out.
  torch::Tensor Scores(const torch::Tensor& outputs, const torch::Tensor& probabilities) const;

 private:
  bool conditional_;
  ResidualBody body_{nullptr};
};
TORCH_MODULE(Discriminator);

class EncoderImpl : public torch::nn::Module {
 public:
  // A checked config; fresh weights.
  EncoderImpl(const v1::EncoderConfig& config, int64_t image_channels, int64_t latent_size);
  // x: [N, C, R, R] in [-1, 1] -> [N, latent_size].
  torch::Tensor forward(const torch::Tensor& x);

  const ResidualBody& body() const { return body_; }

 private:
  ResidualBody body_{nullptr};
};
TORCH_MODULE(Encoder);

// z -> w: pixel norm and fully connected layers with a small learning-rate multiplier.
class MappingImpl : public torch::nn::Module {
 public:
  // The learning rate of its weights is multiplied by `lr_multiplier`.
  MappingImpl(int64_t latent_size, int64_t layers, double lr_multiplier);
  // [N, latent_size] -> [N, latent_size].
  torch::Tensor forward(const torch::Tensor& z);

 private:
  std::vector<EqualLinear> layers_;
};
TORCH_MODULE(Mapping);

}  // namespace stylex

#endif  // STYLEX_MODELS_NETWORKS_DISCRIMINATOR_H_
