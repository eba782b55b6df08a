#include "models/cpu/synthesis.h"

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/cpu/synthesis_kernels.h"
#include "models/networks/layers.h"

namespace stylex {
namespace {

// The columns of an upsampling convolution are computed and consumed in pieces that fit into the
// cache.
constexpr int64_t kColumnBytes = int64_t{2} << 20;

const float* Values(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }

SynthesisPlan::Conv MakeConv(const GeneratorImpl::Conv& conv) {
  SynthesisPlan::Conv made;
  made.out = conv.weight.size(0);
  made.in = conv.weight.size(1);
  made.up = conv.up;
  made.out_side = conv.noise.size(2);
  made.in_side = made.up ? made.out_side / 2 : made.out_side;
  const torch::Tensor weight =
      conv.weight.detach() * (1 / std::sqrt(static_cast<double>(made.in * 9)));
  made.taps = weight.permute({1, 2, 3, 0}).reshape({made.in, 9, made.out}).contiguous();
  made.weight = made.up ? weight.permute({2, 3, 0, 1}).reshape({9, made.out, made.in}).contiguous()
                        : weight.permute({0, 2, 3, 1}).contiguous();
  made.energy = weight.square().sum({2, 3}).t().contiguous();
  const torch::Tensor noise = (conv.noise * conv.noise_strength.detach()).view({-1, 1});
  made.shift = ((noise + conv.bias.detach()) * kActivationGain).contiguous();
  return made;
}

torch::Tensor ConvolveUp(const SynthesisPlan::Conv& conv, const torch::Tensor& weight,
                         const torch::Tensor& x, const float* shift) {
  const int64_t count = x.size(0), out_size = conv.out_side * conv.out_side * conv.out;
  const torch::Tensor taps = weight.view({9 * conv.out, conv.in, 1, 1});
  torch::Tensor y = torch::empty({count, conv.out_side, conv.out_side, conv.out});
  const int64_t columns_size = conv.in_side * conv.in_side * 9 * conv.out;
  const int64_t piece = std::max<int64_t>(1, kColumnBytes / (columns_size * 4));
  std::vector<float> scratch(kernels::UpFilterScratch(conv.in_side, conv.out));
  for (int64_t start = 0; start < count; start += piece) {
    const int64_t length = std::min(piece, count - start);
    const torch::Tensor columns =
        InferenceConv2d(x.narrow(0, start, length).permute({0, 3, 1, 2}), taps, {}, 0)
            .permute({0, 2, 3, 1})
            .contiguous();
    for (int64_t i = 0; i < length; ++i) {
      kernels::UpFilterAndActivate(Values(columns) + i * columns_size, shift, conv.in_side,
                                   conv.out, scratch.data(),
                                   y.data_ptr<float>() + (start + i) * out_size);
    }
  }
  return y;
}

// The convolution with styles [N, in], which scale its input, and with what follows it. x: as
// Convolve's, or one for all images.
torch::Tensor ConvolveStyled(const SynthesisPlan::Conv& conv, const torch::Tensor& style,
                             const torch::Tensor& x) {
  const int64_t count = style.size(0), in_pixels = conv.in_side * conv.in_side;
  torch::Tensor scaled = torch::empty({count, conv.in_side, conv.in_side, conv.in});
  for (int64_t i = 0; i < count; ++i) {
    kernels::ScaleChannels(Values(x) + (x.size(0) == 1 ? 0 : i) * in_pixels * conv.in,
                           Values(style) + i * conv.in, in_pixels, conv.in,
                           scaled.data_ptr<float>() + i * in_pixels * conv.in);
  }
  torch::Tensor y = Convolve(conv, conv.weight, scaled, nullptr);
  std::vector<float> gain(static_cast<size_t>(conv.out));
  const int64_t pixels = conv.out_side * conv.out_side;
  for (int64_t i = 0; i < count; ++i) {
    kernels::Demodulation(Values(style) + i * conv.in, Values(conv.energy), conv.in, conv.out,
                          static_cast<float>(kDemodulationEpsilon), gain.data());
    kernels::ScaleAddAndActivate(gain.data(), Values(conv.shift), pixels, conv.out,
                                 y.data_ptr<float>() + i * pixels * conv.out);
  }
  return y;
}

}  // namespace

SynthesisPlan::SynthesisPlan(const GeneratorImpl& generator) : layout_(generator.channel_layout()) {
  torch::NoGradGuard no_grad;
  constant_ = generator.constant().detach()[0].permute({1, 2, 0}).contiguous().clone();
  TORCH_CHECK(constant_.is_cpu() && constant_.scalar_type() == torch::kFloat32,
              "prepared weights are for the CPU, in float32");
  if (generator.has_components()) {
    CopyStyles(generator);
  }
  for (const GeneratorImpl::Conv& conv : generator.convs()) {
    convs_.push_back(MakeConv(conv));
  }
  for (const GeneratorImpl::ToRgb& to_rgb : generator.to_rgbs()) {
    const int64_t in = to_rgb.weight.size(1);
    to_rgbs_.push_back(
        {(to_rgb.weight.detach().view({-1, in}) / std::sqrt(static_cast<double>(in))).contiguous(),
         to_rgb.bias.detach().clone()});
  }
}

void SynthesisPlan::CopyStyles(const GeneratorImpl& generator) {
  const StyleLayout& coordinates = generator.layout();
  const torch::Tensor unit = torch::eye(coordinates.num_conv() + coordinates.num_rgb());
  const auto styles_of = [&](const torch::Tensor& x) {
    const StyleVectors styles =
        generator.ChannelStyles({x.narrow(1, 0, coordinates.num_conv()),
                                 x.narrow(1, coordinates.num_conv(), coordinates.num_rgb())});
    return torch::cat({styles.conv, styles.rgb}, 1);
  };
  styles_bias_ = styles_of(torch::zeros({1, unit.size(0)}))[0].clone();
  styles_weight_ = (styles_of(unit) - styles_bias_).contiguous();
}

StyleVectors SynthesisPlan::ChannelStyles(const StyleVectors& styles) const {
  if (!styles_weight_.defined()) {
    return styles;
  }
  const torch::Tensor all =
      torch::addmm(styles_bias_, torch::cat({styles.conv, styles.rgb}, 1), styles_weight_);
  return {all.narrow(1, 0, layout_.num_conv()),
          all.narrow(1, layout_.num_conv(), layout_.num_rgb())};
}

int64_t SynthesisPlan::BytesPerImage(int64_t layer) const {
  int64_t values = 0;
  for (size_t l = static_cast<size_t>(layer); l < convs_.size(); ++l) {
    const Conv& conv = convs_[l];
    values = std::max(values, conv.out_side * conv.out_side * conv.out);
  }
  return values * static_cast<int64_t>(sizeof(float));
}

torch::Tensor Convolve(const SynthesisPlan::Conv& conv, const torch::Tensor& weight,
                       const torch::Tensor& x, const float* shift) {
  if (conv.up) {
    return ConvolveUp(conv, weight, x, shift);
  }
  torch::Tensor y =
      InferenceConv2d(x.permute({0, 3, 1, 2}), weight.permute({0, 3, 1, 2}), {}, /*padding=*/1)
          .permute({0, 2, 3, 1})
          .contiguous();
  const int64_t out_size = conv.out_side * conv.out_side * conv.out;
  for (int64_t i = 0; shift != nullptr && i < x.size(0); ++i) {
    kernels::AddAndActivate(shift, out_size, y.data_ptr<float>() + i * out_size);
  }
  return y;
}

torch::Tensor ApplyToRgb(const torch::Tensor& weight, const torch::Tensor& bias,
                         const torch::Tensor& x, const torch::Tensor& below) {
  const int64_t count = x.size(0), side = x.size(1), channels = x.size(3);
  const int64_t planes = bias.size(0);
  torch::Tensor out = torch::empty({count, side, side, planes});
  const int64_t weight_step = weight.dim() == 3 ? planes * channels : 0;
  const int64_t below_step = below.defined() ? below.numel() / count : 0;
  for (int64_t i = 0; i < count; ++i) {
    kernels::ToRgb(Values(x) + i * side * side * channels, Values(weight) + i * weight_step,
                   Values(bias), below.defined() ? Values(below) + i * below_step : nullptr, side,
                   channels, planes, out.data_ptr<float>() + i * side * side * planes);
  }
  return out;
}

namespace {

// On the calling thread, but for the matrix products.
torch::Tensor SynthesizePart(const SynthesisPlan& plan, const StyleVectors& styles) {
  torch::NoGradGuard no_grad;
  const StyleLayout& layout = plan.layout();
  const auto conv_styles =
      styles.conv.detach().to(torch::kFloat32).split_with_sizes(layout.conv, 1);
  const auto rgb_styles = styles.rgb.detach().to(torch::kFloat32).split_with_sizes(layout.rgb, 1);
  torch::Tensor x = plan.constant().unsqueeze(0), image;
  for (size_t l = 0; l < plan.convs().size(); ++l) {
    x = ConvolveStyled(plan.convs()[l], conv_styles[l].contiguous(), x);
    if (l % 2 == 0) {  // the last convolution of its resolution
      const SynthesisPlan::ToRgb& to_rgb = plan.to_rgbs()[l / 2];
      const torch::Tensor weight = (to_rgb.weight * rgb_styles[l / 2].unsqueeze(1)).contiguous();
      image = ApplyToRgb(weight, to_rgb.bias, x, image);
    }
  }
  return image.permute({0, 3, 1, 2}).contiguous();
}

}  // namespace

torch::Tensor Synthesize(const SynthesisPlan& plan, const StyleVectors& styles) {
  const StyleLayout& layout = plan.layout();
  const int64_t count = styles.conv.size(0);
  TORCH_CHECK(styles.conv.dim() == 2 && styles.conv.size(1) == layout.num_conv(),
              "styles of shape ", styles.conv.sizes(), "; expected [N, ", layout.num_conv(), "]");
  TORCH_CHECK(styles.rgb.dim() == 2 && styles.rgb.size(0) == count &&
                  styles.rgb.size(1) == layout.num_rgb(),
              "styles of to_rgb layers of shape ", styles.rgb.sizes(), "; expected [", count, ", ",
              layout.num_rgb(), "]");
  if (count == 0) {
    return torch::empty({0, plan.planes(), plan.resolution(), plan.resolution()});
  }
  const int64_t parts =
      at::in_parallel_region() ? 1 : std::min<int64_t>(count, at::get_num_threads());
  if (parts == 1) {
    return SynthesizePart(plan, styles);
  }
  std::vector<torch::Tensor> images(static_cast<size_t>(parts));
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = count * i / parts;
      images[static_cast<size_t>(i)] =
          SynthesizePart(plan, styles.Narrow(first, count * (i + 1) / parts - first));
    }
  });
  return torch::cat(images);
}

}  // namespace stylex
