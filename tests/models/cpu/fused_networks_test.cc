// The fused networks are the networks: the same values and gradients, in float32 up to its
// rounding, in bfloat16 up to that one's.
#include "models/cpu/fused_networks.h"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "models/cpu/fused_layers.h"

namespace stylex {
namespace {

using torch::Tensor;

// Relative to the length of what is right. bfloat16 rounds by up to 2^-9 each time; what is near 0
// gets another slope of leaky_relu, and through a dozen layers, forward and back, that adds up.
constexpr double kFloat32Tolerance = 1e-5;
constexpr double kBfloat16Tolerance = 0.1;

double Tolerance(torch::ScalarType type) {
  return type == torch::kFloat32 ? kFloat32Tolerance : kBfloat16Tolerance;
}

// Length of the difference, as a share of the length of `right`.
double Error(const Tensor& value, const Tensor& right) {
  const Tensor difference = value.to(torch::kFloat64) - right.to(torch::kFloat64);
  return (difference.norm() / (right.to(torch::kFloat64).norm() + 1e-12)).item<double>();
}

// Zero biases, equal styles and noise without strength would hide mistakes.
void Disturb(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    if (item.key().ends_with("bias") || item.key().ends_with("noise_strength")) {
      item.value().add_(torch::randn_like(item.value()) * 0.3);
    }
  }
}

Generator MakeGenerator(int64_t image_channels) {
  v1::GeneratorConfig config;
  for (const int width : {24, 16, 9}) {
    config.add_channels(width);
  }
  Generator generator(config, 10, 16, image_channels);
  Disturb(*generator);
  return generator;
}

// Named values and gradients of one way to compute a network.
using Results = std::map<std::string, Tensor>;

// The gradients that the sum of `products` has in the module's parameters.
void AddGradients(torch::nn::Module& module, const Tensor& loss, Results* results) {
  for (auto& item : module.named_parameters()) {
    item.value().mutable_grad() = Tensor();
  }
  loss.backward();
  for (const auto& item : module.named_parameters()) {
    if (item.value().grad().defined()) {
      (*results)["gradient of " + item.key()] = item.value().grad().clone();
    }
  }
}

void ExpectSame(const Results& results, const Results& right, torch::ScalarType type) {
  ASSERT_EQ(results.size(), right.size());
  for (const auto& [name, tensor] : right) {
    ASSERT_TRUE(results.contains(name)) << name;
    ASSERT_EQ(results.at(name).sizes(), tensor.sizes()) << name;
    // One number, a sum in which thousands of summands cancel: in bfloat16 all of it is rounding.
    const double more = name.ends_with("noise_strength") ? 10 : 1;
    EXPECT_LT(Error(results.at(name), tensor), more * Tolerance(type)) << name;
  }
}

class FusedNetworksTest : public testing::TestWithParam<torch::ScalarType> {
 protected:
  void SetUp() override {
    torch::manual_seed(3);
    if (GetParam() == torch::kBFloat16 && !CpuMultipliesInBfloat16()) {
      GTEST_SKIP() << "this processor has no AVX512-BF16";
    }
  }
};

template <typename Synthesize>
Results Synthesis(Generator generator, const StyleVectors& from, const Synthesize& synthesize) {
  const StyleVectors styles = {from.conv.clone().requires_grad_(true),
                               from.rgb.clone().requires_grad_(true)};
  torch::manual_seed(5);
  const Tensor image = synthesize(styles);
  Results results = {{"image", image.detach()}};
  torch::manual_seed(6);
  AddGradients(*generator, (image * torch::randn_like(image)).sum(), &results);
  results["gradient of styles"] = styles.conv.grad();
  results["gradient of colour styles"] = styles.rgb.grad();
  return results;
}

void CompareGenerator(Generator generator, torch::ScalarType type) {
  StyleVectors styles;
  {
    const torch::NoGradGuard no_grad;
    styles = generator->styles(torch::randn({3, 10}));
  }
  const Results right = Synthesis(generator, styles, [&](const StyleVectors& given) {
    return generator->synthesize(given, Noise::kRandom);
  });
  const Results fused = Synthesis(generator, styles, [&](const StyleVectors& given) {
    return FusedSynthesize(generator, given, type);
  });
  ExpectSame(fused, right, type);
}

TEST_P(FusedNetworksTest, GeneratorWithNoise) {
  CompareGenerator(MakeGenerator(3), GetParam());
  CompareGenerator(MakeGenerator(1), GetParam());
}

TEST_P(FusedNetworksTest, GeneratorWhoseNoiseIsOff) {
  Generator generator = MakeGenerator(3);
  for (auto& item : generator->named_parameters()) {
    if (item.key().ends_with("noise_strength")) {
      const torch::NoGradGuard no_grad;
      item.value().zero_();
      item.value().requires_grad_(false);
    }
  }
  CompareGenerator(generator, GetParam());
}

template <typename Forward>
Results Reading(torch::nn::Module& network, const Tensor& from, const Forward& forward) {
  const Tensor images = from.clone().requires_grad_(true);
  std::vector<Tensor> features;
  const Tensor output = forward(images, &features);
  Results results = {{"output", output.detach()}};
  torch::manual_seed(7);
  Tensor loss = (output * torch::randn_like(output)).sum();
  for (size_t l = 0; l < features.size(); ++l) {
    results["feature " + std::to_string(l)] = features[l].detach().contiguous();
    const Tensor factors = torch::randn(features[l].sizes());
    loss = loss + (features[l].to(torch::kFloat32) * factors).mean();
  }
  AddGradients(network, loss, &results);
  results["gradient of images"] = images.grad();
  return results;
}

TEST_P(FusedNetworksTest, Encoder) {
  v1::EncoderConfig config;
  for (const int width : {24, 16, 9}) {
    config.add_channels(width);
  }
  config.set_minibatch_stddev(true);
  for (const int64_t planes : {1, 3}) {
    Encoder encoder(config, planes, 10);
    Disturb(*encoder);
    const Tensor images = torch::randn({4, planes, 16, 16});
    const Results right =
        Reading(*encoder, images, [&](const Tensor& x, auto) { return encoder->forward(x); });
    const Results fused = Reading(*encoder, images, [&](const Tensor& x, auto) {
      return FusedEncode(encoder, x, GetParam());
    });
    ExpectSame(fused, right, GetParam());
  }
}

TEST_P(FusedNetworksTest, DiscriminatorWithFeaturesTrainedAndFrozen) {
  v1::DiscriminatorConfig config;
  for (const int width : {24, 16, 9}) {
    config.add_channels(width);
  }
  config.set_conditional(true);
  Discriminator discriminator(config, 3, 2);
  Disturb(*discriminator);
  const Tensor images = torch::randn({3, 3, 16, 16});
  const Tensor probabilities = torch::softmax(torch::randn({3, 2}), 1);
  for (const bool trained : {true, false}) {
    for (Tensor& parameter : discriminator->parameters()) {
      parameter.requires_grad_(trained);
      parameter.mutable_grad() = Tensor();
    }
    const Results right = Reading(*discriminator, images, [&](const Tensor& x, auto features) {
      return discriminator->forward(x, probabilities, features);
    });
    const Results fused = Reading(*discriminator, images, [&](const Tensor& x, auto features) {
      return FusedDiscriminate(discriminator, x, probabilities, GetParam(), features);
    });
    EXPECT_EQ(right.contains("gradient of body.block0_conv1.weight"), trained);
    ExpectSame(fused, right, GetParam());
  }
}

TEST_P(FusedNetworksTest, TheSameBitsEachTime) {
  Generator generator = MakeGenerator(3);
  StyleVectors styles;
  {
    const torch::NoGradGuard no_grad;
    styles = generator->styles(torch::randn({3, 10}));
  }
  const auto run = [&] {
    return Synthesis(generator, styles, [&](const StyleVectors& given) {
      return FusedSynthesize(generator, given, GetParam());
    });
  };
  const Results first = run(), second = run();
  for (const auto& [name, tensor] : first) {
    EXPECT_TRUE(tensor.equal(second.at(name))) << name;
  }
}

TEST_P(FusedNetworksTest, MeanAbsoluteDifferenceOfActivations) {
  const auto activations = [] {
    return torch::randn({3, 9, 8, 8}).to(GetParam()).contiguous(torch::MemoryFormat::ChannelsLast);
  };
  const Tensor a = activations(), b = activations().requires_grad_(true);
  const Tensor loss = MeanAbsoluteDifference(a, b);
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
  const Tensor right = (a.to(torch::kFloat32) - b.to(torch::kFloat32)).abs().mean();
  EXPECT_NEAR(loss.item<double>(), right.item<double>(), 1e-5);
  loss.backward();
  const Tensor fused = b.grad().clone();
  b.mutable_grad() = Tensor();
  right.backward();
  EXPECT_LT(Error(fused, b.grad()), Tolerance(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(Types, FusedNetworksTest,
                         testing::Values(torch::kFloat32, torch::kBFloat16),
                         [](const testing::TestParamInfo<torch::ScalarType>& type) {
                           return type.param == torch::kFloat32 ? "Float32" : "Bfloat16";
                         });

// --- Against finite differences, which know nothing of the unfused layers ---

// The derivative of f at `x` along a random direction, by autograd and by a central difference.
template <typename F>
void ExpectDerivative(const std::string& name, const Tensor& x, const F& f) {
  const Tensor at = x.clone().requires_grad_(true);
  const Tensor direction = torch::randn_like(x) / std::sqrt(static_cast<double>(x.numel()));
  const Tensor gradient = torch::autograd::grad({f(at)}, {at})[0];
  const double by_autograd = (gradient * direction).sum().item<double>();
  constexpr double kStep = 2e-3;
  const torch::NoGradGuard no_grad;
  const double ahead = f(x + kStep * direction).template item<double>();
  const double behind = f(x - kStep * direction).template item<double>();
  EXPECT_NEAR(by_autograd, (ahead - behind) / (2 * kStep), 2e-2 * (1 + std::abs(by_autograd)))
      << name;
}

TEST(FusedLayersTest, StyledConvolutionFollowsFiniteDifferences) {
  torch::manual_seed(11);
  for (const bool up : {false, true}) {
    const int64_t side = up ? 8 : 4;
    StyledConvolution layer;
    layer.style = torch::randn({2, 5});
    layer.weight = torch::randn({6, 5, 3, 3});
    layer.bias = torch::randn({6});
    layer.noise = torch::randn({2, 1, side, side});
    layer.up = up;
    layer.rgb_weight = torch::randn({2, 3, 6}) / 3;
    layer.rgb_bias = torch::randn({3});
    layer.below = torch::randn({2, 3, side / 2, side / 2});
    const Tensor x = torch::randn({2, 5, 4, 4});
    const Tensor factors = torch::randn({2, 6, side, side}) / 6;
    const Tensor colours = torch::randn({2, 3, side, side}) / 6;
    const auto value = [&](const StyledConvolution& of, const Tensor& input) {
      const StyledResult result = Apply(of, input.contiguous(torch::MemoryFormat::ChannelsLast));
      return (result.x * factors).sum() + (result.image * colours).sum();
    };
    ExpectDerivative("input", x, [&](const Tensor& t) { return value(layer, t); });
    const auto check = [&](const std::string& name, Tensor StyledConvolution::*member) {
      ExpectDerivative(name, layer.*member, [&](const Tensor& t) {
        StyledConvolution changed = layer;
        changed.*member = t;
        return value(changed, x);
      });
    };
    check("style", &StyledConvolution::style);
    check("weight", &StyledConvolution::weight);
    check("bias", &StyledConvolution::bias);
    check("noise", &StyledConvolution::noise);
    check("rgb_weight", &StyledConvolution::rgb_weight);
    check("rgb_bias", &StyledConvolution::rgb_bias);
    check("below", &StyledConvolution::below);
  }
}

TEST(FusedLayersTest, SecondDerivativesAreRefused) {
  const Tensor images = torch::randn({2, 3, 4, 4}).requires_grad_(true);
  const Tensor y = ReadRgb(images, torch::randn({5, 3, 1, 1}), torch::zeros({5}), torch::kFloat32);
  EXPECT_THROW(torch::autograd::grad({y.sum()}, {images}, {}, /*retain_graph=*/true,
                                     /*create_graph=*/true),
               c10::Error);
}

}  // namespace
}  // namespace stylex
