#include "models/networks/mobilenet_v2.h"

#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <algorithm>
#include <array>

namespace stylex {
namespace {

namespace nn = torch::nn;

// Width of a layer: a multiple of 8, at most 10 % below `width`.
int64_t RoundWidth(double width) {
  const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(width + 4) / 8 * 8);
  return rounded < 0.9 * width ? rounded + 8 : rounded;
}

nn::Conv2d Convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
  nn::Conv2d conv(nn::Conv2dOptions(in, out, kernel)
                      .stride(stride)
                      .padding((kernel - 1) / 2)
                      .groups(groups)
                      .bias(false));
  nn::init::kaiming_normal_(conv->weight, 0, torch::kFanOut, torch::kReLU);
  return conv;
}

// A Sequential that can be nested in another one: its forward is not a template.
class ConvBnRelu6Impl : public nn::SequentialImpl {
 public:
  ConvBnRelu6Impl(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups)
      : nn::SequentialImpl(Convolution(in, out, kernel, stride, groups), nn::BatchNorm2d(out),
                           nn::ReLU6()) {}

  torch::Tensor forward(const torch::Tensor& x) {
    return nn::SequentialImpl::forward<torch::Tensor>(x);
  }
};
TORCH_MODULE(ConvBnRelu6);

struct Stage {
  int64_t expansion, width, blocks, stride;
};
constexpr std::array<Stage, 7> kStages = {{{1, 16, 1, 1},
                                           {6, 24, 2, 2},
                                           {6, 32, 3, 2},
                                           {6, 64, 4, 2},
                                           {6, 96, 3, 1},
                                           {6, 160, 3, 2},
                                           {6, 320, 1, 1}}};

}  // namespace

InvertedResidualImpl::InvertedResidualImpl(int64_t in, int64_t out, int64_t stride,
                                           int64_t expansion)
    : residual_(stride == 1 && in == out) {
  const int64_t hidden = in * expansion;
  if (expansion != 1) {
    conv_->push_back(ConvBnRelu6(in, hidden, 1, 1, 1));
  }
  conv_->push_back(ConvBnRelu6(hidden, hidden, 3, stride, hidden));
  conv_->push_back(Convolution(hidden, out, 1, 1, 1));
  conv_->push_back(nn::BatchNorm2d(out));
  register_module("conv", conv_);
}

torch::Tensor InvertedResidualImpl::forward(const torch::Tensor& x) {
  const torch::Tensor y = conv_->forward(x);
  return residual_ ? x + y : y;
}

MobileNetV2Impl::MobileNetV2Impl(int64_t image_channels, int64_t num_classes,
                                 double width_multiplier) {
  int64_t in = RoundWidth(32 * width_multiplier);
  features_->push_back(ConvBnRelu6(image_channels, in, 3, 2, 1));
  for (const Stage& stage : kStages) {
    const int64_t out = RoundWidth(static_cast<double>(stage.width) * width_multiplier);
    for (int64_t block = 0; block < stage.blocks; ++block) {
      features_->push_back(
          InvertedResidual(in, out, block == 0 ? stage.stride : 1, stage.expansion));
      in = out;
    }
  }
  const int64_t last = RoundWidth(1280 * std::max(1.0, width_multiplier));
  features_->push_back(ConvBnRelu6(in, last, 1, 1, 1));
  nn::Linear linear(last, num_classes);
  nn::init::normal_(linear->weight, 0, 0.01);
  nn::init::zeros_(linear->bias);
  classifier_->push_back(nn::Dropout(0.2));
  classifier_->push_back(linear);
  register_module("features", features_);
  register_module("classifier", classifier_);
}

torch::Tensor MobileNetV2Impl::forward(const torch::Tensor& x) {
  return ForwardWithFeatures(x).logits;
}

MobileNetV2Impl::Features MobileNetV2Impl::ForwardWithFeatures(const torch::Tensor& x) {
  Features result;
  torch::Tensor y = x.contiguous(torch::MemoryFormat::ChannelsLast);
  for (size_t f = 0; f < features_->size(); ++f) {
    nn::AnyModule& module = *(features_->begin() + static_cast<int64_t>(f));
    y = module.forward<torch::Tensor>(y);
    if (std::find(kMobileNetTaps.begin(), kMobileNetTaps.end(), f) != kMobileNetTaps.end()) {
      result.taps.push_back(y);
    }
  }
  result.logits = classifier_->forward(y.mean({2, 3}));
  return result;
}

std::map<std::string, torch::Tensor> NamedTensors(const MobileNetV2& network,
                                                  const std::string& prefix) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& item : network->named_parameters()) {
    tensors[prefix + item.key()] = item.value();
  }
  for (const auto& item : network->named_buffers()) {
    tensors[prefix + item.key()] = item.value();
  }
  return tensors;
}

}  // namespace stylex
