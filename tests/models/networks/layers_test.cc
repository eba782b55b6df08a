// Layers against their definitions, sample by sample, and what training needs of them: gradients of
// gradients.
#include "models/networks/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <numbers>
#include <thread>
#include <utility>
#include <vector>

#include "tests/models/networks/literal_planes.h"

namespace stylex {
namespace {

constexpr double kRounding = 2e-6;  // of float32, relative to the result's range

TEST(ScaledLeakyReluTest, IsTheDefinition) {
  const torch::Tensor x = torch::tensor({-10.f, -1.f, -0.f, 0.f, 0.5f, 3.f});
  const torch::Tensor y = ScaledLeakyRelu(x);
  for (int64_t i = 0; i < x.size(0); ++i) {
    EXPECT_NEAR(y[i].item<double>(), ActivatedLiterally(x[i].item<double>()), 1e-6) << i;
  }
  // The input is not written to, although the result is scaled in place.
  EXPECT_EQ(x[1].item<float>(), -1.f);
}

// Its name in the header: the second moment of normal values stays what it was, up to the negative
// half's share.
TEST(ScaledLeakyReluTest, KeepsTheSecondMomentOfNormalValues) {
  torch::manual_seed(1);
  const torch::Tensor x = torch::randn({200'000});
  const double before = x.square().mean().item<double>();
  const double after = ScaledLeakyRelu(x).square().mean().item<double>();
  EXPECT_NEAR(after / before, (1 + 0.2 * 0.2), 0.02);
}

TEST(FirKernelTest, IsSymmetricAndKeepsTheMean) {
  const torch::Tensor kernel = FirKernel();
  ASSERT_EQ(kernel.sizes(), (std::vector<int64_t>{4, 4}));
  EXPECT_NEAR(kernel.sum().item<double>(), 1, 1e-6);
  EXPECT_TRUE(kernel.equal(kernel.t()));
  EXPECT_TRUE(kernel.equal(kernel.flip({0, 1})));
  EXPECT_FLOAT_EQ(kernel[0][0].item<float>(), 1.f / 64);
  EXPECT_FLOAT_EQ(kernel[1][2].item<float>(), 9.f / 64);
}

struct FilterCase {
  int64_t before, after, stride;
  double gain;
};

class FirFilterTest : public testing::TestWithParam<FilterCase> {};
INSTANTIATE_TEST_SUITE_P(UsesOfTheNetworks, FirFilterTest,
                         testing::Values(FilterCase{1, 1, 1, 4}, FilterCase{2, 2, 1, 1},
                                         FilterCase{1, 1, 2, 1}, FilterCase{2, 1, 1, 4},
                                         FilterCase{0, 3, 2, 0.5}));

TEST_P(FirFilterTest, IsTheLiteralSum) {
  torch::manual_seed(2);
  const auto [before, after, stride, gain] = GetParam();
  const torch::Tensor x = torch::randn({2, 3, 7, 10});
  const Planes smooth = Smooth(Planes::Of(x), before, after, gain);
  Planes expected = Planes::Zeros(2, 3, (smooth.height + stride - 1) / stride,
                                  (smooth.width + stride - 1) / stride);
  expected.ForEach([&](int64_t n, int64_t c, int64_t y, int64_t column) {
    expected.At(n, c, y, column) = smooth.Get(n, c, y * stride, column * stride);
  });
  const torch::Tensor found = FirFilter(x, FirKernel(), before, after, stride, gain);
  EXPECT_LT(RelativeDifference(found, expected.ToTensor()), kRounding);
  // The order of the samples in memory does not matter.
  const torch::Tensor last = x.contiguous(torch::MemoryFormat::ChannelsLast);
  EXPECT_LT(RelativeDifference(FirFilter(last, FirKernel(), before, after, stride, gain),
                               expected.ToTensor()),
            kRounding);
}

TEST_P(FirFilterTest, FiltersInTheTypeOfItsInput) {
  const auto [before, after, stride, gain] = GetParam();
  const torch::Tensor x = torch::randn({1, 2, 6, 6}, torch::kFloat64);
  EXPECT_EQ(FirFilter(x, FirKernel(), before, after, stride, gain).scalar_type(), torch::kFloat64);
}

TEST(FirUpsampleTest, IsZeroInsertionAndTheFilter) {
  torch::manual_seed(3);
  const torch::Tensor x = torch::randn({2, 3, 5, 4});
  const torch::Tensor found = FirUpsample(x, FirKernel());
  EXPECT_LT(RelativeDifference(found, UpsampleLiterally(Planes::Of(x)).ToTensor()), kRounding);
}

// Away from the border, where zeros come in, a flat picture stays flat.
TEST(FirUpsampleTest, KeepsAFlatPictureFlat) {
  const torch::Tensor up = FirUpsample(torch::full({1, 1, 6, 6}, 0.75f), FirKernel());
  ASSERT_EQ(up.sizes(), (std::vector<int64_t>{1, 1, 12, 12}));
  const torch::Tensor inner = up.narrow(2, 1, 10).narrow(3, 1, 10);
  EXPECT_LT((inner - 0.75).abs().max().item<double>(), 1e-6);
  EXPECT_LT(up[0][0][0][0].item<double>(), 0.75);
}

class InferenceConvolutionTest : public testing::TestWithParam<std::tuple<int64_t, int64_t>> {};
INSTANTIATE_TEST_SUITE_P(ImagesAndSides, InferenceConvolutionTest,
                         testing::Combine(testing::Values(1, 5), testing::Values(1, 3)));

TEST_P(InferenceConvolutionTest, IsTheLiteralSumWithBiasAndWithout) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  const auto [images, side] = GetParam();
  const torch::Tensor x =
      torch::randn({images, 5, 6, 4}).contiguous(torch::MemoryFormat::ChannelsLast);
  const torch::Tensor weight = torch::randn({7, 5, side, side});
  const torch::Tensor bias = torch::randn({7});
  const torch::Tensor expected = Correlate(Planes::Of(x), weight, 1, side / 2).ToTensor();
  EXPECT_LT(RelativeDifference(InferenceConv2d(x, weight, {}, side / 2), expected), kRounding);
  EXPECT_LT(RelativeDifference(InferenceConv2d(x, weight, bias, side / 2),
                               expected + bias.to(torch::kFloat64).view({1, -1, 1, 1})),
            kRounding);
}

TEST(InferenceConvolutionTest, OtherTypesAreConvolvedToo) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  const torch::Tensor x = torch::randn({2, 3, 5, 5}, torch::kFloat64);
  const torch::Tensor weight = torch::randn({4, 3, 3, 3}, torch::kFloat64);
  const torch::Tensor found = InferenceConv2d(x, weight, {}, 1);
  EXPECT_EQ(found.scalar_type(), torch::kFloat64);
  EXPECT_LT(RelativeDifference(found, Correlate(Planes::Of(x), weight, 1, 1).ToTensor()), 1e-12);
}

// Sample n belongs to subgroup n mod (N / g); its channel is the mean, over channels and pixels, of
// the standard deviation within the subgroup.
TEST(MinibatchStddevTest, IsTheLiteralDeviationOfItsSubgroup) {
  torch::manual_seed(6);
  constexpr int64_t kImages = 6, kChannels = 2, kSide = 3;
  const torch::Tensor x = torch::randn({kImages, kChannels, kSide, kSide});
  const Planes planes = Planes::Of(x);
  for (const int64_t group : {2, 3, 6, 100}) {
    const torch::Tensor found = AppendMinibatchStddev(x, group);
    ASSERT_EQ(found.sizes(), (std::vector<int64_t>{kImages, kChannels + 1, kSide, kSide}));
    EXPECT_TRUE(found.narrow(1, 0, kChannels).equal(x));
    const int64_t members = std::min(group, kImages), subgroups = kImages / members;
    for (int64_t n = 0; n < kImages; ++n) {
      double sum = 0;
      Planes::Zeros(1, kChannels, kSide, kSide)
          .ForEach([&](int64_t, int64_t c, int64_t y, int64_t column) {
            double mean = 0, square = 0;
            for (int64_t other = n % subgroups; other < kImages; other += subgroups) {
              const double value = planes.Get(other, c, y, column);
              mean += value / static_cast<double>(members);
              square += value * value / static_cast<double>(members);
            }
            sum += std::sqrt(square - mean * mean + 1e-8);
          });
      const torch::Tensor channel = found[n][kChannels];
      EXPECT_NEAR(channel[0][0].item<double>(), sum / (kChannels * kSide * kSide), 1e-5);
      EXPECT_TRUE(channel.equal(channel[0][0].expand({kSide, kSide})));
    }
  }
}

TEST(MinibatchStddevTest, ABatchThatIsNoMultipleIsRefused) {
  try {
    AppendMinibatchStddev(torch::zeros({5, 1, 2, 2}), 4);
    ADD_FAILURE() << "5 images in groups of 4";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(), testing::HasSubstr("batch 5"));
  }
}

// Of equal images there is none, and the gradient is a number all the same.
TEST(MinibatchStddevTest, EqualImagesHaveAFiniteGradient) {
  const torch::Tensor x = torch::ones({4, 2, 3, 3}).requires_grad_(true);
  const torch::Tensor y = AppendMinibatchStddev(x, 4).select(1, 2);
  EXPECT_NEAR(y.max().item<double>(), 1e-4, 1e-6);
  const torch::Tensor gradient = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(torch::isfinite(gradient).all().item<bool>());
}

TEST(EqualLinearTest, IsTheDefinition) {
  torch::manual_seed(7);
  constexpr double kMultiplier = 0.01;
  const EqualLinear layer(6, 3, /*bias_init=*/2, kMultiplier);
  const torch::Tensor x = torch::randn({2, 6});
  const torch::Tensor y = layer.ptr()->forward(x);
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t o = 0; o < 3; ++o) {
      double sum = layer.ptr()->bias[o].item<double>() * kMultiplier;
      for (int64_t i = 0; i < 6; ++i) {
        sum += x[n][i].item<double>() * layer.ptr()->weight[o][i].item<double>() * kMultiplier /
               std::sqrt(6.0);
      }
      EXPECT_NEAR(y[n][o].item<double>(), sum, 1e-5);
    }
  }
}

