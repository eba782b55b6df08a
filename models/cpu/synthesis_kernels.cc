#include "models/cpu/synthesis_kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "models/cpu/each_cpu.h"

namespace stylex::kernels {
namespace {

constexpr float kSlope = 0.2f;
// [1, 3, 3, 1] / 8 with gain 2 along each axis, which compensates zero insertion.
constexpr std::array<float, 4> kFir = {0.25f, 0.75f, 0.75f, 0.25f};

// Inlined into every clone of its callers.
STYLEX_INLINE float Activate(float x) {
  const float negative = kSlope * x;
  return x > negative ? x : negative;
}

STYLEX_INLINE void ConvolvePixel(const float* window, int64_t row, const float* kernel,
                                 int64_t channels, float* u) {
  const float* k = kernel;
  const std::array<float, 9> x = {window[0],       window[1],           window[2],
                                  window[row],     window[row + 1],     window[row + 2],
                                  window[2 * row], window[2 * row + 1], window[2 * row + 2]};
  for (int64_t c = 0; c < channels; ++c) {
    u[c] = x[0] * k[c] + x[1] * k[channels + c] + x[2] * k[2 * channels + c] +
           x[3] * k[3 * channels + c] + x[4] * k[4 * channels + c] + x[5] * k[5 * channels + c] +
           x[6] * k[6 * channels + c] + x[7] * k[7 * channels + c] + x[8] * k[8 * channels + c];
  }
}

STYLEX_INLINE void MovePixel(const float* u, const float* base, const float* shift,
                             const MovedOutput& output, int64_t pixel, int64_t channels) {
  float* const out = output.out + pixel * channels;
  const float* const gain = output.gain;
  const float* const slope = output.slope;
  for (int64_t c = 0; c < channels; ++c) {
    out[c] = Activate(gain[c] * base[c] + slope[c] * u[c] + shift[c]);
  }
}

// Tap e of phase a: the contribution of the input pixel at offset e - 1 to output pixel 2 q + a.
// out[2q + a] = sum_t fir[t] z[2q + a - 1 + t] and z[r] = sum_i x[i] w[r - 2i].
STYLEX_INLINE float PhaseTap(int64_t a, int64_t e, int64_t k) {
  const int64_t t = k + 1 - (a - 2 * (e - 1));
  return t >= 0 && t < 4 ? kFir[static_cast<size_t>(t)] : 0.f;
}

}  // namespace

STYLEX_FOR_EACH_CPU
void AddAndActivate(const float* shift, int64_t n, float* x) {
  for (int64_t i = 0; i < n; ++i) {
    x[i] = Activate(x[i] + shift[i]);
  }
}

STYLEX_FOR_EACH_CPU
void ScaleChannels(const float* x, const float* factor, int64_t pixels, int64_t channels,
                   float* out) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      out[p * channels + c] = x[p * channels + c] * factor[c];
    }
  }
}

STYLEX_FOR_EACH_CPU
void Demodulation(const float* style, const float* energy, int64_t in, int64_t out, float epsilon,
                  float* gain) {
  std::fill(gain, gain + out, epsilon);
  for (int64_t i = 0; i < in; ++i) {
    const float square = style[i] * style[i];
    for (int64_t o = 0; o < out; ++o) {
      gain[o] += square * energy[i * out + o];
    }
  }
  for (int64_t o = 0; o < out; ++o) {
    gain[o] = std::numbers::sqrt2_v<float> / std::sqrt(gain[o]);
  }
}

STYLEX_FOR_EACH_CPU
void ScaleAddAndActivate(const float* gain, const float* shift, int64_t pixels, int64_t channels,
                         float* x) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = p * channels + c;
      x[i] = Activate(gain[c] * x[i] + shift[i]);
    }
  }
}

int64_t UpFilterScratch(int64_t side, int64_t channels) {
  const int64_t padded = 2 * side + 3;
  return (padded + 1) * padded * channels;
}

