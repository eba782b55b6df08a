// The optimised inference gives the same results as the plain networks.
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <vector>

#include "models/classifier.h"
#include "models/cpu/folded_mobilenet.h"
#include "models/cpu/synthesis_kernels.h"
#include "models/cpu/variant_synthesis.h"

namespace stylex {
namespace {

// New networks have zero biases and noise and unit statistics, which would hide mistakes.
void Disturb(torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    if (item.key().ends_with("bias") || item.key().ends_with("noise_strength")) {
      item.value().add_(torch::randn_like(item.value()) * 0.3);
    }
  }
  for (auto& item : module.named_buffers()) {
    if (item.key().ends_with("running_mean")) {
      item.value().add_(torch::randn_like(item.value()) * 0.2);
    } else if (item.key().ends_with("running_var")) {
      item.value().mul_(torch::rand_like(item.value()) + 0.5);
    }
  }
}

Generator MakeGenerator(int64_t image_channels, const std::vector<int>& channels) {
  v1::GeneratorConfig config;
  for (const int width : channels) {
    config.add_channels(width);
  }
  config.set_latent_size(10);
  Generator generator(config, 10, int64_t{4} << (channels.size() - 1), image_channels);
  Disturb(*generator);
  return generator;
}

class VariantSynthesisTest : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Planes, VariantSynthesisTest, testing::Values(1, 3));

TEST_P(VariantSynthesisTest, DrawsWhatTheGeneratorDraws) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  // Channel counts that differ between layers and are not multiples of any vector width.
  Generator generator = MakeGenerator(GetParam(), {20, 13, 9, 5});
  const StyleLayout& layout = generator->layout();
  const StyleVectors styles = generator->styles(torch::randn({1, 10}));
  const VariantSynthesis variants(std::make_shared<const SynthesisPlan>(*generator), styles);
  const torch::Tensor image = generator->synthesize(styles, Noise::kFixed);
  const double scale = image.abs().max().item<double>();
  EXPECT_LT((variants.image() - image).abs().max().item<double>(), 1e-5 * scale);

  for (int64_t layer = 0; layer < static_cast<int64_t>(layout.conv.size()); ++layer) {
    std::vector<StyleChange> changes;
    StyleVectors moved = styles.Expand(2 * layout.conv[layer]);
    moved.conv = moved.conv.clone();
    for (int64_t channel = 0; channel < layout.conv[layer]; ++channel) {
      for (const float value : {-2.5f + static_cast<float>(channel), 0.f}) {
        moved.conv[static_cast<int64_t>(changes.size())][layout.Offset(layer) + channel] = value;
        changes.push_back({layer, channel, value});
      }
    }
    const torch::Tensor expected = generator->synthesize(moved, Noise::kFixed);
    const torch::Tensor drawn = variants.Draw(changes);
    EXPECT_LT((drawn - expected).abs().max().item<double>(),
              2e-5 * expected.abs().max().item<double>())
        << "layer " << layer;
    EXPECT_GT((drawn - image).abs().max().item<double>(), 1e-2 * scale) << "nothing has moved";
  }
}

TEST(VariantSynthesisTest, LayersRunTogether) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  Generator generator = MakeGenerator(3, {16, 12, 8});
  const StyleVectors styles = generator->styles(torch::randn({1, 10}));
  const VariantSynthesis variants(std::make_shared<const SynthesisPlan>(*generator), styles);
  const std::vector<StyleChange> changes = {{0, 2, 3.f}, {0, 5, -1.f}, {2, 0, 2.f},
                                            {3, 1, 2.f}, {3, 1, -2.f}, {4, 7, 4.f}};
  const torch::Tensor together = variants.Draw(changes);
  for (size_t i = 0; i < changes.size(); ++i) {
    const torch::Tensor alone = variants.Draw(std::span(changes).subspan(i, 1));
    EXPECT_LT((alone[0] - together[static_cast<int64_t>(i)]).abs().max().item<double>(), 1e-5);
  }
  const std::vector<StyleChange> backwards = {changes[3], changes[0]};
  EXPECT_THROW(variants.Draw(backwards), c10::Error);
}

TEST(VariantSynthesisTest, AnUnmovedCoordinateGivesTheImageItself) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  Generator generator = MakeGenerator(1, {8, 8, 8});
  const StyleVectors styles = generator->styles(torch::randn({1, 10}));
  const VariantSynthesis variants(std::make_shared<const SynthesisPlan>(*generator), styles);
  const std::array<StyleChange, 1> same = {{{0, 3, styles.conv[0][3].item<float>()}}};
  EXPECT_LT((variants.Draw(same) - variants.image()).abs().max().item<double>(), 1e-5);
}

