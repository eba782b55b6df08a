#include "explain/reconstruction_errors.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace stylex {
namespace {

constexpr int64_t kHeldOut = 4000;

struct HeldOut {
  torch::Tensor l1, ssim, kl;
  ReconstructionError Of(int64_t n) const {
    return {l1[n].item<double>(), ssim[n].item<double>(), kl[n].item<double>()};
  }
};

HeldOut Draw(uint64_t seed) {
  torch::manual_seed(seed);
  return {torch::rand({kHeldOut}).pow(2) * 0.2, 1 - torch::rand({kHeldOut}) * 0.5,
          torch::randn({kHeldOut}).exp() * 0.01};
}

TEST(ReconstructionErrorsTest, PercentilesOfTheSameKindOfImagesAreEvenlySpread) {
  const HeldOut known = Draw(1), others = Draw(2);
  const v1::ReconstructionErrors distribution = DistributionOf(known.l1, known.ssim, known.kl);
  EXPECT_EQ(distribution.images(), kHeldOut);
  int below_half = 0, unlike = 0;
  for (int64_t n = 0; n < kHeldOut; ++n) {
    const double percentile = PercentileOf(distribution, others.Of(n)).value();
    EXPECT_GE(percentile, 0);
    EXPECT_LE(percentile, 100);
    below_half += percentile < 50 ? 1 : 0;
    unlike += percentile > kUnlikeTraining ? 1 : 0;
  }
  EXPECT_NEAR(below_half / static_cast<double>(kHeldOut), 0.5, 0.03);
  EXPECT_NEAR(unlike / static_cast<double>(kHeldOut), 0.01, 0.006);
}

TEST(ReconstructionErrorsTest, OneErrorOfThreeIsEnough) {
  const HeldOut known = Draw(3);
  const v1::ReconstructionErrors distribution = DistributionOf(known.l1, known.ssim, known.kl);
  const ReconstructionError good = {0.0, 1.0, 0.0};
  EXPECT_LT(PercentileOf(distribution, good).value(), 1);
  ReconstructionError far = good;
  far.l1 = 0.5;
  EXPECT_GT(PercentileOf(distribution, far).value(), kUnlikeTraining);
  far = good;
  far.ssim = -0.2;
  EXPECT_GT(PercentileOf(distribution, far).value(), kUnlikeTraining);
  far = good;
  far.kl = 5;
  EXPECT_GT(PercentileOf(distribution, far).value(), kUnlikeTraining);
}

TEST(ReconstructionErrorsTest, OneImageIsADistribution) {
  const torch::Tensor one = torch::full({1}, 0.1);
  const v1::ReconstructionErrors distribution = DistributionOf(one, 1 - one, one);
  EXPECT_EQ(PercentileOf(distribution, {0.05, 0.95, 0.05}).value(), 0);
  EXPECT_EQ(PercentileOf(distribution, {0.2, 0.95, 0.05}).value(), 100);
}

TEST(ReconstructionErrorsTest, NothingIsSaidWithoutADistribution) {
  EXPECT_EQ(PercentileOf({}, {0.1, 0.9, 0.1}), std::nullopt);
}

}  // namespace
}  // namespace stylex
