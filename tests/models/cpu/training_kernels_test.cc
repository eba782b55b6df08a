// Every kernel of training against loops in double precision that follow the formulas one by one,
// with numbers of channels that fill no vector, and sides at which the borders are most of the
// image.
#include "models/cpu/training_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace stylex::kernels {
namespace {

constexpr double kRootOfTwo = 1.4142135623730951;
constexpr double kLeakOfNegative = 0.2;

double Value(float x) { return x; }
double Value(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }
void Put(double value, float* x) { *x = static_cast<float>(value); }
// Only of values that bfloat16 has.
void Put(double value, Bf16* x) {
  x->bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16);
}

// What rounding may change, relative to the greatest value.
template <typename T>
constexpr double kTolerance = 1e-5;
template <>
constexpr double kTolerance<Bf16> = 1.0 / 256;

// An activation [side][side][channels].
template <typename T>
struct Activation {
  Activation(int64_t a_side, int64_t a_channels)
      : side(a_side), channels(a_channels), values(static_cast<size_t>(side * side * channels)) {}

  // 0 outside.
  double At(int64_t y, int64_t x, int64_t c) const {
    const bool inside = y >= 0 && y < side && x >= 0 && x < side;
    return inside ? Value(values[static_cast<size_t>((y * side + x) * channels + c)]) : 0;
  }
  int64_t pixels() const { return side * side; }
  T* data() { return values.data(); }

  int64_t side, channels;
  std::vector<T> values;
};

// Results in double precision.
struct Exact {
  Exact(int64_t a_side, int64_t a_channels)
      : side(a_side), channels(a_channels), values(static_cast<size_t>(side * side * channels)) {}
  double& At(int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>((y * side + x) * channels + c)];
  }
  int64_t side, channels;
  std::vector<double> values;
};

// f(y, x, c) for all of them.
template <typename F>
Exact Computed(int64_t side, int64_t channels, const F& f) {
  Exact result(side, channels);
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        result.At(y, x, c) = f(y, x, c);
      }
    }
  }
  return result;
}

// The filter with taps [1, 3, 3, 1] / 8 * gain along each axis: of what f gives, at (y - pad, x -
// pad) first.
template <typename F>
double Filtered(const F& f, int64_t y, int64_t x, int64_t pad, double gain) {
  constexpr double kTaps[] = {0.125, 0.375, 0.375, 0.125};
  double sum = 0;
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      sum += kTaps[i] * kTaps[j] * gain * gain * f(y - pad + i, x - pad + j);
    }
  }
  return sum;
}

double LeakyRelu(double x, double gain) { return gain * (x > 0 ? x : kLeakOfNegative * x); }
double LeakySlope(double x, double gain) { return gain * (x > 0 ? 1 : kLeakOfNegative); }

template <typename T>
class TrainingKernelsTest : public testing::Test {
 protected:
  // Multiples of 1/32 up to 2, which both types have.
  double Draw() { return static_cast<double>(static_cast<int>(random_() % 129) - 64) / 32; }

  Activation<T> DrawActivation(int64_t side, int64_t channels) {
    Activation<T> activation(side, channels);
    for (T& value : activation.values) {
      Put(Draw(), &value);
    }
    return activation;
  }
  std::vector<float> DrawFloats(int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& value : values) {
      value = static_cast<float>(Draw());
    }
    return values;
  }
  std::vector<float> Scratch(int64_t side, int64_t channels) {
    // Whatever was there before must not matter.
    return std::vector<float>(static_cast<size_t>(FilterScratch(side, channels)), 1e9f);
  }

  template <typename Values>
  void ExpectNear(const Values& values, const std::vector<double>& right) {
    ASSERT_EQ(values.size(), right.size());
    double greatest = 0;
    for (const double value : right) {
      greatest = std::max(greatest, std::abs(value));
    }
    for (size_t i = 0; i < right.size(); ++i) {
      ASSERT_NEAR(Value(values[i]), right[i], kTolerance<T> * (1 + greatest)) << "at " << i;
    }
  }
  void ExpectNear(const Activation<T>& values, const Exact& right) {
    ExpectNear(values.values, right.values);
  }

  std::mt19937 random_{17};
};

using Types = testing::Types<float, Bf16>;
TYPED_TEST_SUITE(TrainingKernelsTest, Types);

