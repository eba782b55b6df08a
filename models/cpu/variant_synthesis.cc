#include "models/cpu/variant_synthesis.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/cpu/synthesis_kernels.h"

namespace stylex {
namespace {

const float* Data(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }

// One channel of x [side, side, channels] with a border of zeros.
void CopyPlane(const torch::Tensor& x, int64_t channel, float* plane) {
  const int64_t side = x.size(0), channels = x.size(2), row = side + 2;
  std::fill(plane, plane + row * row, 0.f);
  const float* from = Data(x) + channel;
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t column = 0; column < side; ++column, from += channels) {
      plane[(y + 1) * row + column + 1] = *from;
    }
  }
}

}  // namespace

VariantSynthesis::VariantSynthesis(std::shared_ptr<const SynthesisPlan> plan,
                                   const StyleVectors& styles)
    : plan_(std::move(plan)) {
  torch::NoGradGuard no_grad;
  const StyleLayout& layout = plan_->layout();
  TORCH_CHECK(styles.conv.dim() == 2 && styles.conv.size(0) == 1 &&
                  styles.conv.size(1) == layout.num_conv(),
              "styles of shape ", styles.conv.sizes(), "; expected [1, ", layout.num_conv(), "]");
  const auto conv_styles =
      styles.conv[0].detach().to(torch::kFloat32).contiguous().split_with_sizes(layout.conv);
  const auto rgb_styles =
      styles.rgb[0].detach().to(torch::kFloat32).contiguous().split_with_sizes(layout.rgb);
  for (size_t level = 0; level < plan_->to_rgbs().size(); ++level) {
    rgb_weights_.push_back((plan_->to_rgbs()[level].weight * rgb_styles[level]).contiguous());
  }
  torch::Tensor x = plan_->constant();
  for (size_t l = 0; l < plan_->convs().size(); ++l) {
    const SynthesisPlan::Conv& conv = plan_->convs()[l];
    Folded folded;
    folded.style = conv_styles[l].contiguous();
    const torch::Tensor squares = folded.style.to(torch::kFloat64).square();
    folded.energy = torch::mv(conv.energy.to(torch::kFloat64).t(), squares);
    const torch::Tensor demodulation =
        (torch::rsqrt(folded.energy + kDemodulationEpsilon) * kActivationGain).to(torch::kFloat32);
    folded.weight =
        conv.weight * folded.style *
        demodulation.view(conv.up ? torch::IntArrayRef{-1, 1} : torch::IntArrayRef{-1, 1, 1, 1});
    folded.input = x;
    folded_.push_back(std::move(folded));
    torch::Tensor y = Convolve(static_cast<int64_t>(l), x.unsqueeze(0), /*activate=*/false);
    folded_.back().output = y.view({-1, conv.out});
    y = y.clone();
    kernels::AddAndActivate(Data(conv.shift), y.numel(), y.data_ptr<float>());
    x = y[0];
    if (l % 2 == 0) {
      rgb_.push_back(
          DrawRgb(static_cast<int64_t>(l / 2), y, rgb_.empty() ? torch::Tensor() : rgb_.back()));
    }
  }
}

torch::Tensor VariantSynthesis::ToImages(const torch::Tensor& rgb) const {
  return rgb.permute({0, 3, 1, 2});
}

torch::Tensor VariantSynthesis::Convolve(int64_t layer, const torch::Tensor& x,
                                         bool activate) const {
  const SynthesisPlan::Conv& conv = plan_->convs()[static_cast<size_t>(layer)];
  return stylex::Convolve(conv, folded_[static_cast<size_t>(layer)].weight, x,
                          activate ? Data(conv.shift) : nullptr);
}

torch::Tensor VariantSynthesis::DrawRgb(int64_t level, const torch::Tensor& x,
                                        const torch::Tensor& below) const {
  const size_t l = static_cast<size_t>(level);
  return ApplyToRgb(rgb_weights_[l], plan_->to_rgbs()[l].bias, x, below);
}

