// The prepared pass on the CPU against the generator's own, which PyTorch checks
// (tests/models/networks).
#include "models/cpu/synthesis.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "tests/models/networks/literal_planes.h"

namespace stylex {
namespace {

constexpr int64_t kLatentLength = 6;

Generator DisturbedGenerator(const std::vector<int>& channels, int64_t planes, int components = 0) {
  torch::NoGradGuard no_grad;
  v1::GeneratorConfig config;
  config.mutable_channels()->Add(channels.begin(), channels.end());
  config.set_components(components);
  Generator generator(config, kLatentLength, int64_t{4} << (channels.size() - 1), planes);
  for (auto& item : generator->named_parameters()) {
    if (item.value().dim() <= 1) {  // biases and noise strengths, which begin at 0
      item.value().add_(torch::randn_like(item.value()) * 0.4);
    }
  }
  return generator;
}

class SynthesisTest : public testing::TestWithParam<int64_t> {
 protected:
  SynthesisTest() { torch::manual_seed(11); }
  const torch::NoGradGuard no_grad_;
};
INSTANTIATE_TEST_SUITE_P(Planes, SynthesisTest, testing::Values(1, 3));

TEST_P(SynthesisTest, DrawsWhatTheGeneratorDraws) {
  // Widths that are no multiples of a vector's, that grow and that shrink.
  for (const std::vector<int>& channels :
       {std::vector<int>{7}, std::vector<int>{5, 9}, std::vector<int>{20, 13, 33, 8}}) {
    Generator generator = DisturbedGenerator(channels, GetParam());
    const SynthesisPlan plan(*generator);
    for (const int64_t count : {1, 2, 5}) {
      // Moved far, as the search does.
      const StyleVectors styles = generator->styles(3 * torch::randn({count, kLatentLength}));
      const torch::Tensor expected = generator->synthesize(styles, Noise::kFixed);
      const torch::Tensor found = Synthesize(plan, styles);
      ASSERT_EQ(found.sizes(), expected.sizes());
      EXPECT_TRUE(found.is_contiguous());
      EXPECT_LT(RelativeDifference(found, expected), 1e-5)
          << channels.size() << " levels, " << count;
    }
  }
}

// The columns of an upsampling convolution come in pieces of some megabytes, here several.
TEST_P(SynthesisTest, DrawsManyWideImages) {
  Generator generator = DisturbedGenerator({8, 16, 64, 96, 8}, GetParam());
  const SynthesisPlan plan(*generator);
  const StyleVectors styles = generator->styles(torch::randn({7, kLatentLength}));
  EXPECT_LT(
      RelativeDifference(Synthesize(plan, styles), generator->synthesize(styles, Noise::kFixed)),
      1e-5);
}

TEST_P(SynthesisTest, TheCompanyMattersByRoundingAlone) {
  Generator generator = DisturbedGenerator({16, 12, 8}, GetParam());
  const SynthesisPlan plan(*generator);
  const StyleVectors styles = generator->styles(torch::randn({6, kLatentLength}));
  const torch::Tensor together = Synthesize(plan, styles);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_LT(RelativeDifference(Synthesize(plan, styles.Narrow(i, 1))[0], together[i]), 1e-5);
  }
}

TEST_P(SynthesisTest, ComponentsAreDrawnThroughTheirChannels) {
  Generator generator = DisturbedGenerator({8, 6}, GetParam(), /*components=*/2);
  const StyleVectors coordinates = generator->styles(torch::randn({3, kLatentLength}));
  const SynthesisPlan plan(*generator);
  EXPECT_LT(RelativeDifference(Synthesize(plan, generator->ChannelStyles(coordinates)),
                               generator->synthesize(coordinates, Noise::kFixed)),
            1e-5);
  const StyleVectors styles = plan.ChannelStyles(coordinates);
  EXPECT_LT(RelativeDifference(styles.conv, generator->ChannelStyles(coordinates).conv), 1e-6);
  EXPECT_LT(RelativeDifference(styles.rgb, generator->ChannelStyles(coordinates).rgb), 1e-6);
  EXPECT_THROW(Synthesize(plan, coordinates), c10::Error);
  EXPECT_THROW(Synthesize(plan, {styles.conv, styles.rgb.narrow(0, 0, 1)}), c10::Error);
  EXPECT_EQ(Synthesize(plan, styles.Narrow(0, 0)).sizes(),
            torch::IntArrayRef({0, GetParam(), 8, 8}));
}

TEST_P(SynthesisTest, RepeatedRowsNeedNotBeCopies) {
  Generator generator = DisturbedGenerator({8, 6}, GetParam());
  const SynthesisPlan plan(*generator);
  const StyleVectors styles = generator->styles(torch::randn({1, kLatentLength})).Expand(3);
  EXPECT_LT(
      RelativeDifference(Synthesize(plan, styles), generator->synthesize(styles, Noise::kFixed)),
      1e-5);
}

// The largest activation from the layer on: with widths 7, 6 and 5 at 4, 8 and 16 pixels that is
// the last one.
TEST(SynthesisPlanTest, TheBytesOfAnImageAreThoseOfItsLargestActivation) {
  const SynthesisPlan plan(*DisturbedGenerator({7, 6, 5}, 3));
  for (int64_t layer = 0; layer < 5; ++layer) {
    EXPECT_EQ(plan.BytesPerImage(layer), 16 * 16 * 5 * 4) << layer;
  }
  const SynthesisPlan narrowing(*DisturbedGenerator({100, 2}, 1));
  EXPECT_EQ(narrowing.BytesPerImage(0), 4 * 4 * 100 * 4);
  EXPECT_EQ(narrowing.BytesPerImage(1), 8 * 8 * 2 * 4);
}

}  // namespace
}  // namespace stylex
