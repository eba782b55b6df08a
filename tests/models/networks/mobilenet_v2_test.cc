// MobileNetV2 against torchvision's published size and names, and its blocks against literal
// passes.
#include "models/networks/mobilenet_v2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/models/networks/literal_planes.h"

namespace stylex {
namespace {

int64_t CountParameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const torch::Tensor& parameter : module.parameters()) {
    count += parameter.numel();
  }
  return count;
}

// torchvision's documentation of `mobilenet_v2` gives 3504872 parameters for 1000 classes.
TEST(MobileNetV2Test, HasAsManyParametersAsTorchvisions) {
  EXPECT_EQ(CountParameters(*MobileNetV2(3, 1000)), 3'504'872);
  // Another number of planes changes the first convolution alone, of classes the last layer.
  EXPECT_EQ(CountParameters(*MobileNetV2(1, 1000)), 3'504'872 - 2 * 32 * 9);
  EXPECT_EQ(CountParameters(*MobileNetV2(3, 2)), 3'504'872 - 998 * 1281);
}

// Of torchvision's state_dict: some of every kind, the first and the last.
TEST(MobileNetV2Test, TensorsAreCalledAsTorchvisionsAre) {
  const std::map<std::string, torch::Tensor> tensors =
      NamedTensors(MobileNetV2(3, 10), "classifier.");
  const std::vector<std::pair<std::string, std::vector<int64_t>>> some = {
      {"features.0.0.weight", {32, 3, 3, 3}},
      {"features.0.1.running_mean", {32}},
      {"features.1.conv.0.0.weight", {32, 1, 3, 3}},
      {"features.1.conv.1.weight", {16, 32, 1, 1}},
      {"features.1.conv.2.num_batches_tracked", {}},
      {"features.2.conv.0.0.weight", {96, 16, 1, 1}},
      {"features.2.conv.1.0.weight", {96, 1, 3, 3}},
      {"features.2.conv.2.weight", {24, 96, 1, 1}},
      {"features.2.conv.3.running_var", {24}},
      {"features.17.conv.2.weight", {320, 960, 1, 1}},
      {"features.18.0.weight", {1280, 320, 1, 1}},
      {"features.18.1.bias", {1280}},
      {"classifier.1.weight", {10, 1280}},
      {"classifier.1.bias", {10}}};
  for (const auto& [name, shape] : some) {
    const auto found = tensors.find("classifier." + name);
    ASSERT_NE(found, tensors.end()) << name;
    EXPECT_EQ(found->second.sizes(), at::IntArrayRef(shape)) << name;
  }
  // 52 convolutions, each with a normalisation of five tensors, and the last layer's two.
  EXPECT_EQ(tensors.size(), 52 * 6 + 2);
}

TEST(MobileNetV2Test, NamedTensorsAreTheNetworksOwn) {
  torch::NoGradGuard no_grad;
  const MobileNetV2 network(1, 2, 0.25);
  NamedTensors(network)["classifier.1.bias"].fill_(4);
  network.ptr()->eval();
  const torch::Tensor logits = network.ptr()->forward(torch::zeros({1, 1, 32, 32}));
  EXPECT_GT(logits.min().item<double>(), 3);
}

class WidthTest : public testing::TestWithParam<std::pair<double, std::vector<int64_t>>> {};
// Widths by the rule of the paper's code: multiples of 8, at least 8, never more than a tenth below
// the product.
INSTANTIATE_TEST_SUITE_P(Multipliers, WidthTest,
                         testing::Values(std::pair(1.0, std::vector<int64_t>{16, 24, 32, 96}),
                                         std::pair(0.5, std::vector<int64_t>{8, 16, 16, 48}),
                                         std::pair(0.25, std::vector<int64_t>{8, 8, 8, 24}),
                                         std::pair(1.4, std::vector<int64_t>{24, 32, 48, 136})));

TEST_P(WidthTest, TapsHaveTheWidthsAndSizesThatTheHeaderTells) {
  torch::NoGradGuard no_grad;
  const auto& [multiplier, widths] = GetParam();
  const MobileNetV2 network(3, 2, multiplier);
  network.ptr()->eval();
  const MobileNetV2Impl::Features features =
      network.ptr()->ForwardWithFeatures(torch::zeros({2, 3, 64, 64}));
  ASSERT_EQ(features.taps.size(), kMobileNetTaps.size());
  for (size_t i = 0; i < features.taps.size(); ++i) {
    const int64_t side = 32 >> i;
    EXPECT_EQ(features.taps[i].sizes(), (std::vector<int64_t>{2, widths[i], side, side})) << i;
  }
  EXPECT_EQ(features.logits.sizes(), (std::vector<int64_t>{2, 2}));
}

// Narrower networks keep the last layer's 1280 values, wider ones have more.
TEST(MobileNetV2Test, TheLastLayerDoesNotBecomeNarrower) {
  EXPECT_EQ(NamedTensors(MobileNetV2(3, 2, 0.25))["classifier.1.weight"].size(1), 1280);
  EXPECT_EQ(NamedTensors(MobileNetV2(3, 2, 1.4))["classifier.1.weight"].size(1), 1792);
}

TEST(MobileNetV2Test, EvaluationKnowsNoCompanyAndNoChance) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(61);
  const MobileNetV2 network(3, 4, 0.25);
  torch::Tensor weight = NamedTensors(network)["classifier.1.weight"];
  weight.normal_();
  network.ptr()->eval();
  const torch::Tensor x = torch::randn({5, 3, 32, 32});
  const torch::Tensor together = network.ptr()->forward(x);
  EXPECT_TRUE(together.equal(network.ptr()->forward(x)));
  for (int64_t n = 0; n < 5; ++n) {
    EXPECT_LT(
        RelativeDifference(network.ptr()->forward(x.narrow(0, n, 1)), together.narrow(0, n, 1)),
        1e-4);
  }
}