TYPED_TEST(TrainingKernelsTest, WeightsAreScaledAndLaidOutEitherWay) {
  const WeightShape shape = {5, 3, 9};
  const std::vector<float> weights = this->DrawFloats(5 * 3 * 9);
  std::vector<TypeParam> plain(weights.size()), transposed(weights.size());
  CastWeights(weights.data(), shape, 0.5, false, plain.data());
  CastWeights(weights.data(), shape, 0.5, true, transposed.data());
  for (int64_t o = 0; o < 5; ++o) {
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t t = 0; t < 9; ++t) {
        const double right = 0.5 * weights[static_cast<size_t>((o * 3 + i) * 9 + t)];
        EXPECT_EQ(Value(plain[static_cast<size_t>((o * 9 + t) * 3 + i)]), right);
        EXPECT_EQ(Value(transposed[static_cast<size_t>((i * 9 + t) * 5 + o)]), right);
      }
    }
  }
}

TYPED_TEST(TrainingKernelsTest, WeightGradientsReadWhatWasCast) {
  const WeightShape shape = {5, 3, 9};
  const std::vector<float> weights = this->DrawFloats(5 * 3 * 9);
  const std::vector<float> energies = this->DrawFloats(5 * 3);
  for (const bool transposed : {false, true}) {
    std::vector<TypeParam> cast(weights.size());
    CastWeights(weights.data(), shape, 1, transposed, cast.data());
    std::vector<float> gradient(weights.size());
    WeightGradient(cast.data(), shape, 2, transposed, weights.data(), nullptr, gradient.data());
    for (size_t k = 0; k < weights.size(); ++k) {
      EXPECT_EQ(gradient[k], 2 * weights[k]);
    }
    WeightGradient(cast.data(), shape, 2, transposed, weights.data(), energies.data(),
                   gradient.data());
    for (size_t k = 0; k < weights.size(); ++k) {
      EXPECT_NEAR(gradient[k], 2 * weights[k] + 2 * weights[k] * energies[k / 9], 1e-5);
    }
  }
}

TYPED_TEST(TrainingKernelsTest, ModulationAndItsGradients) {
  for (const int64_t channels : {1, 5, 24}) {
    Activation<TypeParam> x = this->DrawActivation(4, channels), y(4, channels);
    Activation<TypeParam> gradient = this->DrawActivation(4, channels);
    const Activation<TypeParam> given = gradient;
    const std::vector<float> style = this->DrawFloats(channels);
    Modulate(x.data(), style.data(), x.pixels(), channels, y.data());
    this->ExpectNear(y, Computed(4, channels, [&](int64_t row, int64_t column, int64_t c) {
                       return x.At(row, column, c) * style[static_cast<size_t>(c)];
                     }));
    std::vector<float> of_style(static_cast<size_t>(channels), 7.f);  // written, not added to
    ModulateBackward(x.data(), style.data(), x.pixels(), channels, gradient.data(),
                     of_style.data());
    std::vector<double> right(static_cast<size_t>(channels));
    this->ExpectNear(gradient, Computed(4, channels, [&](int64_t row, int64_t column, int64_t c) {
                       right[static_cast<size_t>(c)] +=
                           given.At(row, column, c) * x.At(row, column, c);
                       return given.At(row, column, c) * style[static_cast<size_t>(c)];
                     }));
    this->ExpectNear(of_style, right);
  }
}

TYPED_TEST(TrainingKernelsTest, StylesWithAndWithoutNoise) {
  const int64_t channels = 9;
  const std::vector<float> gain = this->DrawFloats(channels), bias = this->DrawFloats(channels);
  const std::vector<float> noise = this->DrawFloats(16);
  for (const bool noisy : {false, true}) {
    Activation<TypeParam> z = this->DrawActivation(4, channels);
    const Activation<TypeParam> given = z;
    Style({gain.data(), bias.data(), noisy ? noise.data() : nullptr}, 16, channels, z.data());
    this->ExpectNear(z, Computed(4, channels, [&](int64_t y, int64_t x, int64_t c) {
                       const double add = noisy ? noise[static_cast<size_t>(y * 4 + x)] : 0;
                       const auto i = static_cast<size_t>(c);
                       return LeakyRelu(gain[i] * given.At(y, x, c) + bias[i] + add, kRootOfTwo);
                     }));
  }
}

