// The generator against a literal one that modulates and demodulates every image's weights, and
// what checkpoints and training rely on: names and shapes, fresh values, traces, gradients.
#include "models/networks/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/models/networks/literal_planes.h"

namespace stylex {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

constexpr int64_t kLatent = 6;

v1::GeneratorConfig ChannelCounts(const std::vector<int>& channels, int components = 0) {
  v1::GeneratorConfig config;
  for (const int width : channels) {
    config.add_channels(width);
  }
  config.set_components(components);
  return config;
}

// 4x4, 8x8 and 16x16, with biases and noise strengths that are not zero.
Generator UnevenGenerator(int64_t image_channels, int components = 0) {
  torch::NoGradGuard no_grad;
  Generator generator(ChannelCounts({5, 4, 3}, components), kLatent, 16, image_channels);
  for (auto& item : generator->named_parameters()) {
    if (item.value().dim() <= 1) {
      item.value().add_(torch::randn_like(item.value()) * 0.4);
    }
  }
  return generator;
}

// StyleGAN2, §2.2 and appendix B, for image n of a batch: w' = s w, w'' = w' / sqrt(sum w'^2 +
// 1e-8).
torch::Tensor LiterallyModulated(const torch::Tensor& weight, const torch::Tensor& style,
                                 bool demodulate) {
  const double scale = 1 / std::sqrt(static_cast<double>(weight[0].numel()));
  torch::Tensor modulated = weight.detach().to(torch::kFloat64).clone();
  for (int64_t o = 0; o < weight.size(0); ++o) {
    double energy = 0;
    for (int64_t i = 0; i < weight.size(1); ++i) {
      modulated[o][i] *= style[i].item<double>() * scale;
      energy += modulated[o][i].square().sum().item<double>();
    }
    if (demodulate) {
      modulated[o] /= std::sqrt(energy + 1e-8);
    }
  }
  return modulated;
}

// One image; `noise` tells whether the fixed noise is added.
torch::Tensor DrawnLiterally(const GeneratorImpl& generator, const StyleVectors& styles) {
  const auto of_convs = styles.conv[0].split_with_sizes(generator.channel_layout().conv);
  const auto of_rgbs = styles.rgb[0].split_with_sizes(generator.channel_layout().rgb);
  Planes x = Planes::Of(generator.constant());
  torch::Tensor image;
  for (size_t l = 0; l < generator.convs().size(); ++l) {
    const GeneratorImpl::Conv& conv = generator.convs()[l];
    const torch::Tensor weight = LiterallyModulated(conv.weight, of_convs[l], /*demodulate=*/true);
    Planes y = conv.up ? Smooth(SpreadByTwo(x, weight), 1, 1, 4) : Correlate(x, weight, 1, 1);
    y.ForEach([&](int64_t n, int64_t c, int64_t row, int64_t column) {
      y.At(n, c, row, column) +=
          conv.noise[0][0][row][column].item<double>() * conv.noise_strength.item<double>();
    });
    x = AddAndActivateLiterally(std::move(y), conv.bias);
    if (l % 2 == 0) {
      const GeneratorImpl::ToRgb& to_rgb = generator.to_rgbs()[l / 2];
      const torch::Tensor mix =
          LiterallyModulated(to_rgb.weight, of_rgbs[l / 2], /*demodulate=*/false);
      const torch::Tensor added = Correlate(x, mix, 1, 0).ToTensor() +
                                  to_rgb.bias.detach().to(torch::kFloat64).view({1, -1, 1, 1});
      image = image.defined() ? UpsampleLiterally(Planes::Of(image)).ToTensor() + added : added;
    }
  }
  return image;
}

class LiteralGeneratorTest : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(ImageChannels, LiteralGeneratorTest, testing::Values(1, 3));

TEST_P(LiteralGeneratorTest, DrawsWhatModulatedWeightsDraw) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(21);
  Generator generator = UnevenGenerator(GetParam());
  const StyleVectors styles = generator->styles(torch::randn({2, kLatent}));
  const torch::Tensor images = generator->synthesize(styles, Noise::kFixed);
  ASSERT_EQ(images.sizes(), (std::vector<int64_t>{2, GetParam(), 16, 16}));
  for (int64_t n = 0; n < 2; ++n) {
    EXPECT_LT(
        RelativeDifference(images.narrow(0, n, 1), DrawnLiterally(*generator, styles.Narrow(n, 1))),
        1e-5);
  }
}

