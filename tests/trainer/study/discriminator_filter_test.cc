// The filter against its definition, image by image, with a random discriminator.
#include "trainer/study/discriminator_filter.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "explain/effects.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

constexpr int64_t kImages = 14;  // more than the filter looks at

class DiscriminatorFilterTest : public testing::Test {
 protected:
  DiscriminatorFilterTest() : tiny_(MakeTinyModel(71, kImages)) {
    v1::DiscriminatorConfig config;
    for (int i = 0; i < 3; ++i) {
      config.add_channels(8);
    }
    config.set_conditional(true);
    config.set_minibatch_stddev_group(4);
    discriminator_ = Discriminator(config, /*image_channels=*/1, kTinyClasses);
    effects_ = ComputeEffects(tiny_.stylex, tiny_.styles, tiny_.ranges, {}).value();
  }

  double Score(int64_t image, const std::vector<Move>& moves) {
    torch::NoGradGuard no_grad;
    const torch::Tensor drawn =
        tiny_.stylex.Synthesize(ApplyMoves(tiny_.styles.Narrow(image, 1), tiny_.ranges, moves));
    return discriminator_->forward(drawn, tiny_.stylex.Logits(drawn).softmax(1)).item<double>();
  }
  // As the released code reads: in each direction the first ten images that the move raises.
  double Literal(int64_t target, int64_t index) {
    double greatest = 0;
    for (const int direction : {0, 1}) {
      int seen = 0;
      for (int64_t n = 0; n < kImages && seen < 10; ++n) {
        if (effects_.effect[n][direction][index][target].item<double>() > 0.2) {
          ++seen;
          const double change = Score(n, {}) - Score(n, {{{index, direction}, 2}});
          greatest = std::max(greatest, std::abs(change));
        }
      }
      most_seen_ = std::max(most_seen_, seen);
    }
    return greatest;
  }

  TinyModel tiny_;
  Discriminator discriminator_{nullptr};
  StyleEffects effects_;
  int most_seen_ = 0;
};

TEST_F(DiscriminatorFilterTest, AgreesWithALiteralReading) {
  double least = 1e9, greatest = 0;
  for (const int64_t target : {0, 3}) {
    for (int64_t index = 0; index < kTinyCoordinates; index += 3) {
      const double found = GreatestScoreChange(tiny_.stylex, discriminator_, tiny_.styles,
                                               tiny_.ranges, effects_, target, index);
      EXPECT_NEAR(found, Literal(target, index), 1e-4) << "coordinate " << index;
      least = std::min(least, found);
      greatest = std::max(greatest, found);
    }
  }
  EXPECT_GT(greatest, 0.01) << "the discriminator sees nothing";
  EXPECT_LT(least, greatest / 2);
  EXPECT_EQ(most_seen_, 10) << "no coordinate raises more images than are looked at";
}

TEST_F(DiscriminatorFilterTest, WhatRaisesNoImageChangesNothing) {
  effects_.effect.zero_();
  EXPECT_EQ(
      GreatestScoreChange(tiny_.stylex, discriminator_, tiny_.styles, tiny_.ranges, effects_, 1, 5),
      0);
}

}  // namespace
}  // namespace stylex
