// The fused layers against an independent program, and what they promise beside their values.
#include "models/cpu/fused_layers.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <string>
#include <vector>

#include "models/cpu/fused_networks.h"
#include "tests/models/reference_folder.h"

namespace stylex {
namespace {

using torch::Tensor;
using Named = std::map<std::string, Tensor>;

Tensor ChannelsLast(const Tensor& x) { return x.contiguous(torch::MemoryFormat::ChannelsLast); }

// Inputs of a styled convolution to [2, 6, side, side], each with a gradient.
Named StyledInputs(bool up, int64_t side) {
  const int64_t from = up ? side / 2 : side;
  Named inputs = {{"x", torch::randn({2, 5, from, from})},
                  {"style", torch::randn({2, 5})},
                  {"weight", torch::randn({6, 5, 3, 3})},
                  {"bias", torch::randn({6})},
                  {"noise", torch::randn({2, 1, side, side})},
                  {"rgb_weight", torch::randn({2, 3, 6})},
                  {"rgb_bias", torch::randn({3})},
                  {"below", torch::randn({2, 3, side / 2, side / 2})}};
  for (auto& [name, tensor] : inputs) {
    tensor.requires_grad_(true);
  }
  return inputs;
}

StyledResult ApplyTo(const Named& inputs, bool up) {
  StyledConvolution layer;
  layer.style = inputs.at("style");
  layer.weight = inputs.at("weight");
  layer.bias = inputs.at("bias");
  layer.noise = inputs.at("noise");
  layer.up = up;
  layer.rgb_weight = inputs.at("rgb_weight");
  layer.rgb_bias = inputs.at("rgb_bias");
  layer.below = inputs.at("below");
  return Apply(layer, ChannelsLast(inputs.at("x")));
}

// Writes all that the program needs to compute and to compare a layer.
void WriteLayer(const std::string& name, const Named& inputs, const Named& results,
                ReferenceFolder* folder) {
  Tensor loss = torch::zeros({});
  for (const auto& [result, tensor] : results) {
    const Tensor factors = torch::randn(tensor.sizes());
    folder->Write(name + " result " + result, tensor);
    folder->Write(name + " factors " + result, factors);
    loss = loss + (tensor * factors).sum();
  }
  loss.backward();
  for (const auto& [input, tensor] : inputs) {
    folder->Write(name + " input " + input, tensor);
    folder->Write(name + " gradient of " + input, tensor.grad());
  }
}

TEST(FusedLayersReferenceTest, AgreeWithAnIndependentProgram) {
  torch::manual_seed(21);
  ReferenceFolder folder;
  for (const bool up : {false, true}) {
    const Named inputs = StyledInputs(up, 8);
    const StyledResult result = ApplyTo(inputs, up);
    WriteLayer(up ? "up" : "plain", inputs, {{"y", result.x}, {"image", result.image}}, &folder);
  }
  Named inputs = {{"x", torch::randn({2, 5, 8, 8})}, {"weight1", torch::randn({5, 5, 3, 3})},
                  {"bias1", torch::randn({5})},      {"weight2", torch::randn({7, 5, 3, 3})},
                  {"bias2", torch::randn({7})},      {"skip", torch::randn({7, 5, 1, 1})}};
  for (auto& [name, tensor] : inputs) {
    tensor.requires_grad_(true);
  }
  const Tensor y = ResidualBlock(ChannelsLast(inputs.at("x")),
                                 {inputs.at("weight1"), inputs.at("bias1"), inputs.at("weight2"),
                                  inputs.at("bias2"), inputs.at("skip")});
  WriteLayer("block", inputs, {{"y", y}}, &folder);
  folder.CompareWith("tests/models/cpu/reference_fused_layers.py");
}

TEST(FusedLayersTest, AnImageDoesNotDependOnTheOthersOfItsBatch) {
  torch::manual_seed(22);
  const torch::NoGradGuard no_grad;
  for (const bool up : {false, true}) {
    const Named inputs = StyledInputs(up, 8);
    const StyledResult together = ApplyTo(inputs, up);
    for (int64_t n = 0; n < 2; ++n) {
      Named alone = inputs;
      for (const char* name : {"x", "style", "noise", "rgb_weight", "below"}) {
        alone[name] = inputs.at(name).narrow(0, n, 1);
      }
      const StyledResult one = ApplyTo(alone, up);
      EXPECT_TRUE(torch::allclose(one.x, together.x.narrow(0, n, 1), 1e-4, 1e-5));
      EXPECT_TRUE(torch::allclose(one.image, together.image.narrow(0, n, 1), 1e-4, 1e-5));
    }
  }
}

TEST(FusedLayersTest, AGraphThatIsKeptGivesTheSameGradientsAgain) {
  torch::manual_seed(23);
  for (const bool up : {false, true}) {
    const Named inputs = StyledInputs(up, 8);
    const StyledResult result = ApplyTo(inputs, up);
    const Tensor loss = (result.x.square().sum() + result.image.square().sum());
    const std::vector<Tensor> of = {inputs.at("x"), inputs.at("style"), inputs.at("weight")};
    const auto first = torch::autograd::grad({loss}, of, {}, /*retain_graph=*/true);
    const auto second = torch::autograd::grad({loss}, of, {}, /*retain_graph=*/true);
    for (size_t i = 0; i < of.size(); ++i) {
      EXPECT_TRUE(first[i].equal(second[i])) << i;
    }
  }
}

TEST(FusedLayersTest, OnlyTheImageMayHaveALoss) {
  torch::manual_seed(24);
  const Named inputs = StyledInputs(false, 8);
  const StyledResult result = ApplyTo(inputs, false);
  const Tensor factors = torch::randn_like(result.image);
  const auto by_image =
      torch::autograd::grad({(result.image * factors).sum()}, {inputs.at("weight")}, {}, true)[0];
  // The same through the activation: image = y . rgb_weight + ...
  const Tensor through = torch::einsum("nphw,npc->nchw", {factors, inputs.at("rgb_weight")});
  const auto by_x =
      torch::autograd::grad({(result.x * through.detach()).sum()}, {inputs.at("weight")})[0];
  EXPECT_TRUE(torch::allclose(by_image, by_x, 1e-4, 1e-4));
}

TEST(FusedLayersTest, TwoThreadsGiveWhatOneDoes) {
  const int threads = at::get_num_threads();
  const auto gradients = [](int count) {
    at::set_num_threads(count);
    torch::manual_seed(25);
    const Named inputs = StyledInputs(true, 8);
    const StyledResult result = ApplyTo(inputs, true);
    (result.x.square().sum() + result.image.square().sum()).backward();
    return Named{{"style", inputs.at("style").grad()},
                 {"weight", inputs.at("weight").grad()},
                 {"noise", inputs.at("noise").grad()}};
  };
  const Named one = gradients(1), two = gradients(2);
  at::set_num_threads(threads);
  for (const auto& [name, tensor] : one) {
    EXPECT_TRUE(torch::allclose(tensor, two.at(name), 1e-4, 1e-3)) << name;
  }
}

TEST(FusedLayersTest, ActivationsOfOtherTypesAreRefused) {
  const Tensor x = ChannelsLast(torch::randn({2, 5, 4, 4}).to(torch::kFloat64));
  StyledConvolution layer;
  layer.style = torch::randn({2, 5});
  layer.weight = torch::randn({6, 5, 3, 3});
  layer.bias = torch::randn({6});
  EXPECT_THROW(Apply(layer, x), c10::Error);
}

TEST(FusedLayersTest, DifferencesNeedTheSameLayout) {
  const Tensor a = torch::randn({2, 3, 4, 4});
  EXPECT_THROW(MeanAbsoluteDifference(a, ChannelsLast(a)), c10::Error);
  EXPECT_THROW(MeanAbsoluteDifference(a, a.to(torch::kBFloat16)), c10::Error);
  EXPECT_THROW(MeanAbsoluteDifference(a, torch::randn({2, 3, 4, 5})), c10::Error);
  EXPECT_EQ(MeanAbsoluteDifference(a, a).item<float>(), 0);
}

}  // namespace
}  // namespace stylex