// What demodulation is for: the size of a convolution's styles does not matter, that of to_rgb's
// does.
TEST(GeneratorStylesTest, ConvolutionsForgetTheSizeOfTheirStyles) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(22);
  Generator generator = UnevenGenerator(3);
  const StyleVectors styles = generator->styles(torch::randn({1, kLatent}));
  const torch::Tensor image = generator->synthesize(styles, Noise::kFixed);
  const StyleVectors larger = {styles.conv * 7, styles.rgb};
  EXPECT_LT(RelativeDifference(generator->synthesize(larger, Noise::kFixed), image), 1e-5);
  const StyleVectors brighter = {styles.conv, styles.rgb * 7};
  EXPECT_GT(RelativeDifference(generator->synthesize(brighter, Noise::kFixed), image), 0.5);
}

TEST(GeneratorStylesTest, AreAffineInTheLatent) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(23);
  Generator generator = UnevenGenerator(3);
  const torch::Tensor a = torch::randn({1, kLatent}), b = torch::randn({1, kLatent});
  const auto all = [&](const torch::Tensor& w) {
    const StyleVectors styles = generator->styles(w);
    return torch::cat({styles.conv, styles.rgb}, 1);
  };
  EXPECT_LT(RelativeDifference(all(0.3 * a + 0.7 * b), 0.3 * all(a) + 0.7 * all(b)), 1e-5);
  EXPECT_GT(RelativeDifference(all(a), all(b)), 0.1);
}

TEST(GeneratorStylesTest, OfAFreshGeneratorAreOneAtTheOrigin) {
  torch::NoGradGuard no_grad;
  Generator generator(ChannelCounts({5, 4}), kLatent, 8, 3);
  const StyleVectors styles = generator->styles(torch::zeros({2, kLatent}));
  EXPECT_TRUE(styles.conv.equal(torch::ones({2, 14})));
  EXPECT_TRUE(styles.rgb.equal(torch::ones({2, 9})));
}

// As in StyleGAN2, convolution l takes latent l and to_rgb layer j takes latent 2 j + 1.
TEST(GeneratorStylesTest, ALatentALayerReachesItsLayersAlone) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(24);
  Generator generator = UnevenGenerator(1);
  ASSERT_EQ(generator->num_latents(), 6);
  const torch::Tensor w = torch::randn({1, 6, kLatent});
  const StyleVectors before = generator->styles(w);
  const std::vector<std::vector<int64_t>> convs_of = {{0}, {1}, {2}, {3}, {4}, {}};
  const std::vector<std::vector<int64_t>> rgbs_of = {{}, {0}, {}, {1}, {}, {2}};
  const StyleLayout& layout = generator->layout();
  for (int64_t latent = 0; latent < 6; ++latent) {
    torch::Tensor moved = w.clone();
    moved.select(1, latent) += 1;
    const StyleVectors after = generator->styles(moved);
    const auto changed = [](const torch::Tensor& left, const torch::Tensor& right,
                            const std::vector<int64_t>& sizes) {
      std::vector<int64_t> layers;
      const auto before_parts = left[0].split_with_sizes(sizes),
                 after_parts = right[0].split_with_sizes(sizes);
      for (size_t l = 0; l < sizes.size(); ++l) {
        if (!before_parts[l].equal(after_parts[l])) {
          layers.push_back(static_cast<int64_t>(l));
        }
      }
      return layers;
    };
    EXPECT_THAT(changed(before.conv, after.conv, layout.conv),
                ElementsAreArray(convs_of[static_cast<size_t>(latent)]))
        << latent;
    EXPECT_THAT(changed(before.rgb, after.rgb, layout.rgb),
                ElementsAreArray(rgbs_of[static_cast<size_t>(latent)]))
        << latent;
  }
}

TEST(GeneratorStylesTest, TheSameLatentForEveryLayerIsThatLatent) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(25);
  Generator generator = UnevenGenerator(1);
  const torch::Tensor w = torch::randn({2, kLatent});
  const StyleVectors one = generator->styles(w);
  const StyleVectors many =
      generator->styles(w.unsqueeze(1).expand({2, generator->num_latents(), kLatent}));
  EXPECT_LT(RelativeDifference(many.conv, one.conv), 1e-6);
  EXPECT_LT(RelativeDifference(many.rgb, one.rgb), 1e-6);
}

TEST(ChannelStylesTest, WithoutComponentsAreTheStyles) {
  torch::NoGradGuard no_grad;
  Generator generator = UnevenGenerator(3);
  const StyleVectors styles = generator->styles(torch::randn({2, kLatent}));
  EXPECT_FALSE(generator->has_components());
  EXPECT_FALSE(generator->latent_basis().mean.defined());
  EXPECT_TRUE(generator->ChannelStyles(styles).conv.equal(styles.conv));
  EXPECT_TRUE(generator->ChannelStyles(styles).rgb.equal(styles.rgb));
}

