// What callers rely on beyond equal images (inference_test.cc): copies, refusals, sizes, extreme
// styles.
#include "models/cpu/variant_synthesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace stylex {
namespace {

constexpr int64_t kVariantLatent = 6;

// 4x4, 8x8 and 16x16.
Generator SmallGenerator(int components = 0) {
  torch::NoGradGuard no_grad;
  v1::GeneratorConfig config;
  for (const int width : {7, 6, 5}) {
    config.add_channels(width);
  }
  config.set_components(components);
  Generator generator(config, kVariantLatent, 16, 3);
  for (auto& item : generator->named_parameters()) {
    if (item.value().dim() <= 1) {
      item.value().add_(torch::randn_like(item.value()) * 0.4);
    }
  }
  return generator;
}

double Apart(const torch::Tensor& found, const torch::Tensor& expected) {
  return (found - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

class SmallVariantsTest : public testing::Test {
 protected:
  SmallVariantsTest() {
    torch::manual_seed(71);
    generator_ = SmallGenerator();
    styles_ = generator_->styles(torch::randn({1, kVariantLatent}));
    plan_ = std::make_shared<const SynthesisPlan>(*generator_);
  }
  // The generator's own image with one channel's style replaced.
  torch::Tensor Drawn(const StyleChange& change) {
    StyleVectors moved = {styles_.conv.clone(), styles_.rgb};
    moved.conv[0][generator_->layout().Offset(change.layer) + change.channel] = change.value;
    return generator_->synthesize(moved, Noise::kFixed);
  }

  const torch::NoGradGuard no_grad_;
  Generator generator_{nullptr};
  StyleVectors styles_;
  std::shared_ptr<const SynthesisPlan> plan_;
};

TEST_F(SmallVariantsTest, ThePlanKnowsTheGenerator) {
  EXPECT_EQ(plan_->resolution(), 16);
  EXPECT_EQ(plan_->planes(), 3);
  EXPECT_EQ(plan_->layout().conv, generator_->channel_layout().conv);
  ASSERT_EQ(plan_->convs().size(), 5);
  EXPECT_EQ(plan_->to_rgbs().size(), 3);
  const SynthesisPlan::Conv& conv = plan_->convs()[1];
  EXPECT_TRUE(conv.up);
  EXPECT_EQ(std::pair(conv.in_side, conv.out_side), std::pair(int64_t{4}, int64_t{8}));
  EXPECT_EQ(std::pair(conv.in, conv.out), std::pair(int64_t{7}, int64_t{6}));
}

TEST_F(SmallVariantsTest, ThePlanIsACopy) {
  const torch::Tensor before = VariantSynthesis(plan_, styles_).image().clone();
  for (const torch::Tensor& parameter : generator_->parameters()) {
    parameter.mul_(1.5);
  }
  EXPECT_TRUE(VariantSynthesis(plan_, styles_).image().equal(before));
  const torch::Tensor now = generator_->synthesize(styles_, Noise::kFixed);
  EXPECT_GT(Apart(before, now), 0.01);
  EXPECT_LT(
      Apart(VariantSynthesis(std::make_shared<const SynthesisPlan>(*generator_), styles_).image(),
            now),
      1e-5);
}

TEST_F(SmallVariantsTest, ExtremeValuesAreDrawnAsTheGeneratorDrawsThem) {
  const VariantSynthesis variants(plan_, styles_);
  for (int64_t layer = 0; layer < 5; ++layer) {
    for (const float value : {0.f, -0.001f, 60.f, -500.f}) {
      const StyleChange change = {layer, 1, value};
      EXPECT_LT(Apart(variants.Draw({&change, 1}), Drawn(change)), 5e-5) << layer << " " << value;
    }
  }
}

// A layer of one live channel: with that channel off nothing is left to demodulate.
TEST_F(SmallVariantsTest, ALayerCanBeSwitchedOff) {
  const int64_t offset = generator_->layout().Offset(2), width = generator_->layout().conv[2];
  styles_.conv.narrow(1, offset, width).zero_();
  styles_.conv[0][offset + 4] = 2;
  const VariantSynthesis variants(plan_, styles_);
  const StyleChange off = {2, 4, 0.f}, other = {2, 0, 1.f};
  for (const StyleChange& change : {off, other}) {
    const torch::Tensor drawn = variants.Draw({&change, 1});
    EXPECT_TRUE(torch::isfinite(drawn).all().item<bool>());
    EXPECT_LT(Apart(drawn, Drawn(change)), 1e-3) << change.channel;
  }
}

TEST_F(SmallVariantsTest, TheSameChangeTwiceIsDrawnTwice) {
  const VariantSynthesis variants(plan_, styles_);
  const std::vector<StyleChange> changes = {{1, 2, 3.f}, {1, 2, 3.f}, {1, 0, 3.f}, {1, 2, 3.f}};
  const torch::Tensor drawn = variants.Draw(changes);
  EXPECT_EQ(drawn.sizes(), (std::vector<int64_t>{4, 3, 16, 16}));
  EXPECT_TRUE(drawn[0].equal(drawn[1]));
  EXPECT_LT(Apart(drawn[3], drawn[0]), 1e-6);
  EXPECT_GT(Apart(drawn[2], drawn[0]), 1e-3);
}

TEST_F(SmallVariantsTest, RefusesWhatItCannotDraw) {
  const VariantSynthesis variants(plan_, styles_);
  EXPECT_THROW(variants.Draw({}), c10::Error);
  const StyleChange beyond = {5, 0, 1.f};
  EXPECT_THROW(variants.Draw({&beyond, 1}), c10::Error);
  EXPECT_THROW(VariantSynthesis(plan_, styles_.Expand(2)), c10::Error);
  const StyleVectors shorter = {styles_.conv.narrow(1, 0, 10), styles_.rgb};
  EXPECT_THROW(VariantSynthesis(plan_, shorter), c10::Error);
  Generator wide = SmallGenerator();
  wide->to(torch::kFloat64);
  EXPECT_THROW(SynthesisPlan{*wide}, c10::Error);
}

TEST_F(SmallVariantsTest, ComponentsAreDrawnThroughTheirChannels) {
  Generator generator = SmallGenerator(/*components=*/2);
  const StyleVectors coordinates = generator->styles(torch::randn({1, kVariantLatent}));
  const VariantSynthesis variants(std::make_shared<const SynthesisPlan>(*generator),
                                  generator->ChannelStyles(coordinates));
  EXPECT_LT(Apart(variants.image(), generator->synthesize(coordinates, Noise::kFixed)), 1e-5);
}

TEST_F(SmallVariantsTest, ThreadsShareOne) {
  const VariantSynthesis variants(plan_, styles_);
  std::vector<torch::Tensor> drawn(4);
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const StyleChange change = {1, i, 2.f};
      drawn[static_cast<size_t>(i)] = variants.Draw({&change, 1});
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_LT(Apart(drawn[static_cast<size_t>(i)], Drawn({1, i, 2.f})), 2e-5) << i;
  }
}

TEST_F(SmallVariantsTest, NoGradientIsKept) {
  const torch::AutoGradMode with_gradients(true);
  const VariantSynthesis variants(plan_, generator_->styles(torch::randn({1, kVariantLatent})));
  const StyleChange change = {0, 0, 2.f};
  EXPECT_FALSE(variants.image().requires_grad());
  EXPECT_FALSE(variants.Draw({&change, 1}).requires_grad());
}

}  // namespace
}  // namespace stylex