TYPED_TEST(TrainingKernelsTest, UpFilterAndStyle) {
  for (const int64_t side : {2, 4, 10}) {
    const int64_t channels = 7;
    Activation<TypeParam> z = this->DrawActivation(side + 1, channels), y(side, channels);
    const std::vector<float> gain = this->DrawFloats(channels), bias = this->DrawFloats(channels);
    const std::vector<float> noise = this->DrawFloats(side * side);
    std::vector<float> scratch = this->Scratch(side, channels);
    UpFilterAndStyle(z.data(), {gain.data(), bias.data(), noise.data()}, side, channels,
                     scratch.data(), y.data());
    this->ExpectNear(y, Computed(side, channels, [&](int64_t row, int64_t column, int64_t c) {
                       const auto at = [&](int64_t i, int64_t j) { return z.At(i, j, c); };
                       const auto i = static_cast<size_t>(c);
                       return LeakyRelu(gain[i] * Filtered(at, row, column, 1, 2) + bias[i] +
                                            noise[static_cast<size_t>(row * side + column)],
                                        kRootOfTwo);
                     }));
  }
}

TYPED_TEST(TrainingKernelsTest, UpFilterBackward) {
  for (const int64_t side : {2, 4, 10}) {
    const int64_t channels = 7;
    Activation<TypeParam> gradient = this->DrawActivation(side, channels), z(side + 1, channels);
    std::vector<float> scratch = this->Scratch(side, channels);
    UpFilterBackward(gradient.data(), side, channels, scratch.data(), z.data());
    this->ExpectNear(z, Computed(side + 1, channels, [&](int64_t y, int64_t x, int64_t c) {
                       const auto at = [&](int64_t i, int64_t j) { return gradient.At(i, j, c); };
                       return Filtered(at, y, x, 2, 2);
                     }));
  }
}

// y must not be 0, where leaky_relu has no derivative.
TYPED_TEST(TrainingKernelsTest, TheWayBackThroughStyleAndColours) {
  const int64_t channels = 11, side = 4, pixels = 16;
  for (const int64_t planes : {0, 1, 3}) {
    for (const bool noisy : {false, true}) {
      Activation<TypeParam> y = this->DrawActivation(side, channels), z(side, channels);
      for (TypeParam& value : y.values) {
        Put(Value(value) == 0 ? 1 : Value(value), &value);
      }
      Activation<TypeParam> gradient = this->DrawActivation(side, channels);
      const std::vector<float> gain = this->DrawFloats(channels), bias = this->DrawFloats(channels),
                               noise = this->DrawFloats(pixels),
                               image = this->DrawFloats(3 * pixels),
                               colours = this->DrawFloats(3 * channels);
      std::vector<float> biases(channels), products(channels), noise_products(channels),
          noises(pixels), weights(static_cast<size_t>(planes * channels));
      StyleBackwardPass<TypeParam> pass;
      pass.styling = {gain.data(), bias.data(), noisy ? noise.data() : nullptr};
      pass.y = y.data();
      pass.y_gradient = gradient.data();
      pass.pixels = pixels;
      pass.channels = channels;
      pass.planes = planes;
      pass.image_gradient = image.data();
      pass.rgb_weight = colours.data();
      pass.z_gradient = z.data();
      pass.bias_gradient = biases.data();
      pass.activation_product = products.data();
      pass.noise_product = noise_products.data();
      pass.noise_gradient = noises.data();
      pass.rgb_weight_gradient = weights.data();
      StyleBackward(pass);
      std::vector<double> of_bias(channels), of_product(channels), of_noise_product(channels),
          of_noise(pixels), of_weight(weights.size());
      const Exact right = Computed(side, channels, [&](int64_t row, int64_t column, int64_t c) {
        const auto i = static_cast<size_t>(c), p = static_cast<size_t>(row * side + column);
        const double value = y.At(row, column, c);
        double g = gradient.At(row, column, c);
        for (int64_t plane = 0; plane < planes; ++plane) {
          const double of_image = image[static_cast<size_t>(plane * pixels) + p];
          g += of_image * colours[static_cast<size_t>(plane * channels) + i];
          of_weight[static_cast<size_t>(plane * channels) + i] += of_image * value;
        }
        g *= LeakySlope(value, kRootOfTwo);
        of_bias[i] += g;
        of_product[i] += g * value / LeakySlope(value, kRootOfTwo);
        of_noise_product[i] += noisy ? g * noise[p] : 0;
        of_noise[p] += noisy ? g : 0;
        return g * gain[i];
      });
      this->ExpectNear(z, right);
      this->ExpectNear(biases, of_bias);
      this->ExpectNear(products, of_product);
      this->ExpectNear(noise_products, of_noise_product);
      this->ExpectNear(noises, of_noise);
      this->ExpectNear(weights, of_weight);
    }
  }
}