// Fresh ones have the identity as their basis: the coordinates are those of w, the searched ones
// first.
TEST(ChannelStylesTest, FreshComponentsAreTheLatentItself) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(26);
  Generator generator = UnevenGenerator(3, /*components=*/4);
  const torch::Tensor w = torch::randn({2, kLatent});
  const StyleVectors styles = generator->styles(w);
  EXPECT_TRUE(styles.conv.equal(w.narrow(1, 0, 4)));
  EXPECT_TRUE(styles.rgb.equal(w.narrow(1, 4, 2)));
  const StyleVectors channels = generator->ChannelStyles(styles);
  EXPECT_EQ(channels.conv.size(1), generator->channel_layout().num_conv());
  EXPECT_EQ(channels.rgb.size(1), generator->channel_layout().num_rgb());
  EXPECT_THROW(Generator(ChannelCounts({4, 4}, kLatent + 1), kLatent, 8, 3), c10::Error);
}

TEST(StyleVectorsTest, ConcatenateIsTheOppositeOfNarrow) {
  const StyleVectors styles{torch::rand({5, 4}), torch::rand({5, 3})};
  const StyleVectors whole =
      StyleVectors::Concatenate({styles.Narrow(0, 2), styles.Narrow(2, 1), styles.Narrow(3, 2)});
  EXPECT_TRUE(whole.conv.equal(styles.conv));
  EXPECT_TRUE(whole.rgb.equal(styles.rgb));
}

// Checkpoints are read by these names.
TEST(GeneratorTensorsTest, HaveTheNamesAndShapesOfCheckpoints) {
  const Generator generator(ChannelCounts({5, 4}), kLatent, 8, 3);
  std::vector<std::string> found;
  for (const auto& item : generator->named_parameters()) {
    found.push_back(absl::StrCat(item.key(), " ", c10::str(item.value().sizes())));
  }
  for (const auto& item : generator->named_buffers()) {
    found.push_back(absl::StrCat(item.key(), " ", c10::str(item.value().sizes()), " buffer"));
  }
  EXPECT_THAT(
      found,
      testing::UnorderedElementsAre(
          "const [1, 5, 4, 4]", "fir_kernel [4, 4] buffer", "conv0_weight [5, 5, 3, 3]",
          "conv0_bias [5]", "conv0_noise_strength []", "conv0_noise [1, 1, 4, 4] buffer",
          "conv0_affine.weight [5, 6]", "conv0_affine.bias [5]", "to_rgb0_weight [3, 5, 1, 1]",
          "to_rgb0_bias [3]", "to_rgb0_affine.weight [5, 6]", "to_rgb0_affine.bias [5]",
          "conv1_weight [4, 5, 3, 3]", "conv1_bias [4]", "conv1_noise_strength []",
          "conv1_noise [1, 1, 8, 8] buffer", "conv1_affine.weight [5, 6]", "conv1_affine.bias [5]",
          "conv2_weight [4, 4, 3, 3]", "conv2_bias [4]", "conv2_noise_strength []",
          "conv2_noise [1, 1, 8, 8] buffer", "conv2_affine.weight [4, 6]", "conv2_affine.bias [4]",
          "to_rgb1_weight [3, 4, 1, 1]", "to_rgb1_bias [3]", "to_rgb1_affine.weight [4, 6]",
          "to_rgb1_affine.bias [4]"));
}

TEST(GeneratorTensorsTest, ComponentsAddTheirBasis) {
  const Generator generator(ChannelCounts({5}, /*components=*/2), kLatent, 4, 3);
  std::vector<std::string> names;
  for (const auto& item : generator->named_buffers()) {
    names.push_back(item.key());
  }
  EXPECT_THAT(names,
              testing::IsSupersetOf({"components_mean", "components_basis", "components_readout"}));
  EXPECT_EQ(generator->w_size(), kLatent);
  EXPECT_THAT(generator->layout().conv, ElementsAre(2));
  EXPECT_THAT(generator->layout().rgb, ElementsAre(kLatent - 2));
}

TEST(SynthesisTraceTest, HoldsWhatEachLayerReadsAndWrites) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(27);
  Generator generator = UnevenGenerator(3);
  const StyleVectors styles = generator->styles(torch::randn({2, kLatent}));
  const SynthesisTrace trace = generator->Trace(styles);
  std::vector<std::string> inputs, images;
  for (const torch::Tensor& input : trace.conv_input) {
    inputs.push_back(c10::str(input.sizes()));
  }
  for (const torch::Tensor& image : trace.rgb) {
    images.push_back(c10::str(image.sizes()));
  }
  EXPECT_THAT(inputs, ElementsAre("[2, 5, 4, 4]", "[2, 5, 4, 4]", "[2, 4, 8, 8]", "[2, 4, 8, 8]",
                                  "[2, 3, 16, 16]"));
  EXPECT_THAT(images, ElementsAre("[2, 3, 4, 4]", "[2, 3, 8, 8]", "[2, 3, 16, 16]"));
  EXPECT_TRUE(trace.image.equal(trace.rgb.back()));
  EXPECT_TRUE(trace.conv_input[0][1].equal(generator->constant()[0]));
}

