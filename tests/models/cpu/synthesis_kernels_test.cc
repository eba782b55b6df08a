// The generator's fused loops against loops that follow the definitions, in double precision.
#include "models/cpu/synthesis_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <tuple>
#include <vector>

namespace stylex::kernels {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

Floats Normal(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return values;
}

double Leaky(double x) { return x < 0 ? 0.2 * x : x; }

void ExpectEqualUpToRounding(const Floats& found, const Doubles& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i]))) << "at " << i;
  }
}

// A value of [height][width][channels], zero outside.
struct Picture {
  int64_t height, width, channels;
  const float* data;

  double Get(int64_t y, int64_t x, int64_t c) const {
    const bool inside = y >= 0 && x >= 0 && y < height && x < width;
    return inside ? data[(y * width + x) * channels + c] : 0;
  }
};

TEST(AddAndActivateTest, IsTheLeakyReluOfTheSum) {
  for (const int64_t n : {0, 1, 7, 16, 100}) {
    const Floats before = Normal(n, 1), shift = Normal(n, 2);
    Floats x = before;
    AddAndActivate(shift.data(), n, x.data());
    Doubles expected;
    for (size_t i = 0; i < before.size(); ++i) {
      expected.push_back(Leaky(static_cast<double>(before[i]) + shift[i]));
    }
    ExpectEqualUpToRounding(x, expected);
  }
}

TEST(ScaleChannelsTest, MultipliesEachChannelByItsFactor) {
  for (const int64_t channels : {1, 5, 8, 33}) {
    constexpr int64_t kPixels = 7;
    const Floats x = Normal(kPixels * channels, 3), factor = Normal(channels, 4);
    Floats out(x.size());
    ScaleChannels(x.data(), factor.data(), kPixels, channels, out.data());
    Doubles expected;
    for (size_t i = 0; i < x.size(); ++i) {
      expected.push_back(static_cast<double>(x[i]) * factor[i % factor.size()]);
    }
    ExpectEqualUpToRounding(out, expected);
  }
}

TEST(DemodulationTest, IsTheInverseRootOfTheFiltersEnergies) {
  constexpr int64_t kIn = 7;
  for (const int64_t out : {1, 5, 8, 33}) {
    const Floats style = Normal(kIn, 8);
    Floats energy = Normal(kIn * out, 9);
    std::transform(energy.begin(), energy.end(), energy.begin(), [](float e) { return e * e; });
    Floats gain(static_cast<size_t>(out));
    Demodulation(style.data(), energy.data(), kIn, out, 0.5f, gain.data());
    Doubles expected;
    for (int64_t o = 0; o < out; ++o) {
      double sum = 0.5;
      for (int64_t i = 0; i < kIn; ++i) {
        sum += static_cast<double>(style[i]) * style[i] * energy[i * out + o];
      }
      expected.push_back(std::sqrt(2 / sum));
    }
    ExpectEqualUpToRounding(gain, expected);
  }
}

TEST(ScaleAddAndActivateTest, IsTheLeakyReluOfTheScaledSum) {
  for (const int64_t channels : {1, 5, 8, 33}) {
    constexpr int64_t kPixels = 7;
    const Floats before = Normal(kPixels * channels, 5), shift = Normal(kPixels * channels, 6);
    const Floats gain = Normal(channels, 7);
    Floats x = before;
    ScaleAddAndActivate(gain.data(), shift.data(), kPixels, channels, x.data());
    Doubles expected;
    for (size_t i = 0; i < before.size(); ++i) {
      expected.push_back(Leaky(static_cast<double>(before[i]) * gain[i % gain.size()] + shift[i]));
    }
    ExpectEqualUpToRounding(x, expected);
  }
}

// side, channels
class UpFilterTest : public testing::TestWithParam<std::tuple<int64_t, int64_t>> {
 protected:
  const int64_t side_ = std::get<0>(GetParam()), channels_ = std::get<1>(GetParam());