TYPED_TEST(TrainingKernelsTest, ColoursAreAdded) {
  const int64_t channels = 19;
  for (const int64_t planes : {1, 2, 3}) {
    Activation<TypeParam> y = this->DrawActivation(4, channels);
    const std::vector<float> weights = this->DrawFloats(planes * channels);
    std::vector<float> image = this->DrawFloats(planes * 16);
    std::vector<double> right(image.begin(), image.end());
    AddRgb(y.data(), weights.data(), 16, channels, planes, image.data());
    for (int64_t plane = 0; plane < planes; ++plane) {
      for (int64_t p = 0; p < 16; ++p) {
        for (int64_t c = 0; c < channels; ++c) {
          right[static_cast<size_t>(plane * 16 + p)] +=
              y.At(p / 4, p % 4, c) * weights[static_cast<size_t>(plane * channels + c)];
        }
      }
    }
    this->ExpectNear(image, right);
  }
}

TYPED_TEST(TrainingKernelsTest, ColoursAreReadAndTheirGradients) {
  const int64_t channels = 13;
  for (const int64_t planes : {1, 2, 3}) {
    const std::vector<float> image = this->DrawFloats(planes * 16),
                             weights = this->DrawFloats(planes * channels),
                             bias = this->DrawFloats(channels);
    const RgbReader reader = {image.data(), weights.data(), bias.data(), 16, channels, planes};
    Activation<TypeParam> y(4, channels), gradient = this->DrawActivation(4, channels);
    FromRgb(reader, y.data());
    this->ExpectNear(y, Computed(4, channels, [&](int64_t row, int64_t column, int64_t c) {
                       double sum = bias[static_cast<size_t>(c)];
                       for (int64_t plane = 0; plane < planes; ++plane) {
                         sum += weights[static_cast<size_t>(plane * channels + c)] *
                                image[static_cast<size_t>(plane * 16 + row * 4 + column)];
                       }
                       return LeakyRelu(sum, kRootOfTwo);
                     }));
    std::vector<float> scratch(channels), of_weights(weights.size(), 1.f), of_bias(channels, 1.f),
        of_image(image.size());
    FromRgbBackward(reader, y.data(), gradient.data(), scratch.data(), of_weights.data(),
                    of_bias.data(), of_image.data());
    std::vector<double> weights_right(weights.size(), 1), bias_right(channels, 1),
        image_right(image.size());
    for (int64_t p = 0; p < 16; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        const double g =
            gradient.At(p / 4, p % 4, c) * LeakySlope(y.At(p / 4, p % 4, c), kRootOfTwo);
        bias_right[static_cast<size_t>(c)] += g;
        for (int64_t plane = 0; plane < planes; ++plane) {
          const auto w = static_cast<size_t>(plane * channels + c);
          weights_right[w] += g * image[static_cast<size_t>(plane * 16 + p)];
          image_right[static_cast<size_t>(plane * 16 + p)] += g * weights[w];
        }
      }
    }
    this->ExpectNear(of_weights, weights_right);
    this->ExpectNear(of_bias, bias_right);
    this->ExpectNear(of_image, image_right);
    // Without a gradient of the image the others are the same.
    std::vector<float> again(weights.size(), 1.f), bias_again(channels, 1.f);
    FromRgbBackward(reader, y.data(), gradient.data(), scratch.data(), again.data(),
                    bias_again.data(), static_cast<float*>(nullptr));
    EXPECT_EQ(again, of_weights);
    EXPECT_EQ(bias_again, of_bias);
  }
}