torch::Tensor VariantSynthesis::MoveChannels(std::span<const StyleChange> changes) const {
  const int64_t layer = changes[0].layer;
  const SynthesisPlan::Conv& conv = plan_->convs()[static_cast<size_t>(layer)];
  const Folded& folded = folded_[static_cast<size_t>(layer)];
  const int64_t count = static_cast<int64_t>(changes.size());
  const int64_t pixels = conv.out_side * conv.out_side;
  torch::Tensor out = torch::empty({count, conv.out_side, conv.out_side, conv.out});
  std::vector<float> plane((conv.in_side + 2) * (conv.in_side + 2));
  std::vector<float> phases(conv.up ? 36 * conv.out : 0);
  std::vector<float> scratch(conv.out);
  for (int64_t first = 0; first < count;) {
    const int64_t channel = changes[first].channel;
    int64_t end = first;
    while (end < count && changes[end].channel == channel) {
      ++end;
    }
    const float* const taps = Data(conv.taps) + channel * 9 * conv.out;
    CopyPlane(folded.input, channel, plane.data());
    if (conv.up) {
      kernels::UpPhaseKernels(taps, conv.out, phases.data());
    }
    std::vector<float> factors(2 * (end - first) * conv.out);
    std::vector<kernels::MovedOutput> outputs;
    for (int64_t k = first; k < end; ++k) {
      float* const gain = factors.data() + 2 * (k - first) * conv.out;
      Demodulate(changes[k], gain, gain + conv.out);
      outputs.push_back({gain, gain + conv.out, out.data_ptr<float>() + k * pixels * conv.out});
    }
    kernels::MoveChannel(
        {plane.data(), conv.up ? phases.data() : taps, conv.in_side, conv.out, conv.up},
        Data(folded.output), Data(conv.shift), outputs.data(), end - first, scratch.data());
    first = end;
  }
  return out;
}

// With style s -> s': d' from the sum of squares, gain d' / d, slope sqrt(2) d' (s' - s).
void VariantSynthesis::Demodulate(const StyleChange& change, float* gain, float* slope) const {
  const SynthesisPlan::Conv& conv = plan_->convs()[static_cast<size_t>(change.layer)];
  const Folded& folded = folded_[static_cast<size_t>(change.layer)];
  const float* const energy = Data(conv.energy) + change.channel * conv.out;
  const double* const total = folded.energy.data_ptr<double>();
  const double old = Data(folded.style)[change.channel], value = change.value;
  for (int64_t o = 0; o < conv.out; ++o) {
    const double moved = total[o] + (value * value - old * old) * energy[o];
    const double d = 1 / std::sqrt(std::max(moved, 0.0) + kDemodulationEpsilon);
    gain[o] = static_cast<float>(d * std::sqrt(total[o] + kDemodulationEpsilon));
    slope[o] = static_cast<float>(kActivationGain * d * (value - old));
  }
}

torch::Tensor VariantSynthesis::Draw(std::span<const StyleChange> changes) const {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(!changes.empty(), "nothing to draw");
  const int64_t layers = static_cast<int64_t>(plan_->convs().size());
  torch::Tensor x, rgb;  // of the variants already started
  size_t begun = 0;
  for (int64_t l = changes[0].layer; l < layers; ++l) {
    if (begun > 0) {
      x = Convolve(l, x, /*activate=*/true);
    }
    size_t end = begun;
    while (end < changes.size() && changes[end].layer == l) {
      ++end;
    }
    if (end > begun) {
      const torch::Tensor moved = MoveChannels(changes.subspan(begun, end - begun));
      x = begun > 0 ? torch::cat({x, moved}) : moved;
      if (const int64_t images_done = (l + 1) / 2; images_done > 0) {
        const torch::Tensor below =
            rgb_[images_done - 1].expand({static_cast<int64_t>(end - begun), -1, -1, -1});
        rgb = begun > 0 ? torch::cat({rgb, below}) : below.contiguous();
      }
      begun = end;
    }
    if (l % 2 == 0) {
      rgb = DrawRgb(l / 2, x, rgb);
    }
  }
  TORCH_CHECK(begun == changes.size(), "changes out of order, or of a layer that there is not");
  return ToImages(rgb);
}

}  // namespace stylex
