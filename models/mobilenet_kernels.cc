#include "models/mobilenet_kernels.h"

#include <algorithm>

#include "models/each_cpu.h"

namespace stylex::kernels {
namespace {

STYLEX_INLINE float Relu6(float x) {
  const float positive = x > 0 ? x : 0;
  return positive < 6 ? positive : 6;
}

}  // namespace

STYLEX_FOR_EACH_CPU
void FirstConvolution(const float* planes, int64_t in, const Window& window, const float* weight,
                      const float* bias, int64_t channels, float* out) {
  for (int64_t oy = 0; oy < window.out_height(); ++oy) {
    for (int64_t ox = 0; ox < window.out_width(); ++ox, out += channels) {
      std::copy(bias, bias + channels, out);
      for (int64_t plane = 0; plane < in; ++plane) {
        for (int64_t k = 0; k < 9; ++k) {
          const int64_t y = oy * window.stride + k / 3 - 1, x = ox * window.stride + k % 3 - 1;
          if (y < 0 || y >= window.height || x < 0 || x >= window.width) {
            continue;
          }
          const float value = planes[(plane * window.height + y) * window.width + x];
          const float* const w = weight + (plane * 9 + k) * channels;
          for (int64_t c = 0; c < channels; ++c) {
            out[c] += value * w[c];
          }
        }
      }
      for (int64_t c = 0; c < channels; ++c) {
        out[c] = Relu6(out[c]);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void DepthwiseConvolution(const float* x, const Window& window, const float* weight,
                          const float* bias, int64_t channels, float* out) {
  const int64_t row = window.width * channels;
  for (int64_t oy = 0; oy < window.out_height(); ++oy) {
    const int64_t y = oy * window.stride - 1;
    for (int64_t ox = 0; ox < window.out_width(); ++ox, out += channels) {
      const int64_t column = ox * window.stride - 1;
      const bool inside =
          y >= 0 && y + 2 < window.height && column >= 0 && column + 2 < window.width;
      if (inside) {
        const float* const a = x + y * row + column * channels;
        const float* const b = a + row;
        const float* const d = b + row;
        const float* const w = weight;
        for (int64_t c = 0; c < channels; ++c) {
          const float sum =
              bias[c] + a[c] * w[c] + a[channels + c] * w[channels + c] +
              a[2 * channels + c] * w[2 * channels + c] + b[c] * w[3 * channels + c] +
              b[channels + c] * w[4 * channels + c] + b[2 * channels + c] * w[5 * channels + c] +
              d[c] * w[6 * channels + c] + d[channels + c] * w[7 * channels + c] +
              d[2 * channels + c] * w[8 * channels + c];
          out[c] = Relu6(sum);
        }
        continue;
      }
      std::copy(bias, bias + channels, out);
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t from_y = y + k / 3, from_x = column + k % 3;
        if (from_y < 0 || from_y >= window.height || from_x < 0 || from_x >= window.width) {
          continue;
        }
        const float* const from = x + from_y * row + from_x * channels;
        const float* const w = weight + k * channels;
        for (int64_t c = 0; c < channels; ++c) {
          out[c] += from[c] * w[c];
        }
      }
      for (int64_t c = 0; c < channels; ++c) {
        out[c] = Relu6(out[c]);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void AddBiasRelu6(const float* bias, int64_t pixels, int64_t channels, float* x) {
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      x[c] = Relu6(x[c] + bias[c]);
    }
  }
}

STYLEX_FOR_EACH_CPU
void AddBias(const float* bias, const float* residual, int64_t pixels, int64_t channels, float* x) {
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      x[c] += bias[c];
    }
    if (residual != nullptr) {
      const float* const add = residual + p * channels;
      for (int64_t c = 0; c < channels; ++c) {
        x[c] += add[c];
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void Mean(const float* x, int64_t pixels, int64_t channels, float* mean) {
  std::fill(mean, mean + channels, 0.f);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] += x[p * channels + c];
    }
  }
  const float share = 1.f / static_cast<float>(pixels);
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] *= share;
  }
}

}  // namespace stylex::kernels