  // [2 side][2 side][channels]: columns summed up where they overlap, then filtered.
  Doubles Filtered(const Floats& columns) const {
    const int64_t sums_side = 2 * side_ + 1;
    Doubles sums(static_cast<size_t>(sums_side * sums_side * channels_));
    for (int64_t i = 0; i < static_cast<int64_t>(columns.size()); ++i) {
      const int64_t c = i % channels_, tap = i / channels_ % 9, pixel = i / channels_ / 9;
      const int64_t y = 2 * (pixel / side_) + tap / 3, x = 2 * (pixel % side_) + tap % 3;
      sums[static_cast<size_t>((y * sums_side + x) * channels_ + c)] +=
          columns[static_cast<size_t>(i)];
    }
    constexpr std::array<double, 4> kTaps = {0.125, 0.375, 0.375, 0.125};
    Doubles filtered;
    for (int64_t i = 0; i < 4 * side_ * side_ * channels_; ++i) {
      const int64_t c = i % channels_, x = i / channels_ % (2 * side_),
                    y = i / channels_ / (2 * side_);
      double sum = 0;
      for (int64_t t = 0; t < 16; ++t) {
        const int64_t from_y = y - 1 + t / 4, from_x = x - 1 + t % 4;
        if (from_y >= 0 && from_x >= 0 && from_y < sums_side && from_x < sums_side) {
          sum += 4 * kTaps[static_cast<size_t>(t / 4)] * kTaps[static_cast<size_t>(t % 4)] *
                 sums[static_cast<size_t>((from_y * sums_side + from_x) * channels_ + c)];
        }
      }
      filtered.push_back(sum);
    }
    return filtered;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, UpFilterTest,
                         testing::Combine(testing::Values(1, 4, 7), testing::Values(1, 8, 13)));

TEST_P(UpFilterTest, SumsFiltersAndActivates) {
  const Floats columns = Normal(side_ * side_ * 9 * channels_, 3);
  const Floats shift = Normal(4 * side_ * side_ * channels_, 4);
  // What was in the scratch memory before does not matter.
  Floats scratch(static_cast<size_t>(UpFilterScratch(side_, channels_)), 1e30f);
  Floats out(shift.size(), -1);
  UpFilterAndActivate(columns.data(), nullptr, side_, channels_, scratch.data(), out.data());
  Doubles expected = Filtered(columns);
  ExpectEqualUpToRounding(out, expected);
  UpFilterAndActivate(columns.data(), shift.data(), side_, channels_, scratch.data(), out.data());
  for (size_t i = 0; i < expected.size(); ++i) {
    expected[i] = Leaky(expected[i] + shift[i]);
  }
  ExpectEqualUpToRounding(out, expected);
}

TEST_P(UpFilterTest, StaysWithinItsScratchMemory) {
  const Floats columns = Normal(side_ * side_ * 9 * channels_, 5);
  constexpr float kGuard = 12345.f;
  Floats scratch(static_cast<size_t>(UpFilterScratch(side_, channels_)) + 8, kGuard);
  Floats out(static_cast<size_t>(4 * side_ * side_ * channels_) + 8, kGuard);
  UpFilterAndActivate(columns.data(), nullptr, side_, channels_, scratch.data(), out.data());
  for (size_t i = 1; i <= 8; ++i) {
    EXPECT_EQ(scratch[scratch.size() - i], kGuard);
    EXPECT_EQ(out[out.size() - i], kGuard);
  }
}

// Away from the border a flat picture of ones, spread with a kernel of ones, is flat again: each
// output pixel gets the kernel's sum times the gain, 4, of its quarter.
TEST(UpPhaseKernelsTest, EachPhaseHoldsAQuarterOfTheKernelsSum) {
  const Floats kernel = Normal(9 * 2, 6);
  Floats phases(36 * 2, -1);
  UpPhaseKernels(kernel.data(), 2, phases.data());
  for (size_t c = 0; c < 2; ++c) {
    double whole = 0;
    for (size_t tap = 0; tap < 9; ++tap) {
      whole += kernel[tap * 2 + c];
    }
    double all = 0;
    for (size_t i = 0; i < 36; ++i) {
      all += phases[i * 2 + c];
    }
    EXPECT_NEAR(all, 4 * whole, 1e-5);
  }
}

// A kernel with one tap in the middle is the filter alone, at each phase two by two neighbours, 3/4
// and 1/4 along each axis. In each phase the taps lie towards the pixel's own corner.
TEST(UpPhaseKernelsTest, OfTheMiddleTapIsTheFilter) {
  Floats kernel(9, 0);
  kernel[4] = 1;
  Floats phases(36);
  UpPhaseKernels(kernel.data(), 1, phases.data());
  // out[2q + a] = sum_t fir[t] z[2q + a - 1 + t], z[2i + 1] = x[i].
  const std::array<std::array<float, 3>, 2> axis = {{{0.25f, 0.75f, 0.f}, {0.f, 0.75f, 0.25f}}};
  for (size_t a = 0; a < 2; ++a) {
    for (size_t b = 0; b < 2; ++b) {
      for (size_t y = 0; y < 3; ++y) {
        for (size_t x = 0; x < 3; ++x) {
          EXPECT_FLOAT_EQ(phases[((a * 2 + b) * 3 + y) * 3 + x], axis[a][y] * axis[b][x])
              << a << b << " " << y << " " << x;
        }
      }
    }
  }
}

// side, channels, up
class MoveChannelTest : public testing::TestWithParam<std::tuple<int64_t, int64_t, bool>> {
 protected:
  const int64_t side_ = std::get<0>(GetParam()), channels_ = std::get<1>(GetParam());
  const bool up_ = std::get<2>(GetParam());
  const int64_t out_side_ = up_ ? 2 * side_ : side_;