// What is reused is what the layers before would have computed: a trace that differs there gives
// another image.
TEST(SynthesisTraceTest, IsWhatALaterPassStartsFrom) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(28);
  Generator generator = UnevenGenerator(3);
  const StyleVectors styles = generator->styles(torch::randn({1, kLatent}));
  SynthesisTrace trace = generator->Trace(styles);
  trace.conv_input[1] = torch::zeros_like(trace.conv_input[1]);
  trace.rgb[1] = trace.rgb[1] + 1;
  const torch::Tensor unaffected = generator->SynthesizeFrom(2, trace, styles);
  EXPECT_LT(RelativeDifference(unaffected, trace.image), 1e-5);
  EXPECT_GT(RelativeDifference(generator->SynthesizeFrom(1, trace, styles), trace.image), 1e-2);
  // The skip image of the level below is reused from the first layer above it.
  const torch::Tensor brighter = generator->SynthesizeFrom(3, trace, styles);
  EXPECT_NEAR((brighter - trace.image).narrow(2, 4, 8).narrow(3, 4, 8).mean().item<double>(), 1,
              1e-4);
}

// R1 and the path length differentiate gradients of images with respect to latents.
TEST(GeneratorGradientsTest, ReachLatentsAndWeightsTwice) {
  torch::manual_seed(29);
  Generator generator = UnevenGenerator(1);
  const torch::Tensor w = torch::randn({2, kLatent}).requires_grad_(true);
  const torch::Tensor image = generator->synthesize(generator->styles(w), Noise::kFixed);
  const torch::Tensor gradient =
      torch::autograd::grad({(image * torch::randn_like(image)).sum()}, {w}, {},
                            /*retain_graph=*/true, /*create_graph=*/true)[0];
  gradient.square().sum().backward();
  EXPECT_GT(w.grad().abs().max().item<double>(), 0);
  for (const auto& item : generator->named_parameters()) {
    const std::string& name = item.key();
    // Shifts after the last activation do not bend the image.
    if (name == "to_rgb0_bias" || name == "to_rgb1_bias" || name == "to_rgb2_bias") {
      continue;
    }
    ASSERT_TRUE(item.value().grad().defined()) << name;
    EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << name;
  }
  EXPECT_GT(generator->convs()[0].affine->weight.grad().abs().max().item<double>(), 0);
}

TEST(GeneratorGradientsTest, FollowADifferenceQuotient) {
  torch::manual_seed(30);
  Generator generator = UnevenGenerator(3);
  generator->to(torch::kFloat64);
  const torch::Tensor at = torch::randn({1, kLatent}, torch::kFloat64);
  const torch::Tensor direction = torch::randn({1, kLatent}, torch::kFloat64);
  const auto brightness = [&](const torch::Tensor& w) {
    return generator->synthesize(generator->styles(w), Noise::kFixed).pow(2).mean();
  };
  const torch::Tensor w = at.clone().requires_grad_(true);
  const torch::Tensor gradient = torch::autograd::grad({brightness(w)}, {w})[0];
  torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  const double quotient =
      (brightness(at + kStep * direction) - brightness(at - kStep * direction)).item<double>() /
      (2 * kStep);
  EXPECT_GT(std::abs(quotient), 1e-4);
  EXPECT_NEAR((gradient * direction).sum().item<double>() / quotient, 1, 1e-4);
}

TEST(GeneratorThreadsTest, PassesAtTheSameTimeDrawTheSame) {
  torch::manual_seed(31);
  Generator generator = UnevenGenerator(3);
  torch::Tensor w = torch::randn({4, kLatent});
  const auto draw = [&](int64_t n) {
    torch::NoGradGuard no_grad;
    return generator->synthesize(generator->styles(w.narrow(0, n, 1)), Noise::kFixed);
  };
  std::vector<torch::Tensor> together(4);
  std::vector<std::thread> threads;
  for (int64_t n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] { together[static_cast<size_t>(n)] = draw(n); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int64_t n = 0; n < 4; ++n) {
    EXPECT_LT(RelativeDifference(together[static_cast<size_t>(n)], draw(n)), 1e-6) << n;
  }
}

TEST(GeneratorConfigTest, SidesMustFitTheChannelCounts) {
  EXPECT_THROW(Generator(v1::GeneratorConfig(), kLatent, 4, 3), c10::Error);
  EXPECT_THROW(Generator(ChannelCounts({4, 4}), kLatent, 16, 3), c10::Error);
  EXPECT_NO_THROW(Generator(ChannelCounts({4}), kLatent, 4, 3));
}

}  // namespace
}  // namespace stylex
