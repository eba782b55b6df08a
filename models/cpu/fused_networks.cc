#include "models/cpu/fused_networks.h"

#include <torch/types.h>

#include <cmath>

#include "models/cpu/fused_layers.h"

namespace stylex {
namespace {

// Noise of a layer's result, times its strength; undefined where there is none.
torch::Tensor NoiseOf(const GeneratorImpl::Conv& conv, int64_t n) {
  const torch::Tensor& strength = conv.noise_strength;
  if (!strength.requires_grad() && strength.item<float>() == 0) {
    return {};
  }
  return torch::randn({n, 1, conv.noise.size(2), conv.noise.size(3)}) * strength;
}

// Modulated and scaled: [N, planes, C].
torch::Tensor RgbWeight(const GeneratorImpl::ToRgb& to_rgb, const torch::Tensor& style) {
  const double scale = 1 / std::sqrt(static_cast<double>(to_rgb.weight.size(1)));
  return to_rgb.weight.flatten(1) * scale * style.unsqueeze(1);
}

torch::Tensor RunBody(const ResidualBody& body, const torch::Tensor& images, torch::ScalarType type,
                      std::vector<torch::Tensor>* features) {
  const auto keep = [features](const torch::Tensor& activation) {
    if (features != nullptr) {
      features->push_back(activation);
    }
  };
  torch::Tensor y = ReadRgb(images, body->from_rgb()->weight, body->from_rgb()->bias, type);
  keep(y);
  for (const ResidualBodyImpl::Block& block : body->blocks()) {
    y = ResidualBlock(y, {block.conv1->weight, block.conv1->bias, block.conv2->weight,
                          block.conv2->bias, block.skip->weight});
    keep(y);
  }
  return body->Head(y.to(torch::kFloat32));
}

}  // namespace

bool CpuMultipliesInBfloat16() {
#if defined(__x86_64__) && defined(__GNUC__)
  return at::hasMKLDNN() && __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

torch::Tensor FusedSynthesize(Generator generator, const StyleVectors& styles,
                              torch::ScalarType type) {
  const StyleVectors of_channels = generator->ChannelStyles(styles);
  const StyleLayout& layout = generator->channel_layout();
  const std::vector<torch::Tensor> conv_styles = of_channels.conv.split_with_sizes(layout.conv, 1);
  const std::vector<torch::Tensor> rgb_styles = of_channels.rgb.split_with_sizes(layout.rgb, 1);
  const int64_t n = of_channels.conv.size(0);
  StyledResult result;
  result.x = generator->constant().to(type).expand({n, -1, -1, -1});
  for (size_t l = 0; l < generator->convs().size(); ++l) {
    const GeneratorImpl::Conv& conv = generator->convs()[l];
    StyledConvolution layer;
    layer.style = conv_styles[l];
    layer.weight = conv.weight;
    layer.bias = conv.bias;
    layer.noise = NoiseOf(conv, n);
    layer.up = conv.up;
    if (l % 2 == 0) {  // the last convolution of its resolution
      const GeneratorImpl::ToRgb& to_rgb = generator->to_rgbs()[l / 2];
      layer.rgb_weight = RgbWeight(to_rgb, rgb_styles[l / 2]);
      layer.rgb_bias = to_rgb.bias;
      layer.below = result.image;
    }
    StyledResult next = Apply(layer, result.x);
    result.x = next.x;
    result.image = next.image.defined() ? next.image : result.image;
  }
  return result.image;
}

torch::Tensor FusedEncode(Encoder encoder, const torch::Tensor& images, torch::ScalarType type) {
  return RunBody(encoder->body(), images, type, nullptr);
}

torch::Tensor FusedDiscriminate(Discriminator discriminator, const torch::Tensor& images,
                                const torch::Tensor& probabilities, torch::ScalarType type,
                                std::vector<torch::Tensor>* features) {
  return discriminator->Scores(RunBody(discriminator->body(), images, type, features),
                               probabilities);
}

}  // namespace stylex
