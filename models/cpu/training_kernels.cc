#include "models/cpu/training_kernels.h"

#include <algorithm>
#include <array>

#include "models/cpu/each_cpu.h"

// Nothing that a loop over channels reads is written by it elsewhere; reductions may be reordered,
// the same way on every machine of a kind.
namespace stylex::kernels {
namespace {

constexpr float kLeak = 0.2f;
constexpr float kRoot = 1.41421356237309505f;
constexpr int64_t kTaps = 4;

STYLEX_INLINE float Load(const float* x, int64_t i) { return x[i]; }
STYLEX_INLINE float Load(const Bf16* x, int64_t i) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(x[i].bits) << 16);
}
STYLEX_INLINE void Store(float value, float* x, int64_t i) { x[i] = value; }
// Rounds to nearest, ties to even. Infinities stay; so do the NaNs that arithmetic makes.
STYLEX_INLINE void Store(float value, Bf16* x, int64_t i) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  x[i].bits = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename T>
STYLEX_INLINE void LoadRow(const T* from, int64_t n, float* to) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    to[i] = Load(from, i);
  }
}

// leaky_relu and its slope, both times `gain`.
STYLEX_INLINE float Leaky(float x, float gain) { return x * (x > 0 ? gain : kLeak * gain); }
STYLEX_INLINE float Slope(float x, float gain) { return x > 0 ? gain : kLeak * gain; }

// The taps of an axis.
STYLEX_INLINE float Tap(int64_t t, float gain) { return (t % 3 == 0 ? 0.125f : 0.375f) * gain; }

// Geometry of a filter along both axes: x [side][side] with a border of `pad` zeros gives y
// [side + 2 pad - 3]^2.
struct Filter {
  int64_t side;
  int64_t channels;
  int64_t pad;
  float gain;  // along each axis
};

// For every row of the result: store(row, above, 4 rows filtered along x, their offset of one
// another). `load` fills a row of the input. Rows are kept until no further one needs them.
template <typename LoadRow, typename StoreRow>
STYLEX_INLINE void FilterRows(const Filter& filter, float* scratch, const LoadRow& load,
                              const StoreRow& store) {
  const int64_t channels = filter.channels;
  const int64_t wide = filter.side + 2 * filter.pad, result = wide - 3;
  const int64_t row = result * channels;
  float* const padded = scratch;
  float* const zeros = scratch + wide * channels;
  float* const ring = zeros + row;
  std::fill(padded, ring, 0.f);
  const float outer = Tap(0, filter.gain), inner = Tap(1, filter.gain);
  int64_t ready = 0;
  for (int64_t y = 0; y < result; ++y) {
    for (; ready < std::min(filter.side, y - filter.pad + kTaps); ++ready) {
      load(ready, padded + filter.pad * channels);
      float* const to = ring + (ready % kTaps) * row;
#pragma omp simd
      for (int64_t i = 0; i < row; ++i) {
        to[i] = outer * (padded[i] + padded[i + 3 * channels]) +
                inner * (padded[i + channels] + padded[i + 2 * channels]);
      }
    }
    std::array<const float*, kTaps> rows{};
    for (int64_t t = 0; t < kTaps; ++t) {
      const int64_t from = y - filter.pad + t;
      rows[static_cast<size_t>(t)] =
          from < 0 || from >= filter.side ? zeros : ring + (from % kTaps) * row;
    }
    store(y, rows[0], rows[1], rows[2], rows[3]);
  }
}

}  // namespace