TYPED_TEST(TrainingKernelsTest, ResidualBlocksFirstHalf) {
  for (const int64_t side : {2, 4, 10}) {
    const int64_t channels = 6;
    Activation<TypeParam> z = this->DrawActivation(side, channels), y(side + 1, channels);
    const std::vector<float> bias = this->DrawFloats(channels);
    std::vector<float> scratch = this->Scratch(side, channels);
    ActivateAndFilter(z.data(), bias.data(), side, channels, scratch.data(), y.data());
    const auto active = [&](int64_t i, int64_t j, int64_t c) {
      const bool inside = i >= 0 && i < side && j >= 0 && j < side;
      return inside ? LeakyRelu(z.At(i, j, c) + bias[static_cast<size_t>(c)], kRootOfTwo) : 0;
    };
    this->ExpectNear(y, Computed(side + 1, channels, [&](int64_t row, int64_t column, int64_t c) {
                       const auto at = [&](int64_t i, int64_t j) { return active(i, j, c); };
                       return Filtered(at, row, column, 2, 1);
                     }));

    Activation<TypeParam> gradient = this->DrawActivation(side + 1, channels), back(side, channels);
    std::vector<float> of_bias(channels, 1.f);
    ActivateAndFilterBackward(gradient.data(), z.data(), bias.data(), side, channels,
                              scratch.data(), back.data(), of_bias.data());
    std::vector<double> bias_right(channels, 1);
    this->ExpectNear(back, Computed(side, channels, [&](int64_t row, int64_t column, int64_t c) {
                       const auto i = static_cast<size_t>(c);
                       const auto at = [&](int64_t a, int64_t b) { return gradient.At(a, b, c); };
                       const double g = Filtered(at, row, column, 1, 1) *
                                        LeakySlope(z.At(row, column, c) + bias[i], kRootOfTwo);
                       bias_right[i] += g;
                       return g;
                     }));
    this->ExpectNear(of_bias, bias_right);
  }
}

TYPED_TEST(TrainingKernelsTest, ResidualBlocksEnd) {
  const int64_t channels = 17;
  Activation<TypeParam> z = this->DrawActivation(4, channels),
                        skip = this->DrawActivation(4, channels),
                        gradient = this->DrawActivation(4, channels), back(4, channels);
  const Activation<TypeParam> given = skip;
  const std::vector<float> bias = this->DrawFloats(channels);
  AddActivated(z.data(), bias.data(), 16, channels, skip.data());
  this->ExpectNear(skip, Computed(4, channels, [&](int64_t y, int64_t x, int64_t c) {
                     return given.At(y, x, c) +
                            LeakyRelu(z.At(y, x, c) + bias[static_cast<size_t>(c)], 1);
                   }));
  std::vector<float> of_bias(channels, 1.f);
  AddActivatedBackward(gradient.data(), z.data(), bias.data(), 16, channels, back.data(),
                       of_bias.data());
  std::vector<double> bias_right(channels, 1);
  this->ExpectNear(back, Computed(4, channels, [&](int64_t y, int64_t x, int64_t c) {
                     const auto i = static_cast<size_t>(c);
                     const double g = gradient.At(y, x, c) * LeakySlope(z.At(y, x, c) + bias[i], 1);
                     bias_right[i] += g;
                     return g;
                   }));
  this->ExpectNear(of_bias, bias_right);
}

TYPED_TEST(TrainingKernelsTest, FilterDownAndItsTranspose) {
  for (const int64_t side : {2, 4, 10}) {
    for (const int64_t channels : {1, 6}) {
      Activation<TypeParam> x = this->DrawActivation(side, channels), y(side / 2, channels);
      std::vector<float> scratch = this->Scratch(side, channels);
      FilterDown(x.data(), side, channels, 2.f, scratch.data(), y.data());
      const auto at = [&](int64_t c) {
        return [&x, c](int64_t i, int64_t j) { return x.At(i, j, c); };
      };
      this->ExpectNear(y, Computed(side / 2, channels, [&](int64_t row, int64_t column, int64_t c) {
                         return Filtered(at(c), 2 * row, 2 * column, 1, 2);
                       }));

      // <FilterDown(x), small> = <x, transpose(small)>, for each channel.
      Activation<TypeParam> small = this->DrawActivation(side / 2, channels);
      Activation<TypeParam> up = this->DrawActivation(side, channels);
      const Activation<TypeParam> before = up;
      AddFilteredUp(small.data(), side, channels, 2.f, scratch.data(), up.data());
      this->ExpectNear(up, Computed(side, channels, [&](int64_t row, int64_t column, int64_t c) {
                         double sum = before.At(row, column, c);
                         const auto one = [&](int64_t i, int64_t j) {
                           return i == row && j == column ? 1.0 : 0.0;
                         };
                         for (int64_t i = 0; i < side / 2; ++i) {
                           for (int64_t j = 0; j < side / 2; ++j) {
                             sum += small.At(i, j, c) * Filtered(one, 2 * i, 2 * j, 1, 2);
                           }
                         }
                         return sum;
                       }));
    }
  }
}