// What the multiplier is for: the layer does at first what it does without one, but a step of the
// same size on its parameters moves the result by the multiplier only.
TEST(EqualLinearTest, TheMultiplierSlowsLearningAlone) {
  torch::manual_seed(8);
  const EqualLinear slow(50, 2000, /*bias_init=*/1, /*lr_multiplier=*/0.01);
  const torch::Tensor x = torch::randn({1, 50});
  const torch::Tensor y = slow.ptr()->forward(x);
  const double expected = std::sqrt(x.square().mean().item<double>());
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.1);
  EXPECT_NEAR(y.std().item<double>() / expected, 1, 0.1);
  torch::NoGradGuard no_grad;
  slow.ptr()->bias.add_(1);
  EXPECT_LT((slow.ptr()->forward(x) - y - 0.01).abs().max().item<double>(), 1e-5);
}

TEST(EqualLinearTest, LeadingDimensionsAreKept) {
  const EqualLinear layer(4, 5);
  EXPECT_EQ(layer.ptr()->forward(torch::zeros({2, 3, 4})).sizes(), (std::vector<int64_t>{2, 3, 5}));
  EXPECT_EQ(layer.ptr()->forward(torch::zeros({4})).sizes(), (std::vector<int64_t>{5}));
}

class EqualConvolutionTest : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(Sides, EqualConvolutionTest, testing::Values(1, 3));

