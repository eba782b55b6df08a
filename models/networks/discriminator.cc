#include "models/networks/discriminator.h"

#include <torch/types.h>

#include <numbers>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr int64_t kEncoderStddevGroup = 4;  // as in the replication study

std::vector<int64_t> ToVector(const google::protobuf::RepeatedField<int32_t>& values) {
  return {values.begin(), values.end()};
}

}  // namespace

ResidualBodyImpl::ResidualBodyImpl(const std::vector<int64_t>& channels, int64_t image_channels,
                                   int64_t stddev_group, int64_t outputs)
    : stddev_group_(stddev_group) {
  kernel_ = register_buffer("fir_kernel", FirKernel());
  from_rgb_ = register_module("from_rgb", EqualConv2d(image_channels, channels.back(), 1, true));
  for (size_t level = channels.size() - 1; level > 0; --level) {
    const int64_t in = channels[level];
    const int64_t out = channels[level - 1];
    const std::string prefix = absl::StrCat("block", blocks_.size(), "_");
    Block block;
    block.conv1 = register_module(prefix + "conv1", EqualConv2d(in, in, 3, true));
    block.conv2 = register_module(prefix + "conv2", EqualConv2d(in, out, 3, true));
    block.skip = register_module(prefix + "skip", EqualConv2d(in, out, 1, false));
    blocks_.push_back(std::move(block));
  }
  const int64_t last = channels.front();
  final_conv_ =
      register_module("final_conv", EqualConv2d(last + (stddev_group > 0 ? 1 : 0), last, 3, true));
  final_linear_ = register_module("final_linear", EqualLinear(last * 16, last));
  output_ = register_module("output", EqualLinear(last, outputs));
}

torch::Tensor ResidualBodyImpl::forward(const torch::Tensor& x,
                                        std::vector<torch::Tensor>* features) {
  const auto keep = [features](const torch::Tensor& activation) {
    if (features != nullptr) {
      features->push_back(activation);
    }
  };
  torch::Tensor y = x.contiguous(torch::MemoryFormat::ChannelsLast);
  y = ScaledLeakyRelu(from_rgb_->forward(y));
  keep(y);
  for (const Block& block : blocks_) {
    torch::Tensor main = ScaledLeakyRelu(block.conv1->forward(y));
    main = block.conv2->forward(FirFilter(main, kernel_, 2, 2), /*stride=*/2);
    main = ScaledLeakyRelu(main);
    // Filtering with stride 2 computes only the samples that the strided 1x1 convolution reads.
    const torch::Tensor skip = block.skip->forward(FirFilter(y, kernel_, 1, 1, /*stride=*/2));
    y = (main + skip) * (1 / std::numbers::sqrt2);
    keep(y);
  }
  return Head(y);
}

torch::Tensor ResidualBodyImpl::Head(const torch::Tensor& x) const {
  torch::Tensor y = stddev_group_ > 0 ? AppendMinibatchStddev(x, stddev_group_) : x;
  y = ScaledLeakyRelu(final_conv_->forward(y));
  // Flattening reads channel-major, whatever the memory format.
  y = ScaledLeakyRelu(final_linear_->forward(y.contiguous().flatten(1)));
  return output_->forward(y);
}

DiscriminatorImpl::DiscriminatorImpl(const v1::DiscriminatorConfig& config, int64_t image_channels,
                                     int64_t num_classes)
    : conditional_(config.conditional()) {
  body_ = register_module(
      "body", ResidualBody(ToVector(config.channels()), image_channels,
                           config.minibatch_stddev_group(), conditional_ ? num_classes : 1));
}

torch::Tensor DiscriminatorImpl::forward(const torch::Tensor& x, const torch::Tensor& probabilities,
                                         std::vector<torch::Tensor>* features) {
  return Scores(body_->forward(x, features), probabilities);
}

torch::Tensor DiscriminatorImpl::Scores(const torch::Tensor& outputs,
                                        const torch::Tensor& probabilities) const {
  return conditional_ ? (outputs * probabilities).sum(1) : outputs.squeeze(1);
}

EncoderImpl::EncoderImpl(const v1::EncoderConfig& config, int64_t image_channels,
                         int64_t latent_size) {
  body_ = register_module(
      "body", ResidualBody(ToVector(config.channels()), image_channels,
                           config.minibatch_stddev() ? kEncoderStddevGroup : 0, latent_size));
}

torch::Tensor EncoderImpl::forward(const torch::Tensor& x) { return body_->forward(x); }

MappingImpl::MappingImpl(int64_t latent_size, int64_t layers, double lr_multiplier) {
  for (int64_t m = 0; m < layers; ++m) {
    layers_.push_back(register_module(absl::StrCat("layer", m),
                                      EqualLinear(latent_size, latent_size, 0, lr_multiplier)));
  }
}

torch::Tensor MappingImpl::forward(const torch::Tensor& z) {
  torch::Tensor w = z * torch::rsqrt(z.square().mean(1, /*keepdim=*/true) + 1e-8);
  for (EqualLinear& layer : layers_) {
    w = ScaledLeakyRelu(layer->forward(w));
  }
  return w;
}

}  // namespace stylex
