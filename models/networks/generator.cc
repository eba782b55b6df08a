#include "models/networks/generator.h"

#include <torch/types.h>

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr int64_t kFirstResolution = 4;

// The unfused modulated convolution (StyleGAN2 §2.2, appendix B): the style scales the input and
// demodulation scales the output, so that one ordinary convolution with shared weights processes
// the whole batch. Equal to modulating the weights, up to rounding.
torch::Tensor Demodulation(const torch::Tensor& weight, const torch::Tensor& style, double scale) {
  const torch::Tensor energy = weight.square().sum({2, 3}) * (scale * scale);         // [out, in]
  return torch::rsqrt(torch::linear(style.square(), energy) + kDemodulationEpsilon);  // [N, out]
}

torch::Tensor PerChannel(const torch::Tensor& values) { return values.unsqueeze(-1).unsqueeze(-1); }

}  // namespace

StyleVectors StyleVectors::Select(const torch::Tensor& index) const {
  return {conv.index_select(0, index), rgb.index_select(0, index)};
}

StyleVectors StyleVectors::Narrow(int64_t start, int64_t length) const {
  return {conv.narrow(0, start, length), rgb.narrow(0, start, length)};
}

StyleVectors StyleVectors::Concatenate(const std::vector<StyleVectors>& parts) {
  std::vector<torch::Tensor> all_conv, all_rgb;
  for (const StyleVectors& part : parts) {
    all_conv.push_back(part.conv);
    all_rgb.push_back(part.rgb);
  }
  return {torch::cat(all_conv), torch::cat(all_rgb)};
}

StyleVectors StyleVectors::Expand(int64_t n) const {
  return {conv.expand({n, -1}), rgb.expand({n, -1})};
}

int64_t StyleLayout::num_conv() const {
  return std::accumulate(conv.begin(), conv.end(), int64_t{0});
}

int64_t StyleLayout::num_rgb() const { return std::accumulate(rgb.begin(), rgb.end(), int64_t{0}); }

int64_t StyleLayout::LayerOf(int64_t index) const {
  TORCH_CHECK(index >= 0 && index < num_conv(), "style coordinate ", index, " out of range");
  int64_t layer = 0;
  while (index >= conv[layer]) {
    index -= conv[layer++];
  }
  return layer;
}

int64_t StyleLayout::ChannelOf(int64_t index) const { return index - Offset(LayerOf(index)); }

int64_t StyleLayout::Offset(int64_t layer) const {
  return std::accumulate(conv.begin(), conv.begin() + layer, int64_t{0});
}

GeneratorImpl::GeneratorImpl(const v1::GeneratorConfig& config, int64_t w_size, int64_t resolution,
                             int64_t image_channels)
    : w_size_(w_size) {
  TORCH_CHECK(config.channels_size() > 0, "generator without channels");
  TORCH_CHECK(kFirstResolution << (config.channels_size() - 1) == resolution, "generator with ",
              config.channels_size(), " channel counts cannot have resolution ", resolution);
  const_ = register_parameter(
      "const", torch::randn({1, config.channels(0), kFirstResolution, kFirstResolution}));
  kernel_ = register_buffer("fir_kernel", FirKernel());
  AddConv(config.channels(0), config.channels(0), kFirstResolution, /*up=*/false, w_size);
  AddToRgb(config.channels(0), image_channels, w_size);
  for (int64_t level = 1; level < config.channels_size(); ++level) {
    const int64_t side = kFirstResolution << level;
    AddConv(config.channels(level - 1), config.channels(level), side, /*up=*/true, w_size);
    AddConv(config.channels(level), config.channels(level), side, /*up=*/false, w_size);
    AddToRgb(config.channels(level), image_channels, w_size);
  }
  if (config.components() > 0) {
    TORCH_CHECK(config.components() <= w_size, config.components(), " components of a latent of ",
                w_size);
    latent_basis_ = {register_buffer("components_mean", torch::zeros({w_size})),
                     register_buffer("components_basis", torch::eye(w_size)),
                     register_buffer("components_readout", torch::eye(w_size))};
    component_layout_ = {{config.components()}, {w_size - config.components()}};
  }
}