TEST_P(EqualConvolutionTest, IsTheLiteralSum) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  const int64_t side = GetParam();
  const EqualConv2d with(5, 4, side, /*with_bias=*/true), without(5, 4, side, /*with_bias=*/false);
  with.ptr()->bias.normal_();
  EXPECT_FALSE(without.ptr()->bias.defined());
  const double scale = 1 / std::sqrt(static_cast<double>(5 * side * side));
  const torch::Tensor x = torch::randn({2, 5, 9, 7});
  for (const int64_t stride : {1, 2}) {
    const int64_t padding = stride == 1 ? side / 2 : 0;
    for (const EqualConv2d& layer : {with, without}) {
      torch::Tensor expected =
          Correlate(Planes::Of(x), layer.ptr()->weight * scale, stride, padding).ToTensor();
      if (layer.ptr()->bias.defined()) {
        expected = expected + layer.ptr()->bias.to(torch::kFloat64).view({1, -1, 1, 1});
      }
      EXPECT_LT(RelativeDifference(layer.ptr()->forward(x, stride), expected), kRounding)
          << "stride " << stride;
    }
  }
}

// "Equalized": whatever the fan-in, normal values come out with about unit variance.
TEST_P(EqualConvolutionTest, FreshLayersKeepTheVariance) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(10);
  for (const int64_t in : {4, 64}) {
    const EqualConv2d layer(in, 64, GetParam(), /*with_bias=*/true);
    const torch::Tensor y = layer.ptr()->forward(torch::randn({8, in, 12, 12}));
    const torch::Tensor inner = y.narrow(2, 1, 10).narrow(3, 1, 10);
    EXPECT_NEAR(inner.var().item<double>(), 1, 0.2) << in << " channels";
  }
}