STYLEX_FOR_EACH_CPU
void UpFilterAndActivate(const float* columns, const float* shift, int64_t side, int64_t channels,
                         float* scratch, float* out) {
  // The transposed convolution's result has side 2 side + 1; the filter needs a border of one.
  const int64_t padded = 2 * side + 3;
  const int64_t row = padded * channels;
  float* const sums = scratch;
  float* const blended = scratch + padded * row;
  std::fill(sums, sums + padded * row, 0.f);
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      const float* from = columns + (y * side + x) * 9 * channels;
      for (int64_t ky = 0; ky < 3; ++ky) {
        // The three taps of a row are adjacent both in `columns` and in `sums`.
        float* const to = sums + (2 * y + ky + 1) * row + (2 * x + 1) * channels;
        for (int64_t c = 0; c < 3 * channels; ++c) {
          to[c] += from[c];
        }
        from += 3 * channels;
      }
    }
  }
  const int64_t wide = 2 * side;
  for (int64_t y = 0; y < wide; ++y) {
    const float* const above = sums + y * row;
    for (int64_t c = 0; c < row; ++c) {
      blended[c] = kFir[0] * above[c] + kFir[1] * above[row + c] + kFir[2] * above[2 * row + c] +
                   kFir[3] * above[3 * row + c];
    }
    float* const to = out + y * wide * channels;
    for (int64_t c = 0; c < wide * channels; ++c) {
      to[c] = kFir[0] * blended[c] + kFir[1] * blended[channels + c] +
              kFir[2] * blended[2 * channels + c] + kFir[3] * blended[3 * channels + c];
    }
    if (shift != nullptr) {
      const float* const add = shift + y * wide * channels;
      for (int64_t c = 0; c < wide * channels; ++c) {
        to[c] = Activate(to[c] + add[c]);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void UpPhaseKernels(const float* kernel, int64_t channels, float* phases) {
  std::fill(phases, phases + 36 * channels, 0.f);
  for (int64_t a = 0; a < 2; ++a) {
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t ey = 0; ey < 3; ++ey) {
        for (int64_t ex = 0; ex < 3; ++ex) {
          float* const to = phases + (((a * 2 + b) * 3 + ey) * 3 + ex) * channels;
          for (int64_t ky = 0; ky < 3; ++ky) {
            for (int64_t kx = 0; kx < 3; ++kx) {
              const float tap = PhaseTap(a, ey, ky) * PhaseTap(b, ex, kx);
              if (tap == 0) {
                continue;
              }
              const float* const from = kernel + (ky * 3 + kx) * channels;
              for (int64_t c = 0; c < channels; ++c) {
                to[c] += tap * from[c];
              }
            }
          }
        }
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void MoveChannel(const ChannelMove& move, const float* base, const float* shift,
                 const MovedOutput* outputs, int64_t count, float* scratch) {
  const int64_t side = move.side;
  const int64_t channels = move.channels;
  const int64_t row = side + 2;
  const int64_t phases = move.up ? 2 : 1;
  for (int64_t y = 0; y < side * phases; ++y) {
    for (int64_t x = 0; x < side * phases; ++x) {
      const int64_t phase = move.up ? (y % 2) * 2 + x % 2 : 0;
      ConvolvePixel(move.plane + (y / phases) * row + x / phases, row,
                    move.kernel + phase * 9 * channels, channels, scratch);
      const int64_t pixel = y * side * phases + x;
      for (int64_t k = 0; k < count; ++k) {
        MovePixel(scratch, base + pixel * channels, shift + pixel * channels, outputs[k], pixel,
                  channels);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void ToRgb(const float* x, const float* weight, const float* bias, const float* below, int64_t side,
           int64_t channels, int64_t planes, float* out) {
  const int64_t half = side / 2;
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t column = 0; column < side; ++column) {
      const float* const pixel = x + (y * side + column) * channels;
      float* const to = out + (y * side + column) * planes;
      for (int64_t p = 0; p < planes; ++p) {
        // Eight partial sums: a single sum could not be vectorised without reordering.
        std::array<float, 8> sums{};
        const float* const w = weight + p * channels;
        int64_t c = 0;
        for (; c + 8 <= channels; c += 8) {
          for (int64_t i = 0; i < 8; ++i) {
            sums[static_cast<size_t>(i)] += pixel[c + i] * w[c + i];
          }
        }
        float sum = bias[p];
        for (; c < channels; ++c) {
          sum += pixel[c] * w[c];
        }
        for (const float part : sums) {
          sum += part;
        }
        to[p] = sum;
      }
      if (below == nullptr) {
        continue;
      }
      // Zero insertion and the FIR filter: along each axis an output pixel has two input
      // neighbours, the nearer with weight 3/4.
      const int64_t near_y = y / 2, far_y = y % 2 == 0 ? near_y - 1 : near_y + 1;
      const int64_t near_x = column / 2, far_x = column % 2 == 0 ? near_x - 1 : near_x + 1;
      const std::array<int64_t, 2> ys = {near_y, far_y}, xs = {near_x, far_x};
      for (size_t i = 0; i < 2; ++i) {
        for (size_t j = 0; j < 2; ++j) {
          if (ys[i] < 0 || ys[i] >= half || xs[j] < 0 || xs[j] >= half) {
            continue;
          }
          const float tap = (i == 0 ? kFir[1] : kFir[0]) * (j == 0 ? kFir[1] : kFir[0]);
          for (int64_t p = 0; p < planes; ++p) {
            to[p] += tap * below[(ys[i] * half + xs[j]) * planes + p];
          }
        }
      }
    }
  }
}

}  // namespace stylex::kernels
