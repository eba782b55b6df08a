#include "models/cpu/mobilenet_kernels.h"

#include <algorithm>
#include <array>
#include <vector>

#include "models/cpu/each_cpu.h"

namespace stylex::kernels {
namespace {

STYLEX_INLINE float Clip(float x) {
  const float positive = x > 0 ? x : 0;
  return positive < 6 ? positive : 6;
}

}  // namespace

STYLEX_FOR_EACH_CPU
void FirstConvolution(const float* planes, int64_t in, const Window& window, const float* weight,
                      const float* bias, int64_t channels, float* __restrict out) {
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
        out[c] = Clip(out[c]);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void DepthwiseConvolution(const float* x, const Window& window, const float* weight,
                          const float* bias, int64_t channels, float* __restrict out) {
  // Deep in the network most pixels are at a border: reading zeros there avoids branches.
  const std::vector<float> zeros(static_cast<size_t>(channels));
  const float* const w = weight;
  for (int64_t oy = 0; oy < window.out_height(); ++oy) {
    for (int64_t ox = 0; ox < window.out_width(); ++ox, out += channels) {
      std::array<const float*, 9> from;
      for (int64_t k = 0; k < 9; ++k) {
        const int64_t y = oy * window.stride + k / 3 - 1, column = ox * window.stride + k % 3 - 1;
        const bool inside = y >= 0 && y < window.height && column >= 0 && column < window.width;
        from[static_cast<size_t>(k)] =
            inside ? x + (y * window.width + column) * channels : zeros.data();
      }
      const auto [a, b, d, e, f, g, h, i, j] = from;
      for (int64_t c = 0; c < channels; ++c) {
        out[c] = Clip(bias[c] + a[c] * w[c] + b[c] * w[channels + c] + d[c] * w[2 * channels + c] +
                      e[c] * w[3 * channels + c] + f[c] * w[4 * channels + c] +
                      g[c] * w[5 * channels + c] + h[c] * w[6 * channels + c] +
                      i[c] * w[7 * channels + c] + j[c] * w[8 * channels + c]);
      }
    }
  }
}

STYLEX_FOR_EACH_CPU
void AddBiasRelu6(const float* bias, int64_t pixels, int64_t channels, float* __restrict x) {
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      x[c] = Clip(x[c] + bias[c]);
    }
  }
}

STYLEX_FOR_EACH_CPU
void AddBias(const float* bias, const float* residual, int64_t pixels, int64_t channels,
             float* __restrict x) {
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