template <typename T>
STYLEX_FOR_EACH_CPU void CastWeights(const float* weights, const WeightShape& shape, double scale,
                                     bool transposed, T* cast) {
  const float factor = static_cast<float>(scale);
  for (int64_t o = 0; o < shape.out; ++o) {
    for (int64_t t = 0; t < shape.taps; ++t) {
      const float* const from = weights + o * shape.in * shape.taps + t;
      T* const to = transposed ? cast + t * shape.out + o : cast + (o * shape.taps + t) * shape.in;
      const int64_t step = transposed ? shape.taps * shape.out : 1;
      for (int64_t i = 0; i < shape.in; ++i) {
        Store(from[i * shape.taps] * factor, to, i * step);
      }
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void WeightGradient(const T* cast_gradient, const WeightShape& shape,
                                        double scale, bool transposed, const float* weights,
                                        const float* energy_gradient, float* gradient) {
  const float factor = static_cast<float>(scale);
  for (int64_t o = 0; o < shape.out; ++o) {
    for (int64_t t = 0; t < shape.taps; ++t) {
      const T* const from = transposed ? cast_gradient + t * shape.out + o
                                       : cast_gradient + (o * shape.taps + t) * shape.in;
      const int64_t step = transposed ? shape.taps * shape.out : 1;
      const int64_t first = o * shape.in * shape.taps + t;
      for (int64_t i = 0; i < shape.in; ++i) {
        const int64_t at = first + i * shape.taps;
        const float of_energy =
            energy_gradient == nullptr ? 0 : 2 * weights[at] * energy_gradient[o * shape.in + i];
        gradient[at] = Load(from, i * step) * factor + of_energy;
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void WeightEnergy(const float* weights, const WeightShape& shape, float* energy) {
  for (int64_t r = 0; r < shape.out * shape.in; ++r) {
    float sum = 0;
    for (int64_t t = 0; t < shape.taps; ++t) {
      sum += weights[r * shape.taps + t] * weights[r * shape.taps + t];
    }
    energy[r] = sum;
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void Modulate(const T* x, const float* style, int64_t pixels, int64_t channels,
                                  T* y) {
  for (int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      Store(Load(x, p * channels + c) * style[c], y, p * channels + c);
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void ModulateBackward(const T* x, const float* style, int64_t pixels,
                                          int64_t channels, T* gradient, float* style_gradient) {
  std::fill(style_gradient, style_gradient + channels, 0.f);
  for (int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = Load(gradient, p * channels + c);
      style_gradient[c] += g * Load(x, p * channels + c);
      Store(g * style[c], gradient, p * channels + c);
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void Style(const Styling& styling, int64_t pixels, int64_t channels,
                               T* z_to_y) {
  const float* const gain = styling.gain;
  const float* const bias = styling.bias;
  for (int64_t p = 0; p < pixels; ++p) {
    const float noise = styling.noise == nullptr ? 0 : styling.noise[p];
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float z = Load(z_to_y, p * channels + c);
      Store(Leaky(gain[c] * z + (bias[c] + noise), kRoot), z_to_y, p * channels + c);
    }
  }
}

int64_t FilterScratch(int64_t side, int64_t channels) {
  // The widest input with its border, a row of zeros, four rows of the result.
  return (side + 5 + 5 * (side + 1)) * channels;
}

template <typename T>
STYLEX_FOR_EACH_CPU void UpFilterAndStyle(const T* z, const Styling& styling, int64_t side,
                                          int64_t channels, float* scratch, T* y) {
  const float outer = Tap(0, 2), inner = Tap(1, 2);
  const float* const gain = styling.gain;
  const float* const bias = styling.bias;
  const float* const noise = styling.noise;
  FilterRows(
      {side + 1, channels, 1, 2}, scratch,
      [=](int64_t row, float* to) __attribute__((always_inline)) {
        const int64_t n = (side + 1) * channels;
        LoadRow(z + row * n, n, to);
      },
      [=](int64_t row, const float* a, const float* b, const float* c, const float* d)
          __attribute__((always_inline)) {
            for (int64_t x = 0; x < side; ++x) {
              const float add = noise == nullptr ? 0 : noise[row * side + x];
              const int64_t at = x * channels;
              T* const to = y + (row * side + x) * channels;
#pragma omp simd
              for (int64_t i = 0; i < channels; ++i) {
                const float filtered =
                    outer * (a[at + i] + d[at + i]) + inner * (b[at + i] + c[at + i]);
                Store(Leaky(gain[i] * filtered + (bias[i] + add), kRoot), to, i);
              }
            }
          });
}

template <typename T>
STYLEX_FOR_EACH_CPU void UpFilterBackward(const T* gradient, int64_t side, int64_t channels,
                                          float* scratch, T* z_gradient) {
  const float outer = Tap(0, 2), inner = Tap(1, 2);
  FilterRows(
      {side, channels, 2, 2}, scratch,
      [=](int64_t row, float* to) __attribute__((always_inline)) {
        const int64_t n = side * channels;
        LoadRow(gradient + row * n, n, to);
      },
      [=](int64_t row, const float* a, const float* b, const float* c, const float* d)
          __attribute__((always_inline)) {
            T* const to = z_gradient + row * (side + 1) * channels;
#pragma omp simd
            for (int64_t i = 0; i < (side + 1) * channels; ++i) {
              Store(outer * (a[i] + d[i]) + inner * (b[i] + c[i]), to, i);
            }
          });
}

namespace {

// One pixel of StyleBackward, of an image of kPlanes planes.
template <typename T, int kPlanes, bool kNoise>
STYLEX_INLINE void StyleBackwardPixel(const StyleBackwardPass<T>& pass, int64_t p) {
  const int64_t channels = pass.channels;
  const T* const y = pass.y + p * channels;
  const T* const y_gradient = pass.y_gradient + p * channels;
  T* const z_gradient = pass.z_gradient + p * channels;
  const float* const gain = pass.styling.gain;
  const float* const w = pass.rgb_weight;
  float* const dw = pass.rgb_weight_gradient;
  float* const sums = pass.bias_gradient;
  float* const products = pass.activation_product;
  float* const noise_products = pass.noise_product;
  const float noise = kNoise ? pass.styling.noise[p] : 0;
  const float red = kPlanes > 0 ? pass.image_gradient[p] : 0;
  const float green = kPlanes > 1 ? pass.image_gradient[pass.pixels + p] : 0;
  const float blue = kPlanes > 1 ? pass.image_gradient[2 * pass.pixels + p] : 0;
  float of_pixel = 0;
#pragma omp simd reduction(+ : of_pixel)
  for (int64_t c = 0; c < channels; ++c) {
    const float value = Load(y, c);
    float g = Load(y_gradient, c);
    if constexpr (kPlanes > 0) {
      g += red * w[c];
      dw[c] += red * value;
    }
    if constexpr (kPlanes > 1) {
      g += green * w[channels + c] + blue * w[2 * channels + c];
      dw[channels + c] += green * value;
      dw[2 * channels + c] += blue * value;
    }
    g *= Slope(value, kRoot);
    sums[c] += g;
    products[c] += g * value * (value > 0 ? 1 / kRoot : 1 / (kLeak * kRoot));
    if constexpr (kNoise) {
      noise_products[c] += g * noise;
      of_pixel += g;
    }
    Store(g * gain[c], z_gradient, c);
  }
  if constexpr (kNoise) {
    pass.noise_gradient[p] += of_pixel;
  }
}

template <typename T, int kPlanes, bool kNoise>
STYLEX_FOR_EACH_CPU void StyleBackwardOf(const StyleBackwardPass<T>& given) {
  const StyleBackwardPass<T> pass = given;
  for (int64_t p = 0; p < pass.pixels; ++p) {
    StyleBackwardPixel<T, kPlanes, kNoise>(pass, p);
  }
}

template <typename T, int kPlanes>
void StyleBackwardWith(const StyleBackwardPass<T>& pass) {
  if (pass.styling.noise == nullptr) {
    StyleBackwardOf<T, kPlanes, false>(pass);
  } else {
    StyleBackwardOf<T, kPlanes, true>(pass);
  }
}

}  // namespace

template <typename T>
void StyleBackward(const StyleBackwardPass<T>& pass) {
  if (pass.planes == 0) {
    StyleBackwardWith<T, 0>(pass);
  } else if (pass.planes == 1) {
    StyleBackwardWith<T, 1>(pass);
  } else {
    StyleBackwardWith<T, 3>(pass);
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void AddRgb(const T* y, const float* rgb_weight, int64_t pixels,
                                int64_t channels, int64_t planes, float* image) {
  // The last plane is computed again where there are fewer than three.
  const float* const red = rgb_weight;
  const float* const green = rgb_weight + std::min<int64_t>(1, planes - 1) * channels;
  const float* const blue = rgb_weight + (planes - 1) * channels;
  for (int64_t p = 0; p < pixels; ++p) {
    const T* const from = y + p * channels;
    float r = 0, g = 0, b = 0;
#pragma omp simd reduction(+ : r, g, b)
    for (int64_t c = 0; c < channels; ++c) {
      const float value = Load(from, c);
      r += value * red[c];
      g += value * green[c];
      b += value * blue[c];
    }
    image[p] += r;
    if (planes > 1) {
      image[pixels + p] += g;
    }
    if (planes > 2) {
      image[2 * pixels + p] += b;
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void FromRgb(const RgbReader& reader, T* y) {
  const int64_t channels = reader.channels, last = reader.planes - 1, pixels = reader.pixels;
  const int64_t second = std::min<int64_t>(1, last);
  const float* const red = reader.weight;
  const float* const green = reader.weight + second * channels;
  const float* const blue = reader.weight + last * channels;
  const float* const bias = reader.bias;
  for (int64_t p = 0; p < pixels; ++p) {
    const float r = reader.image[p];
    const float g = last > 0 ? reader.image[pixels + p] : 0;
    const float b = last > 1 ? reader.image[2 * pixels + p] : 0;
    T* const to = y + p * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      Store(Leaky(r * red[c] + g * green[c] + b * blue[c] + bias[c], kRoot), to, c);
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void FromRgbBackward(const RgbReader& reader, const T* y, const T* gradient,
                                         float* scratch, float* weight_gradient,
                                         float* bias_gradient, float* image_gradient) {
  const int64_t channels = reader.channels, pixels = reader.pixels;
  for (int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const float g = Load(gradient, p * channels + c) * Slope(Load(y, p * channels + c), kRoot);
      scratch[c] = g;
      bias_gradient[c] += g;
    }
    for (int64_t plane = 0; plane < reader.planes; ++plane) {
      const float value = reader.image[plane * pixels + p];
      const float* const w = reader.weight + plane * channels;
      float* const dw = weight_gradient + plane * channels;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t c = 0; c < channels; ++c) {
        dw[c] += scratch[c] * value;
        sum += scratch[c] * w[c];
      }
      if (image_gradient != nullptr) {
        image_gradient[plane * pixels + p] = sum;
      }
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void ActivateAndFilter(const T* z, const float* bias, int64_t side,
                                           int64_t channels, float* scratch, T* y) {
  const float outer = Tap(0, 1), inner = Tap(1, 1);
  FilterRows(
      {side, channels, 2, 1}, scratch,
      [=](int64_t row, float* to) __attribute__((always_inline)) {
        for (int64_t x = 0; x < side; ++x) {
          const T* const from = z + (row * side + x) * channels;
          float* const at = to + x * channels;
#pragma omp simd
          for (int64_t i = 0; i < channels; ++i) {
            at[i] = Leaky(Load(from, i) + bias[i], kRoot);
          }
        }
      },
      [=](int64_t row, const float* a, const float* b, const float* c, const float* d)
          __attribute__((always_inline)) {
            T* const to = y + row * (side + 1) * channels;
#pragma omp simd
            for (int64_t i = 0; i < (side + 1) * channels; ++i) {
              Store(outer * (a[i] + d[i]) + inner * (b[i] + c[i]), to, i);
            }
          });
}

template <typename T>
STYLEX_FOR_EACH_CPU void ActivateAndFilterBackward(const T* gradient, const T* z, const float* bias,
                                                   int64_t side, int64_t channels, float* scratch,
                                                   T* z_gradient, float* bias_gradient) {
  const float outer = Tap(0, 1), inner = Tap(1, 1);
  FilterRows(
      {side + 1, channels, 1, 1}, scratch,
      [=](int64_t row, float* to) __attribute__((always_inline)) {
        const int64_t n = (side + 1) * channels;
        LoadRow(gradient + row * n, n, to);
      },
      [=](int64_t row, const float* a, const float* b, const float* c, const float* d)
          __attribute__((always_inline)) {
            for (int64_t x = 0; x < side; ++x) {
              const int64_t at = x * channels, from = (row * side + x) * channels;
#pragma omp simd
              for (int64_t i = 0; i < channels; ++i) {
                const float filtered =
                    outer * (a[at + i] + d[at + i]) + inner * (b[at + i] + c[at + i]);
                const float g = filtered * Slope(Load(z, from + i) + bias[i], kRoot);
                bias_gradient[i] += g;
                Store(g, z_gradient, from + i);
              }
            }
          });
}

template <typename T>
STYLEX_FOR_EACH_CPU void AddActivated(const T* z, const float* bias, int64_t pixels,
                                      int64_t channels, T* skip) {
  for (int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = p * channels + c;
      Store(Load(skip, at) + Leaky(Load(z, at) + bias[c], 1), skip, at);
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void AddActivatedBackward(const T* gradient, const T* z, const float* bias,
                                              int64_t pixels, int64_t channels, T* z_gradient,
                                              float* bias_gradient) {
  for (int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = p * channels + c;
      const float g = Load(gradient, at) * Slope(Load(z, at) + bias[c], 1);
      bias_gradient[c] += g;
      Store(g, z_gradient, at);
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void FilterDown(const T* x, int64_t side, int64_t channels, float gain,
                                    float* scratch, T* y) {
  const int64_t row = side * channels, half = side / 2;
  const float outer = Tap(0, gain), inner = Tap(1, gain);
  // A row filtered along y, between two columns of zeros.
  std::fill(scratch, scratch + row + 2 * channels, 0.f);
  float* const blended = scratch + channels;
  for (int64_t out = 0; out < half; ++out) {
    const T* const b = x + 2 * out * row;
    const T* const c = b + row;
    // Where there is no row, the nearest one is read and counts nothing.
    const float above = out == 0 ? 0 : outer, below = out + 1 == half ? 0 : outer;
    const T* const a = out == 0 ? b : b - row;
    const T* const d = out + 1 == half ? c : c + row;
#pragma omp simd
    for (int64_t i = 0; i < row; ++i) {
      blended[i] = inner * (Load(b, i) + Load(c, i)) + above * Load(a, i) + below * Load(d, i);
    }
    for (int64_t column = 0; column < half; ++column) {
      const float* const from = scratch + 2 * column * channels;
      T* const to = y + (out * half + column) * channels;
#pragma omp simd
      for (int64_t i = 0; i < channels; ++i) {
        Store(outer * (from[i] + from[3 * channels + i]) +
                  inner * (from[channels + i] + from[2 * channels + i]),
              to, i);
      }
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU void AddFilteredUp(const T* x, int64_t side, int64_t channels, float gain,
                                       float* scratch, T* y) {
  const int64_t half = side / 2, row = half * channels;
  const float far = Tap(0, gain), near = Tap(1, gain);
  std::fill(scratch, scratch + row + 2 * channels, 0.f);
  float* const blended = scratch + channels;
  for (int64_t out = 0; out < side; ++out) {
    const int64_t close = out / 2, other = out % 2 == 0 ? close - 1 : close + 1;
    const bool inside = other >= 0 && other < half;
    const float weight = inside ? far : 0;
    const T* const a = x + close * row;
    const T* const b = inside ? x + other * row : a;
#pragma omp simd
    for (int64_t i = 0; i < row; ++i) {
      blended[i] = near * Load(a, i) + weight * Load(b, i);
    }
    for (int64_t column = 0; column < half; ++column) {
      const float* const from = blended + column * channels;
      T* const to = y + (out * side + 2 * column) * channels;
#pragma omp simd
      for (int64_t i = 0; i < channels; ++i) {
        const float here = near * from[i];
        Store(Load(to, i) + here + far * from[i - channels], to, i);
        Store(Load(to, channels + i) + here + far * from[channels + i], to, channels + i);
      }
    }
  }
}

template <typename T>
STYLEX_FOR_EACH_CPU float AbsoluteDifference(const T* a, const T* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const float difference = Load(a, i) - Load(b, i);
    sum += difference > 0 ? difference : -difference;
  }
  return sum;
}

template <typename T>
STYLEX_FOR_EACH_CPU void AbsoluteDifferenceBackward(const T* a, const T* b, int64_t n, float factor,
                                                    T* gradient) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float difference = Load(a, i) - Load(b, i);
    Store(difference > 0 ? factor : difference < 0 ? -factor : 0.f, gradient, i);
  }
}

STYLEX_FOR_EACH_CPU
void StepAdam(const AdamStep& step, int64_t n, const float* gradient, float* mean, float* square,
              float* parameter) {
  const AdamStep by = step;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i];
    const float m = by.beta1 * mean[i] + (1 - by.beta1) * g;
    const float v = by.beta2 * square[i] + (1 - by.beta2) * g * g;
    mean[i] = m;
    square[i] = v;
    parameter[i] -= by.rate * m / (__builtin_sqrtf(v) * by.square_factor + by.epsilon);
  }
}

STYLEX_FOR_EACH_CPU
void MoveTowards(const float* latest, float share, int64_t n, float* average) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    average[i] += share * (latest[i] - average[i]);
  }
}

// Compiles every function for activations of type T.
#define STYLEX_INSTANTIATE(T)                                                                 \
  template void CastWeights(const float*, const WeightShape&, double, bool, T*);              \
  template void WeightGradient(const T*, const WeightShape&, double, bool, const float*,      \
                               const float*, float*);                                         \
  template void Modulate(const T*, const float*, int64_t, int64_t, T*);                       \
  template void ModulateBackward(const T*, const float*, int64_t, int64_t, T*, float*);       \
  template void Style(const Styling&, int64_t, int64_t, T*);                                  \
  template void UpFilterAndStyle(const T*, const Styling&, int64_t, int64_t, float*, T*);     \
  template void UpFilterBackward(const T*, int64_t, int64_t, float*, T*);                     \
  template void StyleBackward(const StyleBackwardPass<T>&);                                   \
  template void AddRgb(const T*, const float*, int64_t, int64_t, int64_t, float*);            \
  template void FromRgb(const RgbReader&, T*);                                                \
  template void FromRgbBackward(const RgbReader&, const T*, const T*, float*, float*, float*, \
                                float*);                                                      \
  template void ActivateAndFilter(const T*, const float*, int64_t, int64_t, float*, T*);      \
  template void ActivateAndFilterBackward(const T*, const T*, const float*, int64_t, int64_t, \
                                          float*, T*, float*);                                \
  template void AddActivated(const T*, const float*, int64_t, int64_t, T*);                   \
  template void AddActivatedBackward(const T*, const T*, const float*, int64_t, int64_t, T*,  \
                                     float*);                                                 \
  template void FilterDown(const T*, int64_t, int64_t, float, float*, T*);                    \
  template void AddFilteredUp(const T*, int64_t, int64_t, float, float*, T*);                 \
  template float AbsoluteDifference(const T*, const T*, int64_t);                             \
  template void AbsoluteDifferenceBackward(const T*, const T*, int64_t, float, T*)

STYLEX_INSTANTIATE(float);
STYLEX_INSTANTIATE(Bf16);

}  // namespace stylex::kernels
