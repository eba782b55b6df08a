// Images as plain arrays in double precision, and the operations of StyleGAN2's networks on them
// written as their definitions, sample by sample. Slow, and independent of LibTorch's operators.
#ifndef STYLEX_TESTS_MODELS_NETWORKS_LITERAL_PLANES_H_
#define STYLEX_TESTS_MODELS_NETWORKS_LITERAL_PLANES_H_

#include <torch/types.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace stylex {

struct Planes {
  int64_t images = 0, channels = 0, height = 0, width = 0;
  std::vector<double> values = {};

  static Planes Zeros(int64_t images, int64_t channels, int64_t height, int64_t width) {
    const auto count = static_cast<size_t>(images * channels * height * width);
    return {images, channels, height, width, std::vector<double>(count)};
  }
  // x: [N, C, H, W], in any order in memory.
  static Planes Of(const torch::Tensor& x) {
    const torch::Tensor plain = x.detach().to(torch::kFloat64).contiguous();
    const double* const data = plain.data_ptr<double>();
    return {x.size(0), x.size(1), x.size(2), x.size(3),
            std::vector<double>(data, data + plain.numel())};
  }

  // Zero outside of the picture.
  double Get(int64_t n, int64_t c, int64_t y, int64_t x) const {
    return y < 0 || x < 0 || y >= height || x >= width ? 0 : values[Index(n, c, y, x)];
  }
  double& At(int64_t n, int64_t c, int64_t y, int64_t x) { return values[Index(n, c, y, x)]; }

  // [N, C, H, W], float64.
  torch::Tensor ToTensor() const {
    return torch::tensor(values, torch::kFloat64).view({images, channels, height, width});
  }
  // Calls visit(n, c, y, x) for every sample.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (int64_t n = 0; n < images; ++n) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t y = 0; y < height; ++y) {
          for (int64_t x = 0; x < width; ++x) {
            visit(n, c, y, x);
          }
        }
      }
    }
  }

 private:
  size_t Index(int64_t n, int64_t c, int64_t y, int64_t x) const {
    return static_cast<size_t>(((n * channels + c) * height + y) * width + x);
  }
};

// Correlation, which networks call convolution. weight: [out, in, k, k].
inline Planes Correlate(const Planes& x, const torch::Tensor& weight, int64_t stride,
                        int64_t padding) {
  const Planes w = Planes::Of(weight);
  const int64_t side = w.height;
  Planes out = Planes::Zeros(x.images, w.images, (x.height + 2 * padding - side) / stride + 1,
                             (x.width + 2 * padding - side) / stride + 1);
  out.ForEach([&](int64_t n, int64_t c, int64_t oy, int64_t ox) {
    for (int64_t in = 0; in < x.channels; ++in) {
      for (int64_t ky = 0; ky < side; ++ky) {
        for (int64_t kx = 0; kx < side; ++kx) {
          out.At(n, c, oy, ox) += w.Get(c, in, ky, kx) * x.Get(n, in, oy * stride + ky - padding,
                                                               ox * stride + kx - padding);
        }
      }
    }
  });
  return out;
}

// Each input sample adds the kernel, times itself, at twice its position: side 2 H + 1.
inline Planes SpreadByTwo(const Planes& x, const torch::Tensor& weight) {
  const Planes w = Planes::Of(weight);
  Planes out = Planes::Zeros(x.images, w.images, 2 * x.height + 1, 2 * x.width + 1);
  x.ForEach([&](int64_t n, int64_t in, int64_t y, int64_t column) {
    for (int64_t c = 0; c < w.images; ++c) {
      for (int64_t ky = 0; ky < 3; ++ky) {
        for (int64_t kx = 0; kx < 3; ++kx) {
          out.At(n, c, 2 * y + ky, 2 * column + kx) +=
              w.Get(c, in, ky, kx) * x.Get(n, in, y, column);
        }
      }
    }
  });
  return out;
}

// [1, 3, 3, 1] / 8 along each axis, of a picture with `before` and `after` zeros around it.
inline Planes Smooth(const Planes& x, int64_t before, int64_t after, double gain) {
  constexpr std::array<double, 4> kTaps = {0.125, 0.375, 0.375, 0.125};
  const int64_t grown = before + after - 3;
  Planes out = Planes::Zeros(x.images, x.channels, x.height + grown, x.width + grown);
  out.ForEach([&](int64_t n, int64_t c, int64_t y, int64_t column) {
    for (size_t i = 0; i < 4; ++i) {
      for (size_t j = 0; j < 4; ++j) {
        out.At(n, c, y, column) += gain * kTaps[i] * kTaps[j] *
                                   x.Get(n, c, y - before + static_cast<int64_t>(i),
                                         column - before + static_cast<int64_t>(j));
      }
    }
  });
  return out;
}

// Zeros between the samples, then the filter with gain 4 (StyleGAN2's upfirdn: 2 zeros before, 1
// after).
inline Planes UpsampleLiterally(const Planes& x) {
  Planes spread = Planes::Zeros(x.images, x.channels, 2 * x.height, 2 * x.width);
  x.ForEach([&](int64_t n, int64_t c, int64_t y, int64_t column) {
    spread.At(n, c, 2 * y, 2 * column) = x.Get(n, c, y, column);
  });
  return Smooth(spread, 2, 1, 4);
}

inline double ActivatedLiterally(double x) { return std::sqrt(2.0) * (x < 0 ? 0.2 * x : x); }

// One value a channel is added, then the scaled leaky ReLU.
inline Planes AddAndActivateLiterally(Planes x, const torch::Tensor& bias) {
  x.ForEach([&](int64_t n, int64_t c, int64_t y, int64_t column) {
    double& value = x.At(n, c, y, column);
    value = ActivatedLiterally(value + bias[c].item<double>());
  });
  return x;
}

// The greatest difference between a network's result and the literal one, relative to the latter's
// range.
inline double RelativeDifference(const torch::Tensor& found, const torch::Tensor& expected) {
  TORCH_CHECK(found.sizes() == expected.sizes(), "shapes ", found.sizes(), " and ",
              expected.sizes());
  const torch::Tensor wide = expected.detach().to(torch::kFloat64);
  return (found.detach().to(torch::kFloat64) - wide).abs().max().item<double>() /
         wide.abs().max().item<double>();
}

}  // namespace stylex

#endif  // STYLEX_TESTS_MODELS_NETWORKS_LITERAL_PLANES_H_
