#include "models/cpu/folded_mobilenet.h"

#include <ATen/Parallel.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "models/cpu/blas_threads.h"
#include "models/cpu/mobilenet_kernels.h"

namespace stylex {
namespace {

// Bytes of activations of one part of a batch: small enough for the caches.
constexpr int64_t kPartBytes = int64_t{2} << 20;

const float* FloatsOf(const torch::Tensor& tensor) { return tensor.data_ptr<float>(); }

}  // namespace

// Every convolution is followed by its batch normalisation.
std::vector<FoldedMobileNet::Conv> FoldedMobileNet::ConvsOf(torch::nn::Module& block) {
  std::vector<Conv> convs;
  const torch::nn::Conv2dImpl* conv = nullptr;
  for (const std::shared_ptr<torch::nn::Module>& module : block.modules(/*include_self=*/false)) {
    if (const auto* found = module->as<torch::nn::Conv2dImpl>()) {
      conv = found;
    }
    const auto* norm = module->as<torch::nn::BatchNorm2dImpl>();
    if (norm == nullptr) {
      continue;
    }
    const torch::Tensor scale =
        norm->weight.detach() * torch::rsqrt(norm->running_var + norm->options.eps());
    const torch::Tensor weight = conv->weight.detach() * scale.view({-1, 1, 1, 1});
    Conv folded;
    folded.weight = weight.contiguous(torch::MemoryFormat::ChannelsLast);
    folded.bias = (norm->bias.detach() - norm->running_mean * scale).contiguous();
    folded.stride = conv->options.stride()->at(0);
    folded.padding = weight.size(2) / 2;
    folded.groups = conv->options.groups();
    // [out, in / groups, k, k] -> tap by tap, all outputs of a tap together.
    folded.direct = weight.permute({1, 2, 3, 0})
                        .contiguous()
                        .view({weight.size(1), weight.size(2) * weight.size(3), weight.size(0)});
    convs.push_back(std::move(folded));
  }
  return convs;
}

FoldedMobileNet::FoldedMobileNet(const MobileNetV2Impl& network, double logit_scale) {
  UseOneBlasThread();
  torch::NoGradGuard no_grad;
  const auto children = network.named_children();
  for (const auto& child : children["features"]->children()) {
    Block block;
    block.convs = ConvsOf(*child);
    if (const auto* inverted = child->as<InvertedResidualImpl>()) {
      block.convs.back().relu6 = false;
      block.residual = inverted->residual();
    }
    blocks_.push_back(std::move(block));
  }
  for (const auto& child : children["classifier"]->children()) {
    if (const auto* linear = child->as<torch::nn::LinearImpl>()) {
      linear_weight_ = linear->weight.detach() * logit_scale;
      linear_bias_ = linear->bias.detach() * logit_scale;
    }
  }
}

void FoldedMobileNet::To(const torch::Device& device) {
  for (Block& block : blocks_) {
    for (Conv& conv : block.convs) {
      for (torch::Tensor* tensor : {&conv.weight, &conv.bias, &conv.direct}) {
        *tensor = tensor->to(device);
      }
    }
  }
  linear_weight_ = linear_weight_.to(device);
  linear_bias_ = linear_bias_.to(device);
}

MobileNetV2Impl::Features FoldedMobileNet::ForwardWithFeatures(const torch::Tensor& x) const {
  MobileNetV2Impl::Features features;
  torch::Tensor y = x.contiguous(torch::MemoryFormat::ChannelsLast);
  for (size_t b = 0; b < blocks_.size(); ++b) {
    const torch::Tensor input = y;
    for (const Conv& conv : blocks_[b].convs) {
      y = torch::conv2d(y, conv.weight, conv.bias, conv.stride, conv.padding, 1, conv.groups);
      if (conv.relu6) {
        y = y.clamp(0, 6);
      }
    }
    if (blocks_[b].residual) {
      y = y + input;
    }
    if (std::find(kMobileNetTaps.begin(), kMobileNetTaps.end(), b) != kMobileNetTaps.end()) {
      features.taps.push_back(y);
    }
  }
  features.logits = torch::linear(y.mean({2, 3}), linear_weight_, linear_bias_);
  return features;
}

template <typename Visit>
void FoldedMobileNet::ForEachConv(int64_t height, int64_t width, Visit visit) const {
  for (const Block& block : blocks_) {
    for (const Conv& conv : block.convs) {
      height = (height + conv.stride - 1) / conv.stride;
      width = (width + conv.stride - 1) / conv.stride;
      visit(conv, height * width);
    }
  }
}

int64_t FoldedMobileNet::BytesPerImage(int64_t height, int64_t width) const {
  int64_t most = 0;
  ForEachConv(height, width, [&](const Conv& conv, int64_t pixels) {
    most = std::max(most, pixels * conv.weight.size(0));
  });
  return most * static_cast<int64_t>(sizeof(float));
}

int64_t FoldedMobileNet::MultiplyAdds(int64_t height, int64_t width) const {
  int64_t sum = 0;
  ForEachConv(height, width,
              [&](const Conv& conv, int64_t pixels) { sum += pixels * conv.weight.numel(); });
  return sum;
}

torch::Tensor FoldedMobileNet::Logits(const torch::Tensor& x) const {
  const bool wants_gradients = torch::GradMode::is_enabled() && x.requires_grad();
  if (wants_gradients || !x.is_cpu() || x.scalar_type() != torch::kFloat32) {
    return ForwardWithFeatures(x).logits;
  }
  torch::NoGradGuard no_grad;
  const torch::Tensor planes = x.contiguous();
  const int64_t count = x.size(0);
  const int64_t threads = at::get_num_threads();
  const int64_t part = std::clamp<int64_t>(kPartBytes / BytesPerImage(x.size(2), x.size(3)), 1,
                                           (count + threads - 1) / threads);
  torch::Tensor logits = torch::empty({count, linear_weight_.size(0)});
  // Parts run in parallel, each on one thread, rather than one after another on all threads.
  at::parallel_for(0, (count + part - 1) / part, 1, [&](int64_t begin, int64_t end) {
    const torch::NoGradGuard no_grad_here;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t length = std::min(part, count - i * part);
      logits.narrow(0, i * part, length).copy_(LogitsOfPart(planes.narrow(0, i * part, length)));
    }
  });
  return logits;
}