TEST(MobileNetV2Test, TrainingDropsSomeAndFollowsTheBatch) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(62);
  const MobileNetV2 network(1, 3, 0.25);
  std::map<std::string, torch::Tensor> tensors = NamedTensors(network);
  tensors["classifier.1.weight"].normal_();
  const torch::Tensor before = tensors["features.0.1.running_mean"].clone();
  const torch::Tensor x = torch::randn({4, 1, 32, 32}) + 1;
  network.ptr()->train();
  const torch::Tensor first = network.ptr()->forward(x);
  EXPECT_FALSE(first.equal(network.ptr()->forward(x))) << "no dropout";
  EXPECT_FALSE(before.equal(tensors["features.0.1.running_mean"]));
  EXPECT_EQ(tensors["features.0.1.num_batches_tracked"].item<int64_t>(), 2);
}

TEST(MobileNetV2Test, FreshLastLayersAreNearlyUndecided) {
  torch::manual_seed(63);
  const MobileNetV2 network(3, 50);
  std::map<std::string, torch::Tensor> tensors = NamedTensors(network);
  EXPECT_EQ(tensors["classifier.1.bias"].abs().max().item<double>(), 0);
  EXPECT_NEAR(tensors["classifier.1.weight"].std().item<double>(), 0.01, 0.001);
}

// A block's own pass: convolutions as literal sums, each followed by its normalisation in
// evaluation mode.
class LiteralBlock {
 public:
  explicit LiteralBlock(InvertedResidualImpl& block)
      : parameters_(block.named_parameters()), buffers_(block.named_buffers()) {}

  // `groups` as in conv2d: 1, or as many as channels.
  Planes Convolve(const Planes& x, const std::string& layer, int64_t stride, bool depthwise) const {
    const torch::Tensor weight = parameters_[layer + ".weight"];
    const int64_t padding = weight.size(2) / 2;
    if (!depthwise) {
      return Correlate(x, weight, stride, padding);
    }
    std::vector<torch::Tensor> channels;
    for (int64_t c = 0; c < x.channels; ++c) {
      const Planes one = Planes::Of(x.ToTensor().narrow(1, c, 1));
      channels.push_back(Correlate(one, weight.narrow(0, c, 1), stride, padding).ToTensor());
    }
    return Planes::Of(torch::cat(channels, 1));
  }
  Planes Normalize(Planes x, const std::string& layer, bool relu6) const {
    const auto value = [&](const torch::Tensor& tensor, int64_t c) {
      return tensor[c].item<double>();
    };
    const torch::Tensor mean = buffers_[layer + ".running_mean"],
                        variance = buffers_[layer + ".running_var"];
    const torch::Tensor weight = parameters_[layer + ".weight"],
                        bias = parameters_[layer + ".bias"];
    x.ForEach([&](int64_t n, int64_t c, int64_t row, int64_t column) {
      double& sample = x.At(n, c, row, column);
      sample = (sample - value(mean, c)) / std::sqrt(value(variance, c) + 1e-5) * value(weight, c) +
               value(bias, c);
      sample = relu6 ? std::clamp(sample, 0.0, 6.0) : sample;
    });
    return x;
  }

 private:
  torch::OrderedDict<std::string, torch::Tensor> parameters_, buffers_;
};

struct BlockCase {
  int64_t in, out, stride, expansion;
  bool residual;
};

class InvertedResidualTest : public testing::TestWithParam<BlockCase> {};
INSTANTIATE_TEST_SUITE_P(Shapes, InvertedResidualTest,
                         testing::Values(BlockCase{4, 4, 1, 6, true}, BlockCase{4, 6, 1, 6, false},
                                         BlockCase{4, 4, 2, 6, false}, BlockCase{3, 3, 1, 1, true},
                                         BlockCase{5, 2, 2, 1, false}));

TEST_P(InvertedResidualTest, IsTheLiteralPass) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(64);
  const auto [in, out, stride, expansion, residual] = GetParam();
  InvertedResidual block(in, out, stride, expansion);
  for (auto& item : block->named_parameters()) {
    item.value().add_(torch::randn_like(item.value()) * 0.3);
  }
  for (auto& item : block->named_buffers()) {
    if (item.value().is_floating_point()) {
      item.value().uniform_(0.5, 1.5);
    }
  }
  block->eval();
  EXPECT_EQ(block->residual(), residual);
  const torch::Tensor x = torch::randn({2, in, 7, 6});
  const LiteralBlock literal(*block);
  Planes y = Planes::Of(x);
  int part = 0;
  if (expansion != 1) {
    y = literal.Normalize(literal.Convolve(y, "conv.0.0", 1, false), "conv.0.1", true);
    ++part;
  }
  const std::string depthwise = absl::StrCat("conv.", part);
  y = literal.Normalize(literal.Convolve(y, depthwise + ".0", stride, true), depthwise + ".1",
                        true);
  y = literal.Normalize(literal.Convolve(y, absl::StrCat("conv.", part + 1), 1, false),
                        absl::StrCat("conv.", part + 2), false);
  const torch::Tensor expected = residual ? y.ToTensor() + x : y.ToTensor();
  EXPECT_LT(RelativeDifference(block->forward(x), expected), 1e-5);
}

}  // namespace
}  // namespace stylex
