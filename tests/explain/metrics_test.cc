#include "explain/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "tests/models/reference_folder.h"

namespace stylex {
namespace {

using ::testing::DoubleEq;
using ::testing::Optional;

TEST(MetricsTest, AgreeWithTheirDefinitions) {
  torch::manual_seed(1);
  // Rough and smooth, far apart and close together; not square.
  const torch::Tensor a = (torch::randn({6, 3, 20, 24}) * 0.5).clamp(-1, 1);
  torch::Tensor b = (a + torch::randn_like(a) * torch::rand({6, 1, 1, 1})).clamp(-1, 1);
  b[1] = a[1];
  b[2] = a[2] * 0.1 + 0.8;
  b[3] = -a[3];
  b[4] = torch::avg_pool2d(a[4].unsqueeze(0), 5, 1, 2)[0];
  const torch::Tensor p = torch::randn({5, 10}) * 4;
  const torch::Tensor q = torch::randn({5, 10}) * 4;
  ReferenceFolder folder;
  folder.Write("a", a);
  folder.Write("b", b);
  folder.Write("l1", L1PerImage(a, b));
  folder.Write("psnr", PsnrPerImage(a, b));
  folder.Write("ssim", SsimPerImage(a, b));
  folder.Write("gradient", GradientPerImage(a));
  // Of both windows, and what a blur leaves of the parts.
  const torch::Tensor large = (torch::randn({4, 2, 36, 40}) * 0.3).clamp(-1, 1);
  const torch::Tensor blurred = torch::avg_pool2d(large, 3, 1, 1);
  folder.Write("large", large);
  folder.Write("blurred", blurred);
  folder.Write("parts_of_a", FindSmallParts(a).AreaPerImage());
  folder.Write("parts_of_large", FindSmallParts(large).AreaPerImage());
  folder.Write("parts_of_blurred", FindSmallParts(blurred).AreaPerImage());
  folder.Write("found", FoundAreaPerImage(FindSmallParts(large), FindSmallParts(blurred)));
  folder.Write("p", p);
  folder.Write("q", q);
  folder.Write("kl", KlPerImage(p, q));
  folder.CompareWith("tests/explain/reference_metrics.py");
}

// Grey of `side` pixels with a square of another brightness at (top, left).
torch::Tensor WithSquare(int64_t side, int64_t top, int64_t left, int64_t size, float brightness) {
  torch::Tensor image = torch::zeros({1, 3, side, side});
  image.narrow(2, top, size).narrow(3, left, size).fill_(brightness);
  return image;
}

double AreaInPixels(const torch::Tensor& image) {
  return FindSmallParts(image).AreaPerImage().item<double>() *
         static_cast<double>(image.size(2) * image.size(3));
}

TEST(MetricsTest, SmallPartsAreThoseNarrowerThanTheWindow) {
  for (const float brightness : {-0.5f, 0.5f}) {
    EXPECT_EQ(AreaInPixels(WithSquare(32, 9, 14, 4, brightness)), 16);
    EXPECT_EQ(AreaInPixels(WithSquare(32, 9, 14, 5, brightness)), 0);  // the window of 5 fits in
    EXPECT_EQ(AreaInPixels(WithSquare(64, 9, 14, 8, brightness)), 64);
    EXPECT_EQ(AreaInPixels(WithSquare(64, 9, 14, 9, brightness)), 0);
  }
  EXPECT_EQ(AreaInPixels(WithSquare(32, 9, 14, 2, 0.19f)), 0) << "does not stand out";
  EXPECT_EQ(AreaInPixels(WithSquare(32, 0, 16, 16, 1)), 0) << "an edge is no small part";
}

TEST(MetricsTest, SmallPartsAreFoundAtTheirPlaceOnly) {
  const SmallParts dot = FindSmallParts(WithSquare(32, 9, 14, 3, 0.5));
  const auto found = [&dot](const torch::Tensor& drawn) {
    return FoundAreaPerImage(dot, FindSmallParts(drawn)).item<double>() * 32 * 32;
  };
  EXPECT_EQ(found(WithSquare(32, 9, 14, 3, 0.9f)), 9);
  EXPECT_EQ(found(WithSquare(32, 10, 15, 3, 0.5)), 9);  // one pixel away
  EXPECT_EQ(found(WithSquare(32, 11, 14, 3, 0.5)), 6);  // two of its three rows
  EXPECT_EQ(found(WithSquare(32, 9, 14, 3, -0.5)), 0);  // dark instead of light
  EXPECT_EQ(found(WithSquare(32, 20, 20, 3, 0.5)), 0);  // elsewhere
}

TEST(MetricsTest, GradientOfARampAndOfABlur) {
  const torch::Tensor ramp = torch::arange(16, torch::kFloat32).view({1, 1, 1, 16}) / 16;
  EXPECT_NEAR(GradientPerImage(ramp.expand({1, 3, 16, 16})).item<double>(), 1.0 / 16, 1e-6);
  EXPECT_EQ(GradientPerImage(torch::full({1, 3, 8, 8}, 0.3)).item<double>(), 0);
  torch::manual_seed(3);
  const torch::Tensor noise = torch::randn({2, 3, 20, 20});
  EXPECT_TRUE(GradientPerImage(torch::avg_pool2d(noise, 3, 1, 1))
                  .lt(GradientPerImage(noise) / 2)
                  .all()
                  .item<bool>());
}

TEST(MetricsTest, OfEqualImages) {
  const torch::Tensor x = torch::rand({2, 1, 16, 16});
  EXPECT_TRUE(L1PerImage(x, x).equal(torch::zeros({2})));
  EXPECT_TRUE(PsnrPerImage(x, x).equal(torch::full({2}, 100.f)));
  EXPECT_TRUE(SsimPerImage(x, x).allclose(torch::ones({2})));
}

TEST(MetricsTest, OfBlackAndWhite) {
  const torch::Tensor black = torch::full({1, 1, 16, 16}, -1.f);
  EXPECT_FLOAT_EQ(L1PerImage(black, -black).item<float>(), 2);
  EXPECT_NEAR(PsnrPerImage(black, -black).item<float>(), 0, 1e-5);
  EXPECT_LT(SsimPerImage(black, -black).item<float>(), -0.99);
}

TEST(MetricsTest, KlOfEqualLogitsIsZeroAndNeverNegative) {
  torch::manual_seed(2);
  const torch::Tensor logits = torch::randn({100, 10}) * 10;
  EXPECT_TRUE(KlPerImage(logits, logits).equal(torch::zeros({100})));
  EXPECT_GE(KlPerImage(logits, logits + 3).min().item<float>(), 0);  // a shift changes nothing
  EXPECT_LT(KlPerImage(logits, logits + 3).max().item<float>(), 1e-6);
  // Certain and wrong: finite, in nats.
  EXPECT_NEAR(
      KlPerImage(torch::tensor({{500.f, 0.f}}), torch::tensor({{0.f, 500.f}})).item<float>(), 500,
      1e-3);
}

TEST(MetricsTest, GiveOneFloatAnImage) {
  const torch::Tensor x = torch::zeros({3, 3, 32, 32}).requires_grad_(true);
  for (const torch::Tensor& value :
       {L1PerImage(x, x + 1), PsnrPerImage(x, x + 1), SsimPerImage(x, x + 1)}) {
    EXPECT_EQ(value.sizes(), torch::IntArrayRef({3}));
    EXPECT_EQ(value.dtype(), torch::kFloat32);
    EXPECT_FALSE(value.requires_grad());
  }
}

TEST(MetricsTest, RefuseWhatDoesNotFit) {
  EXPECT_THROW(L1PerImage(torch::zeros({1, 1, 16, 16}), torch::zeros({1, 3, 16, 16})), c10::Error);
  EXPECT_THROW(SsimPerImage(torch::zeros({1, 1, 8, 8}), torch::zeros({1, 1, 8, 8})), c10::Error);
  EXPECT_THROW(KlPerImage(torch::zeros({1, 2}), torch::zeros({1, 3})), c10::Error);
}

// Values of statsmodels' proportion_confint(method="wilson") and of Brown, Cai & DasGupta 2001.
TEST(SpearmanTest, IsThePearsonCorrelationOfRanks) {
  EXPECT_THAT(Spearman({1, 2, 3}, {10, 20, 30}), Optional(DoubleEq(1)));
  EXPECT_THAT(Spearman({1, 2, 3}, {9, 4, 1}), Optional(DoubleEq(-1)));
  // Ranks 1 2.5 2.5 4 and 2 1 3 4, by hand.
  EXPECT_THAT(Spearman({0, 5, 5, 7}, {2, 1, 3, 4}), Optional(DoubleEq(3 / std::sqrt(4.5 * 5))));
  EXPECT_EQ(Spearman({1, 2, 3}, {0, 0, 0}), std::nullopt);
}

TEST(ChangedAreaTest, CountsPixelsWhateverTheChannel) {
  torch::Tensor a = torch::zeros({2, 3, 4, 5});
  torch::Tensor b = a.clone();
  b[0][0][1][1] = 0.5;
  b[0][2][1][1] = -0.5;  // the same pixel
  b[0][1][3][4] = -0.11;
  b[0][1][0][0] = 0.09;  // too little
  const torch::Tensor area = ChangedAreaPerImage(a, b, 0.1);
  EXPECT_FLOAT_EQ(area[0].item<float>(), 2.f / 20);
  EXPECT_EQ(area[1].item<float>(), 0);
}

// A classifier that depends on two of four pixels, so that the probabilities along the path are
// known.
TEST(CoutTest, IsTheAreaBetweenTheCurves) {
  const auto logits = [](const torch::Tensor& images) {
    const torch::Tensor score = images.select(2, 0).select(1, 0).sum(1);  // of the first row
    return torch::stack({torch::zeros_like(score), score}, 1);
  };
  const torch::Tensor from = torch::tensor({-3.f, -1.f, 0.f, 0.f}).view({1, 1, 2, 2});
  const torch::Tensor to = torch::tensor({2.f, 1.f, 0.f, 4.f}).view({1, 1, 2, 2});
  // Changes of 5, 2, 0 and 4: the first pixel, then the fourth, the second, the third.
  const auto gap = [](double score) { return 2 / (1 + std::exp(-score)) - 1; };
  const double path[] = {gap(-4), gap(1), gap(1), gap(3), gap(3)};
  double area = 0;
  for (int i = 0; i < 4; ++i) {
    area += (path[i] + path[i + 1]) / 8;
  }
  EXPECT_NEAR(Cout(logits, from, to, 0, 1, 4), area, 1e-6);
  EXPECT_NEAR(Cout(logits, from, to, 1, 0, 4), -area, 1e-6);
  // In two parts, the first of which is the first and the fourth pixel.
  EXPECT_NEAR(Cout(logits, from, to, 0, 1, 2), (gap(-4) + 2 * gap(1) + gap(3)) / 4, 1e-6);
}

TEST(WilsonIntervalTest, HasKnownValues) {
  const auto expect = [](int64_t successes, int64_t trials, double low, double high) {
    const Interval interval = WilsonInterval(successes, trials);
    EXPECT_NEAR(interval.low, low, 1e-4) << successes << " of " << trials;
    EXPECT_NEAR(interval.high, high, 1e-4) << successes << " of " << trials;
  };
  expect(5, 10, 0.2366, 0.7634);
  expect(1, 10, 0.0179, 0.4042);
  expect(0, 10, 0.0000, 0.2775);
  expect(10, 10, 0.7225, 1.0000);
  expect(81, 263, 0.2553, 0.3662);
  expect(0, 0, 0, 1);
  for (int64_t trials = 1; trials < 2000; ++trials) {
    ASSERT_EQ(WilsonInterval(0, trials).low, 0) << trials;
    ASSERT_EQ(WilsonInterval(trials, trials).high, 1) << trials;
  }
}

TEST(MedianOf3x3Test, IsTheMiddleOfNineOfTheChannel) {
  torch::manual_seed(5);
  const torch::Tensor images = torch::rand({2, 3, 5, 6});
  const torch::Tensor medians = MedianOf3x3(images);
  ASSERT_EQ(medians.sizes(), images.sizes());
  for (const auto& [n, c, y, x] : std::vector<std::array<int64_t, 4>>{
           {0, 0, 2, 3}, {1, 2, 1, 1}, {0, 1, 0, 0}, {1, 0, 4, 5}, {0, 2, 0, 3}}) {
    std::vector<float> nine;
    for (int64_t dy = -1; dy <= 1; ++dy) {
      for (int64_t dx = -1; dx <= 1; ++dx) {
        nine.push_back(
            images[n][c][std::clamp<int64_t>(y + dy, 0, 4)][std::clamp<int64_t>(x + dx, 0, 5)]
                .item<float>());
      }
    }
    std::sort(nine.begin(), nine.end());
    EXPECT_EQ((medians[n][c][y][x].item<float>()), nine[4]);
  }
}

TEST(BootstrapIntervalTest, HoldsTheRatioAndNarrowsWithMoreImages) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0.6, 0.2);
  const auto draw = [&](size_t n) {
    std::vector<double> values(n);
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
    return values;
  };
  const std::vector<double> many = draw(2000);
  const Interval wide =
      BootstrapInterval({many.begin(), many.begin() + 50}, std::vector<double>(50, 1), 7);
  const Interval narrow = BootstrapInterval(many, std::vector<double>(2000, 1), 7);
  // A mean of 2,000 has a standard error of 0.2 / sqrt(2000).
  EXPECT_NEAR(narrow.low, 0.6 - 1.96 * 0.2 / std::sqrt(2000), 0.012);
  EXPECT_NEAR(narrow.high, 0.6 + 1.96 * 0.2 / std::sqrt(2000), 0.012);
  EXPECT_NEAR((wide.high - wide.low) / (narrow.high - narrow.low), std::sqrt(40), 2);
  const Interval again = BootstrapInterval(many, std::vector<double>(2000, 1), 7);
  EXPECT_EQ(again.low, narrow.low) << "drawn with the seed";
}

TEST(BootstrapIntervalTest, OfARatioDrawsBothSidesOfAnImageTogether) {
  std::vector<double> numerators, denominators;
  for (int i = 1; i <= 30; ++i) {
    denominators.push_back(i);
    numerators.push_back(0.25 * i);
  }
  const Interval interval = BootstrapInterval(numerators, denominators, 1);
  EXPECT_DOUBLE_EQ(interval.low, 0.25);
  EXPECT_DOUBLE_EQ(interval.high, 0.25);
  EXPECT_EQ(BootstrapInterval({}, {}, 1).high, 0);
}

}  // namespace
}  // namespace stylex