// x: [N, H, W, C], or [N, C, H, W] for the first convolution -> [N, H', W', C'].
torch::Tensor FoldedMobileNet::ApplyDirectly(const Conv& conv, const torch::Tensor& x,
                                             const torch::Tensor& residual) const {
  const int64_t count = x.size(0), channels = conv.weight.size(0);
  if (conv.padding == 0) {
    torch::Tensor y = torch::mm(x.view({-1, x.size(3)}), conv.direct.view({-1, channels}));
    if (conv.relu6) {
      kernels::AddBiasRelu6(FloatsOf(conv.bias), y.size(0), channels, y.data_ptr<float>());
    } else {
      kernels::AddBias(FloatsOf(conv.bias), residual.defined() ? FloatsOf(residual) : nullptr,
                       y.size(0), channels, y.data_ptr<float>());
    }
    return y.view({count, x.size(1), x.size(2), channels});
  }
  const bool first = conv.groups == 1;
  const kernels::Window window = first ? kernels::Window{x.size(2), x.size(3), conv.stride}
                                       : kernels::Window{x.size(1), x.size(2), conv.stride};
  torch::Tensor y = torch::empty({count, window.out_height(), window.out_width(), channels});
  const int64_t in_step = x.numel() / count, out_step = y.numel() / count;
  for (int64_t i = 0; i < count; ++i) {
    const float* const from = FloatsOf(x) + i * in_step;
    float* const to = y.data_ptr<float>() + i * out_step;
    if (first) {
      kernels::FirstConvolution(from, x.size(1), window, FloatsOf(conv.direct), FloatsOf(conv.bias),
                                channels, to);
    } else {
      kernels::DepthwiseConvolution(from, window, FloatsOf(conv.direct), FloatsOf(conv.bias),
                                    channels, to);
    }
  }
  return y;
}

torch::Tensor FoldedMobileNet::LogitsOfPart(const torch::Tensor& x) const {
  torch::Tensor y = x;
  for (const Block& block : blocks_) {
    const torch::Tensor input = y;
    for (const Conv& conv : block.convs) {
      const bool last = &conv == &block.convs.back();
      y = ApplyDirectly(conv, y, last && block.residual ? input : torch::Tensor());
    }
  }
  const int64_t count = y.size(0), pixels = y.size(1) * y.size(2), channels = y.size(3);
  torch::Tensor mean = torch::empty({count, channels});
  for (int64_t i = 0; i < count; ++i) {
    kernels::Mean(FloatsOf(y) + i * pixels * channels, pixels, channels,
                  mean.data_ptr<float>() + i * channels);
  }
  return torch::linear(mean, linear_weight_, linear_bias_);
}

}  // namespace stylex