// R1 and path length differentiate a gradient. Compared with a difference quotient of the first
// gradient.
TEST(LayersTest, GradientsHaveGradients) {
  torch::manual_seed(11);
  const EqualConv2d conv(2, 3, 3, /*with_bias=*/true);
  conv.ptr()->to(torch::kFloat64);
  const auto score = [&](const torch::Tensor& x) {
    torch::Tensor y = FirUpsample(ScaledLeakyRelu(conv.ptr()->forward(x)), FirKernel());
    y = AppendMinibatchStddev(FirFilter(y, FirKernel(), 1, 1, 2), 2);
    return y.pow(3).sum();
  };
  const auto slope = [&](const torch::Tensor& x, bool again) {
    const torch::Tensor point = x.detach().clone().requires_grad_(true);
    const torch::Tensor gradient =
        torch::autograd::grad({score(point)}, {point}, {}, /*retain_graph=*/true,
                              /*create_graph=*/again)[0];
    return std::pair(point, gradient);
  };
  const torch::Tensor x = torch::randn({2, 2, 4, 4}, torch::kFloat64);
  const auto [point, gradient] = slope(x, true);
  const torch::Tensor second = torch::autograd::grad({gradient.square().sum()}, {point})[0];
  const torch::Tensor direction = torch::randn_like(x);
  constexpr double kStep = 1e-6;
  const double ahead = slope(x + kStep * direction, false).second.square().sum().item<double>();
  const double behind = slope(x - kStep * direction, false).second.square().sum().item<double>();
  const double expected = (ahead - behind) / (2 * kStep);
  EXPECT_GT(std::abs(expected), 1e-3);
  EXPECT_NEAR((second * direction).sum().item<double>() / expected, 1, 1e-4);
}

TEST(LayersTest, ForwardPassesOfSeveralThreadsDoNotDisturbEachOther) {
  torch::manual_seed(12);
  const EqualConv2d conv(3, 8, 3, /*with_bias=*/true);
  const torch::Tensor x = torch::randn({4, 3, 16, 16});
  const auto pass = [&] {
    torch::NoGradGuard no_grad;
    return FirUpsample(ScaledLeakyRelu(conv.ptr()->forward(x)), FirKernel());
  };
  const torch::Tensor expected = pass();
  std::vector<torch::Tensor> found(4);
  std::vector<std::thread> threads;
  for (torch::Tensor& result : found) {
    threads.emplace_back([&result, &pass] { result = pass(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const torch::Tensor& result : found) {
    EXPECT_LT(RelativeDifference(result, expected), kRounding);
  }
}

}  // namespace
}  // namespace stylex