void GeneratorImpl::AddConv(int64_t in, int64_t out, int64_t resolution, bool up, int64_t w_size) {
  const std::string prefix = absl::StrCat("conv", convs_.size());
  Conv conv;
  conv.weight = register_parameter(prefix + "_weight", torch::randn({out, in, 3, 3}));
  conv.bias = register_parameter(prefix + "_bias", torch::zeros({out}));
  conv.noise_strength = register_parameter(prefix + "_noise_strength", torch::zeros({}));
  conv.noise = register_buffer(prefix + "_noise", torch::randn({1, 1, resolution, resolution}));
  conv.affine = register_module(prefix + "_affine", EqualLinear(w_size, in, /*bias_init=*/1));
  conv.up = up;
  convs_.push_back(std::move(conv));
  channels_.conv.push_back(in);
}

void GeneratorImpl::AddToRgb(int64_t in, int64_t image_channels, int64_t w_size) {
  const std::string prefix = absl::StrCat("to_rgb", to_rgbs_.size());
  ToRgb to_rgb;
  to_rgb.weight = register_parameter(prefix + "_weight", torch::randn({image_channels, in, 1, 1}));
  to_rgb.bias = register_parameter(prefix + "_bias", torch::zeros({image_channels}));
  to_rgb.affine = register_module(prefix + "_affine", EqualLinear(w_size, in, /*bias_init=*/1));
  to_rgbs_.push_back(std::move(to_rgb));
  channels_.rgb.push_back(in);
}

StyleVectors GeneratorImpl::styles(const torch::Tensor& w) {
  TORCH_CHECK(w.size(-1) == w_size_, "latent of length ", w.size(-1), ", expected ", w_size_);
  if (!has_components()) {
    return AffineStyles(w);
  }
  TORCH_CHECK(w.dim() == 2, "a latent a layer has no components");
  const std::vector<torch::Tensor> parts =
      torch::matmul(w - latent_basis_.mean, latent_basis_.readout)
          .split_with_sizes({component_layout_.num_conv(), component_layout_.num_rgb()}, 1);
  return {parts[0].contiguous(), parts[1].contiguous()};
}

StyleVectors GeneratorImpl::ChannelStyles(const StyleVectors& styles) const {
  if (!has_components()) {
    return styles;
  }
  const torch::Tensor coordinates = torch::cat({styles.conv, styles.rgb}, 1);
  return AffineStyles(latent_basis_.mean + torch::matmul(coordinates, latent_basis_.basis));
}

StyleVectors GeneratorImpl::AffineStyles(const torch::Tensor& w) const {
  // As in StyleGAN2, convolution l takes latent l and to_rgb layer j takes latent 2j + 1.
  const auto latent = [&](size_t i) {
    return w.dim() == 3 ? w.select(1, static_cast<int64_t>(i)) : w;
  };
  std::vector<torch::Tensor> conv;
  for (size_t l = 0; l < convs_.size(); ++l) {
    conv.push_back(convs_[l].affine->forward(latent(l)));
  }
  std::vector<torch::Tensor> rgb;
  for (size_t j = 0; j < to_rgbs_.size(); ++j) {
    rgb.push_back(to_rgbs_[j].affine->forward(latent(2 * j + 1)));
  }
  return {torch::cat(conv, 1), torch::cat(rgb, 1)};
}