  // The input channel with its border of zeros.
  Floats Plane(const Floats& inner) const {
    Floats plane(static_cast<size_t>((side_ + 2) * (side_ + 2)), 0);
    for (int64_t i = 0; i < side_ * side_; ++i) {
      plane[static_cast<size_t>((i / side_ + 1) * (side_ + 2) + i % side_ + 1)] =
          inner[static_cast<size_t>(i)];
    }
    return plane;
  }
  // The convolution of the channel, at an output pixel.
  double Convolved(const Floats& inner, const Floats& kernel, int64_t y, int64_t x,
                   int64_t c) const {
    const Picture picture = {side_, side_, 1, inner.data()};
    const int64_t phase = up_ ? (y % 2) * 2 + x % 2 : 0;
    double sum = 0;
    for (int64_t tap = 0; tap < 9; ++tap) {
      sum += kernel[static_cast<size_t>((phase * 9 + tap) * channels_ + c)] *
             picture.Get((up_ ? y / 2 : y) + tap / 3 - 1, (up_ ? x / 2 : x) + tap % 3 - 1, 0);
    }
    return sum;
  }
};
INSTANTIATE_TEST_SUITE_P(Shapes, MoveChannelTest,
                         testing::Combine(testing::Values(1, 4, 5), testing::Values(1, 8, 11),
                                          testing::Bool()));

TEST_P(MoveChannelTest, EveryOutputIsTheDefinition) {
  const Floats inner = Normal(side_ * side_, 7);
  const Floats kernel = Normal((up_ ? 36 : 9) * channels_, 8);
  const int64_t values = out_side_ * out_side_ * channels_;
  const Floats base = Normal(values, 9), shift = Normal(values, 10), plane = Plane(inner);
  constexpr size_t kOutputs = 3;
  std::array<Floats, kOutputs> gains, slopes, outs;
  std::vector<MovedOutput> outputs;
  for (size_t k = 0; k < kOutputs; ++k) {
    gains[k] = Normal(channels_, static_cast<uint32_t>(20 + k));
    slopes[k] = Normal(channels_, static_cast<uint32_t>(30 + k));
    outs[k].assign(static_cast<size_t>(values), -1);
    outputs.push_back({gains[k].data(), slopes[k].data(), outs[k].data()});
  }
  Floats scratch(static_cast<size_t>(channels_));
  MoveChannel({plane.data(), kernel.data(), side_, channels_, up_}, base.data(), shift.data(),
              outputs.data(), kOutputs, scratch.data());
  for (size_t k = 0; k < kOutputs; ++k) {
    Doubles expected;
    for (int64_t i = 0; i < values; ++i) {
      const int64_t c = i % channels_, x = i / channels_ % out_side_, y = i / channels_ / out_side_;
      const auto at = static_cast<size_t>(i), channel = static_cast<size_t>(c);
      expected.push_back(Leaky(gains[k][channel] * base[at] +
                               slopes[k][channel] * Convolved(inner, kernel, y, x, c) + shift[at]));
    }
    ExpectEqualUpToRounding(outs[k], expected);
  }
}

// side, channels, planes
class ToRgbTest : public testing::TestWithParam<std::tuple<int64_t, int64_t, int64_t>> {
 protected:
  const int64_t side_ = std::get<0>(GetParam()), channels_ = std::get<1>(GetParam());
  const int64_t planes_ = std::get<2>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Shapes, ToRgbTest,
                         testing::Combine(testing::Values(2, 4, 10), testing::Values(1, 8, 21),
                                          testing::Values(1, 3)));

TEST_P(ToRgbTest, IsAMixtureOfChannelsAndTheUpsampledPicture) {
  const Floats x = Normal(side_ * side_ * channels_, 11), weight = Normal(planes_ * channels_, 12);
  const Floats bias = Normal(planes_, 13), below = Normal(side_ * side_ / 4 * planes_, 14);
  const Picture smaller = {side_ / 2, side_ / 2, planes_, below.data()};
  for (const bool with_below : {false, true}) {
    Floats out(static_cast<size_t>(side_ * side_ * planes_), -1);
    ToRgb(x.data(), weight.data(), bias.data(), with_below ? below.data() : nullptr, side_,
          channels_, planes_, out.data());
    Doubles expected;
    for (int64_t i = 0; i < side_ * side_ * planes_; ++i) {
      const int64_t p = i % planes_, pixel = i / planes_, y = pixel / side_, column = pixel % side_;
      double sum = bias[static_cast<size_t>(p)];
      for (int64_t c = 0; c < channels_; ++c) {
        sum += static_cast<double>(x[static_cast<size_t>(pixel * channels_ + c)]) *
               weight[static_cast<size_t>(p * channels_ + c)];
      }
      // The zero-inserted picture holds sample i at 2i; filtered with [1, 3, 3, 1] / 4 along each
      // axis, which starts two samples before.
      constexpr std::array<double, 4> kTaps = {0.25, 0.75, 0.75, 0.25};
      for (int64_t t = 0; with_below && t < 16; ++t) {
        const int64_t from_y = y - 2 + t / 4, from_x = column - 2 + t % 4;
        if (from_y % 2 == 0 && from_x % 2 == 0 && from_y >= 0 && from_x >= 0) {
          sum += kTaps[static_cast<size_t>(t / 4)] * kTaps[static_cast<size_t>(t % 4)] *
                 smaller.Get(from_y / 2, from_x / 2, p);
        }
      }
      expected.push_back(sum);
    }
    ExpectEqualUpToRounding(out, expected);
  }
}

}  // namespace
}  // namespace stylex::kernels