TEST(VariantSynthesisTest, TheNumberOfThreadsAndTheCompanyDoNotMatter) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  Generator generator = MakeGenerator(3, {32, 24, 16});
  const StyleVectors styles = generator->styles(torch::randn({1, 10}));
  const VariantSynthesis variants(std::make_shared<const SynthesisPlan>(*generator), styles);
  std::vector<StyleChange> changes;
  for (int64_t channel = 0; channel < 32; ++channel) {
    changes.push_back({1, channel, 2.f});
  }
  const torch::Tensor together = variants.Draw(changes);
  const int threads = torch::get_num_threads();
  torch::set_num_threads(1);
  for (size_t i = 0; i < changes.size(); i += 7) {
    const torch::Tensor alone = variants.Draw(std::span(changes).subspan(i, 1));
    EXPECT_LT((alone[0] - together[static_cast<int64_t>(i)]).abs().max().item<double>(), 1e-5);
  }
  torch::set_num_threads(threads);
}

// Compares the fused kernel with the two operations it replaces, and both with an explicit sum.
TEST(SynthesisKernelsTest, UpPhaseKernelsAreTheUpsamplingConvolution) {
  torch::manual_seed(4);
  constexpr int64_t kSide = 5, kChannels = 3;
  const torch::Tensor plane = torch::randn({kSide, kSide});
  const torch::Tensor kernel = torch::randn({3, 3, kChannels}).contiguous();
  const torch::Tensor columns =
      (plane.view({kSide, kSide, 1, 1}) * kernel.view({1, 1, 9, kChannels})).contiguous();
  torch::Tensor filtered = torch::empty({2 * kSide, 2 * kSide, kChannels});
  std::vector<float> scratch(kernels::UpFilterScratch(kSide, kChannels));
  kernels::UpFilterAndActivate(columns.data_ptr<float>(), nullptr, kSide, kChannels, scratch.data(),
                               filtered.data_ptr<float>());

  torch::Tensor phases = torch::empty({2, 2, 3, 3, kChannels});
  kernels::UpPhaseKernels(kernel.data_ptr<float>(), kChannels, phases.data_ptr<float>());
  const torch::Tensor padded = torch::constant_pad_nd(plane, {1, 1, 1, 1});
  for (int64_t y = 0; y < 2 * kSide; ++y) {
    for (int64_t x = 0; x < 2 * kSide; ++x) {
      const torch::Tensor window = padded.narrow(0, y / 2, 3).narrow(1, x / 2, 3).unsqueeze(-1);
      const torch::Tensor sum = (window * phases[y % 2][x % 2]).sum(at::IntArrayRef({0, 1}));
      EXPECT_LT((sum - filtered[y][x]).abs().max().item<float>(), 1e-5f) << y << " " << x;
    }
  }
}

class FoldedMobileNetTest : public testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(Widths, FoldedMobileNetTest, testing::Values(0.25, 0.5));

TEST_P(FoldedMobileNetTest, AnswersAsTheNetworkDoes) {
  torch::manual_seed(5);
  MobileNetV2 network(3, 4, GetParam());
  Disturb(*network);
  network->eval();
  const double temperature = 1.5;
  const std::unique_ptr<Classifier> classifier = MakeMobileNetClassifier(network, temperature);
  for (const int64_t n : {1, 2, 7, 33}) {
    const torch::Tensor x = torch::randn({n, 3, 48, 48});
    torch::NoGradGuard no_grad;
    const MobileNetV2Impl::Features expected = network->ForwardWithFeatures(x);
    const double tolerance = 1e-5 * (1 + expected.logits.abs().max().item<double>());
    // The CPU's own way, and with features; in order and in channels-last order.
    EXPECT_LT((classifier->Logits(x) - expected.logits / temperature).abs().max().item<double>(),
              tolerance);
    const torch::Tensor last = x.contiguous(torch::MemoryFormat::ChannelsLast);
    const Classifier::Features features = classifier->LogitsAndFeatures(last);
    EXPECT_LT((features.logits - expected.logits / temperature).abs().max().item<double>(),
              tolerance);
    ASSERT_EQ(features.taps.size(), expected.taps.size());
    for (size_t i = 0; i < features.taps.size(); ++i) {
      EXPECT_LT((features.taps[i] - expected.taps[i]).abs().max().item<double>(), 1e-4);
    }
  }
}

TEST(FoldedMobileNetTest, GradientsReachTheImages) {
  torch::manual_seed(6);
  MobileNetV2 network(1, 3, 0.25);
  Disturb(*network);
  network->eval();
  const std::unique_ptr<Classifier> classifier = MakeMobileNetClassifier(network, 0);
  const torch::Tensor images = torch::randn({2, 1, 32, 32});
  const auto gradient = [&](auto&& logits) {
    const torch::Tensor x = images.clone().requires_grad_(true);
    return torch::autograd::grad({logits(x).select(1, 1).sum()}, {x})[0];
  };
  const torch::Tensor expected = gradient([&](const torch::Tensor& x) { return network(x); });
  const torch::Tensor got = gradient([&](const torch::Tensor& x) { return classifier->Logits(x); });
  EXPECT_GT(expected.abs().max().item<double>(), 0);
  EXPECT_LT((got - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

}  // namespace
}  // namespace stylex