torch::Tensor GeneratorImpl::ApplyConv(const Conv& conv, const torch::Tensor& x,
                                       const torch::Tensor& style, Noise noise) const {
  const double scale = 1 / std::sqrt(static_cast<double>(conv.weight.size(1) * 9));
  const torch::Tensor weight = conv.weight * scale;
  const torch::Tensor modulated = x * PerChannel(style);
  torch::Tensor y;
  if (conv.up) {
    y = torch::conv_transpose2d(modulated, weight.transpose(0, 1), {}, /*stride=*/2);
    y = FirFilter(y, kernel_, 1, 1, /*stride=*/1, /*gain=*/4);
  } else {
    y = torch::conv2d(modulated, weight, {}, /*stride=*/1, /*padding=*/1);
  }
  y = y * PerChannel(Demodulation(conv.weight, style, scale));
  const torch::Tensor noise_image =
      noise == Noise::kFixed
          ? conv.noise
          : torch::randn({y.size(0), 1, y.size(2), y.size(3)}, y.options().requires_grad(false));
  const torch::Tensor shift = noise_image * conv.noise_strength + conv.bias.view({1, -1, 1, 1});
  return ScaledLeakyRelu(y + shift);
}

torch::Tensor GeneratorImpl::ApplyToRgb(const ToRgb& to_rgb, const torch::Tensor& x,
                                        const torch::Tensor& style,
                                        const torch::Tensor& image) const {
  const double scale = 1 / std::sqrt(static_cast<double>(to_rgb.weight.size(1)));
  torch::Tensor rgb = torch::conv2d(x * PerChannel(style), to_rgb.weight * scale, to_rgb.bias);
  return image.defined() ? rgb + FirUpsample(image, kernel_) : rgb;
}

torch::Tensor GeneratorImpl::Run(int64_t first, torch::Tensor x, torch::Tensor image,
                                 const StyleVectors& styles, Noise noise,
                                 SynthesisTrace* trace) const {
  const std::vector<torch::Tensor> conv_styles = styles.conv.split_with_sizes(channels_.conv, 1);
  const std::vector<torch::Tensor> rgb_styles = styles.rgb.split_with_sizes(channels_.rgb, 1);
  for (int64_t l = first; l < static_cast<int64_t>(convs_.size()); ++l) {
    if (trace != nullptr) {
      trace->conv_input.push_back(x);
    }
    x = ApplyConv(convs_[l], x, conv_styles[l], noise);
    if (l % 2 == 0) {  // the last convolution of its resolution
      image = ApplyToRgb(to_rgbs_[l / 2], x, rgb_styles[l / 2], image);
      if (trace != nullptr) {
        trace->rgb.push_back(image);
      }
    }
  }
  return image.contiguous();
}

torch::Tensor GeneratorImpl::synthesize(const StyleVectors& styles, Noise noise) {
  const torch::Tensor x = const_.expand({styles.conv.size(0), -1, -1, -1})
                              .contiguous(torch::MemoryFormat::ChannelsLast);
  return Run(0, x, {}, ChannelStyles(styles), noise, nullptr);
}

SynthesisTrace GeneratorImpl::Trace(const StyleVectors& styles) {
  SynthesisTrace trace;
  const torch::Tensor x = const_.expand({styles.conv.size(0), -1, -1, -1})
                              .contiguous(torch::MemoryFormat::ChannelsLast);
  trace.image = Run(0, x, {}, ChannelStyles(styles), Noise::kFixed, &trace);
  return trace;
}

torch::Tensor GeneratorImpl::SynthesizeFrom(int64_t layer, const SynthesisTrace& trace,
                                            const StyleVectors& styles) {
  const int64_t n = styles.conv.size(0);
  TORCH_CHECK(layer == 0 || !has_components(), "components reach every layer, not only from ",
              layer);
  const torch::Tensor x = trace.conv_input[layer].expand({n, -1, -1, -1});
  const int64_t images_done = (layer + 1) / 2;
  const torch::Tensor image =
      images_done == 0 ? torch::Tensor() : trace.rgb[images_done - 1].expand({n, -1, -1, -1});
  return Run(layer, x, image, ChannelStyles(styles), Noise::kFixed, nullptr);
}

}  // namespace stylex
