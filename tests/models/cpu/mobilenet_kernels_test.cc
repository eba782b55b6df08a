// The kernels against loops that follow the definitions, in double precision.
#include "models/cpu/mobilenet_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace stylex::kernels {
namespace {

using Values = std::vector<float>;

Values Random(int64_t count, uint32_t seed, float scale = 3) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  Values values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

double Relu6(double x) { return std::clamp(x, 0.0, 6.0); }

void ExpectNear(const Values& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 1e-3) << "at " << i;
  }
}

// height, width, stride, channels of the output, planes of the input.
class ConvolutionTest
    : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>> {
 protected:
  // The sum of weight(tap) * input(y, x) over the 3x3 taps around output pixel (oy, ox) that are in
  // the picture.
  template <class Term>
  double Sum(int64_t oy, int64_t ox, const Term& term) const {
    double sum = 0;
    for (int64_t tap = 0; tap < 9; ++tap) {
      const int64_t y = oy * window_.stride + tap / 3 - 1, x = ox * window_.stride + tap % 3 - 1;
      if (y >= 0 && y < window_.height && x >= 0 && x < window_.width) {
        sum += term(tap, y, x);
      }
    }
    return sum;
  }
  static float At(const Values& values, int64_t i) { return values[static_cast<size_t>(i)]; }

  const Window window_ = {std::get<0>(GetParam()), std::get<1>(GetParam()),
                          std::get<2>(GetParam())};
  const int64_t channels_ = std::get<3>(GetParam()), in_ = std::get<4>(GetParam());
};

TEST_P(ConvolutionTest, OutputHasTheSizeOfAPaddedConvolution) {
  EXPECT_EQ(window_.out_height(), (window_.height + 2 - 3) / window_.stride + 1);
  EXPECT_EQ(window_.out_width(), (window_.width + 2 - 3) / window_.stride + 1);
}

TEST_P(ConvolutionTest, FirstConvolutionIsTheLiteralSum) {
  const Values planes = Random(in_ * window_.height * window_.width, 1);
  const Values weight = Random(in_ * 9 * channels_, 2, 0.5), bias = Random(channels_, 3);
  const int64_t pixels = window_.out_height() * window_.out_width();
  Values out(static_cast<size_t>(pixels * channels_), -1);
  FirstConvolution(planes.data(), in_, window_, weight.data(), bias.data(), channels_, out.data());
  std::vector<double> expected;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t c = 0; c < channels_; ++c) {
      double sum = At(bias, c);
      for (int64_t plane = 0; plane < in_; ++plane) {
        sum += Sum(pixel / window_.out_width(), pixel % window_.out_width(),
                   [&](int64_t tap, int64_t y, int64_t x) {
                     return static_cast<double>(At(weight, (plane * 9 + tap) * channels_ + c)) *
                            At(planes, (plane * window_.height + y) * window_.width + x);
                   });
      }
      expected.push_back(Relu6(sum));
    }
  }
  ExpectNear(out, expected);
}

TEST_P(ConvolutionTest, DepthwiseConvolutionIsTheLiteralSum) {
  const Values x = Random(window_.height * window_.width * channels_, 4);
  const Values weight = Random(9 * channels_, 5, 0.5), bias = Random(channels_, 6);
  const int64_t pixels = window_.out_height() * window_.out_width();
  Values out(static_cast<size_t>(pixels * channels_), -1);
  DepthwiseConvolution(x.data(), window_, weight.data(), bias.data(), channels_, out.data());
  std::vector<double> expected;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t c = 0; c < channels_; ++c) {
      expected.push_back(
          Relu6(At(bias, c) + Sum(pixel / window_.out_width(), pixel % window_.out_width(),
                                  [&](int64_t tap, int64_t y, int64_t column) {
                                    return static_cast<double>(At(weight, tap * channels_ + c)) *
                                           At(x, (y * window_.width + column) * channels_ + c);
                                  })));
    }
  }
  ExpectNear(out, expected);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvolutionTest,
                         testing::Combine(testing::Values(1, 5, 8), testing::Values(1, 4, 9),
                                          testing::Values(1, 2), testing::Values(1, 8, 19),
                                          testing::Values(1, 3)));

class PixelsTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  const int64_t pixels_ = GetParam().first, channels_ = GetParam().second;
};

TEST_P(PixelsTest, BiasIsAddedAndClamped) {
  const Values bias = Random(channels_, 7), before = Random(pixels_ * channels_, 8);
  Values x = before;
  AddBiasRelu6(bias.data(), pixels_, channels_, x.data());
  std::vector<double> expected;
  for (size_t i = 0; i < before.size(); ++i) {
    expected.push_back(
        Relu6(static_cast<double>(before[i]) + bias[i % static_cast<size_t>(channels_)]));
  }
  ExpectNear(x, expected);
}

TEST_P(PixelsTest, BiasIsAddedWithAndWithoutAResidual) {
  const Values bias = Random(channels_, 9), before = Random(pixels_ * channels_, 10);
  const Values residual = Random(pixels_ * channels_, 11);
  for (const bool with_residual : {false, true}) {
    Values x = before;
    AddBias(bias.data(), with_residual ? residual.data() : nullptr, pixels_, channels_, x.data());
    std::vector<double> expected;
    for (size_t i = 0; i < before.size(); ++i) {
      expected.push_back(static_cast<double>(before[i]) + bias[i % static_cast<size_t>(channels_)] +
                         (with_residual ? residual[i] : 0));
    }
    ExpectNear(x, expected);
  }
}

TEST_P(PixelsTest, MeanIsThatOfEachChannel) {
  const Values x = Random(pixels_ * channels_, 12);
  Values mean(static_cast<size_t>(channels_), -1);
  Mean(x.data(), pixels_, channels_, mean.data());
  std::vector<double> expected(static_cast<size_t>(channels_));
  for (size_t i = 0; i < x.size(); ++i) {
    expected[i % static_cast<size_t>(channels_)] += x[i] / static_cast<double>(pixels_);
  }
  ExpectNear(mean, expected);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PixelsTest,
                         testing::Values(std::pair{1, 1}, std::pair{1, 17}, std::pair{64, 8},
                                         std::pair{37, 33}, std::pair{4, 1280}));

}  // namespace
}  // namespace stylex::kernels