TYPED_TEST(TrainingKernelsTest, AbsoluteDifferences) {
  for (const int64_t n : {1, 7, 100}) {
    Activation<TypeParam> a = this->DrawActivation(1, n), b = this->DrawActivation(1, n);
    a.values[0] = b.values[0];  // no difference, no gradient
    double right = 0;
    std::vector<double> signs;
    for (int64_t i = 0; i < n; ++i) {
      const double difference = a.At(0, 0, i) - b.At(0, 0, i);
      right += std::abs(difference);
      signs.push_back(difference > 0 ? 0.25 : difference < 0 ? -0.25 : 0);
    }
    EXPECT_NEAR(AbsoluteDifference(a.data(), b.data(), n), right, 1e-4);
    Activation<TypeParam> gradient(1, n);
    AbsoluteDifferenceBackward(a.data(), b.data(), n, 0.25f, gradient.data());
    this->ExpectNear(gradient.values, signs);
  }
}

// Through Modulate by 1, which only reads and writes.
float Rounded(float value) {
  // y = 1 * style: the value itself, rounded once.
  const Bf16 one = {0x3f80};
  Bf16 result;
  Modulate(&one, &value, 1, 1, &result);
  return static_cast<float>(Value(result));
}

TEST(Bf16Test, RoundsToNearestTiesToEven) {
  EXPECT_EQ(Rounded(1.f), 1.f);
  EXPECT_EQ(Rounded(1.f + 0x1p-8f), 1.f);                       // a tie, down to even
  EXPECT_EQ(Rounded(1.f + 3 * 0x1p-8f), 1.f + 4 * 0x1p-8f);     // a tie, up to even
  EXPECT_EQ(Rounded(1.f + 0x1p-8f + 0x1p-20f), 1.f + 0x1p-7f);  // above the tie
  EXPECT_EQ(Rounded(-1.f - 0x1p-9f), -1.f);
  EXPECT_EQ(Rounded(std::numeric_limits<float>::max()), std::numeric_limits<float>::infinity());
}

TEST(Bf16Test, WhatDivergesStaysVisible) {
  EXPECT_EQ(Rounded(std::numeric_limits<float>::infinity()),
            std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(Rounded(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::signbit(Rounded(-0.f)));
}

TEST(AdamKernelTest, FollowsTheFormula) {
  const AdamStep by = {0.9f, 0.99f, 1e-2f, 1.5f, 1e-8f};
  std::vector<float> gradient, mean, square, parameter;
  for (int i = 0; i < 37; ++i) {
    gradient.push_back(static_cast<float>(i - 18) / 8);
    mean.push_back(static_cast<float>(i % 5) / 4 - 0.5f);
    square.push_back(static_cast<float>(i % 7) / 4);
    parameter.push_back(static_cast<float>(i % 3) - 1);
  }
  const std::vector<float> means = mean, squares = square, parameters = parameter;
  StepAdam(by, 37, gradient.data(), mean.data(), square.data(), parameter.data());
  for (size_t i = 0; i < 37; ++i) {
    const double g = gradient[i], m = 0.9 * means[i] + 0.1 * g;
    const double v = 0.99 * squares[i] + 0.01 * g * g;
    EXPECT_NEAR(mean[i], m, 1e-6);
    EXPECT_NEAR(square[i], v, 1e-6);
    EXPECT_NEAR(parameter[i], parameters[i] - 1e-2 * m / (std::sqrt(v) * 1.5 + 1e-8), 1e-5);
  }
}

TEST(AverageKernelTest, MovesByItsShare) {
  const std::vector<float> latest = {4, -2, 0};
  std::vector<float> average = {0, 2, 1};
  MoveTowards(latest.data(), 0.25f, 3, average.data());
  EXPECT_EQ(average, (std::vector<float>{1, 1, 0.75}));
}

}  // namespace
}  // namespace stylex::kernels
