#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace stylex {
namespace {

// Coefficients are fixed-point numbers with this many fractional bits, so that sums of bytes are
// exact and the same on every machine (8 bits are reserved for the value and 2 for overshoot).
constexpr int kPrecisionBits = 32 - 8 - 2;

// Keys' cubic convolution with a = -0.5.
double Cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  }
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// The input samples that contribute to one output sample.
struct Window {
  int first;
  std::vector<int32_t> weights;
};

// Of `length` samples from `start` on.
std::vector<Window> MakeWindows(double start, double length, int out) {
  const double scale = length / out;
  const int begin = static_cast<int>(std::floor(start));
  const int end = static_cast<int>(std::ceil(start + length));
  const double filter_scale = std::max(scale, 1.0);  // antialiasing: widen the filter to shrink
  const double support = 2.0 * filter_scale;
  std::vector<Window> windows;
  for (int i = 0; i < out; ++i) {
    const double center = start + (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), begin);
    const int last = std::min(static_cast<int>(center + support + 0.5), end);
    std::vector<double> weights;
    double sum = 0;
    for (int x = first; x < last; ++x) {
      weights.push_back(Cubic((x - center + 0.5) / filter_scale));
      sum += weights.back();
    }
    Window window{first, {}};
    for (const double weight : weights) {
      window.weights.push_back(
          static_cast<int32_t>(std::lround(weight / sum * (1 << kPrecisionBits))));
    }
    windows.push_back(std::move(window));
  }
  return windows;
}

uint8_t ToByte(int64_t sum) {
  return static_cast<uint8_t>(std::clamp<int64_t>(sum >> kPrecisionBits, 0, 255));
}

Bitmap ResizeHorizontally(const Bitmap& in, double left, double part, int width) {
  Bitmap out = Bitmap::Make(width, in.height, in.channels);
  const std::vector<Window> windows = MakeWindows(left, part, width);
  for (int y = 0; y < in.height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Window& window = windows[static_cast<size_t>(x)];
      for (int c = 0; c < in.channels; ++c) {
        int64_t sum = int64_t{1} << (kPrecisionBits - 1);
        const uint8_t* sample = in.pixel(window.first, y) + c;
        for (const int32_t weight : window.weights) {
          sum += int64_t{weight} * *sample;
          sample += in.channels;
        }
        out.pixel(x, y)[c] = ToByte(sum);
      }
    }
  }
  return out;
}

Bitmap ResizeVertically(const Bitmap& in, double top, double part, int height) {
  Bitmap out = Bitmap::Make(in.width, height, in.channels);
  const std::vector<Window> windows = MakeWindows(top, part, height);
  const int row = in.width * in.channels;
  std::vector<int64_t> sums(static_cast<size_t>(row));
  for (int y = 0; y < height; ++y) {
    const Window& window = windows[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), int64_t{1} << (kPrecisionBits - 1));
    for (size_t k = 0; k < window.weights.size(); ++k) {
      const uint8_t* sample = in.pixel(0, window.first + static_cast<int>(k));
      for (int i = 0; i < row; ++i) {
        sums[static_cast<size_t>(i)] += int64_t{window.weights[k]} * sample[i];
      }
    }
    std::transform(sums.begin(), sums.end(), out.pixel(0, y), ToByte);
  }
  return out;
}

}  // namespace

Bitmap ResizeBicubic(const Bitmap& bitmap, int width, int height) {
  const Bitmap narrowed =
      bitmap.width == width ? bitmap : ResizeHorizontally(bitmap, 0, bitmap.width, width);
  return bitmap.height == height ? narrowed : ResizeVertically(narrowed, 0, bitmap.height, height);
}

Bitmap ResizeBicubic(const Bitmap& bitmap, const PixelBox& part, int width, int height) {
  return ResizeVertically(ResizeHorizontally(bitmap, part.left, part.width, width), part.top,
                          part.height, height);
}

Bitmap ResizeNearest(const Bitmap& bitmap, int width, int height) {
  Bitmap out = Bitmap::Make(width, height, bitmap.channels);
  for (int y = 0; y < height; ++y) {
    const int from_y = static_cast<int>(int64_t{y} * bitmap.height / height);
    for (int x = 0; x < width; ++x) {
      const int from_x = static_cast<int>(int64_t{x} * bitmap.width / width);
      std::copy_n(bitmap.pixel(from_x, from_y), bitmap.channels, out.pixel(x, y));
    }
  }
  return out;
}

Bitmap CropCenterSquare(const Bitmap& bitmap) {
  return bitmap.width == bitmap.height ? bitmap
                                       : CropCenter(bitmap, std::min(bitmap.width, bitmap.height));
}

Bitmap CropCenter(const Bitmap& bitmap, int side) {
  const int left = (bitmap.width - side) / 2;
  const int top = (bitmap.height - side) / 2;
  Bitmap out = Bitmap::Make(side, side, bitmap.channels);
  for (int y = 0; y < side; ++y) {
    std::copy_n(bitmap.pixel(left, top + y), side * bitmap.channels, out.pixel(0, y));
  }
  return out;
}

Bitmap ConvertChannels(const Bitmap& bitmap, int channels) {
  if (bitmap.channels == channels) {
    return bitmap;
  }
  Bitmap out = Bitmap::Make(bitmap.width, bitmap.height, channels);
  const size_t pixels = static_cast<size_t>(bitmap.width) * static_cast<size_t>(bitmap.height);
  for (size_t i = 0; i < pixels; ++i) {
    if (channels == 3) {
      std::fill_n(&out.data[3 * i], 3, bitmap.data[i]);
    } else {
      // ITU-R 601 luma in 16 fractional bits.
      const uint8_t* rgb = &bitmap.data[3 * i];
      out.data[i] = static_cast<uint8_t>(
          (rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
    }
  }
  return out;
}

int CropOf(const Preparation& preparation, int64_t width, int64_t height) {
  return preparation.crop <= std::min(width, height) ? preparation.crop : 0;
}

Bitmap PrepareImage(const Bitmap& bitmap, const Preparation& preparation) {
  const int resolution = preparation.resolution;
  // Copies only what changes: a photograph can take a large part of the memory.
  Bitmap square, other;
  const Bitmap* source = &bitmap;
  if (const int side = CropOf(preparation, bitmap.width, bitmap.height); side > 0) {
    if (bitmap.width != side || bitmap.height != side) {
      square = CropCenter(bitmap, side);
      source = &square;
    }
  } else if (!preparation.stretch && bitmap.width != bitmap.height) {
    square = CropCenterSquare(bitmap);
    source = &square;
  }
  if (source->channels != preparation.channels) {
    other = ConvertChannels(*source, preparation.channels);
    source = &other;
  }
  const Bitmap& converted = *source;
  if (converted.width != preparation.padded_from || converted.height != preparation.padded_from) {
    return ResizeBicubic(converted, resolution, resolution);
  }
  const int border = (resolution - preparation.padded_from) / 2;
  Bitmap framed = Bitmap::Make(resolution, resolution, preparation.channels);
  for (int y = 0; y < converted.height; ++y) {
    std::copy_n(converted.pixel(0, y), converted.width * converted.channels,
                framed.pixel(border, y + border));
  }
  return framed;
}

Bitmap FlipHorizontal(const Bitmap& bitmap) {
  Bitmap out = Bitmap::Make(bitmap.width, bitmap.height, bitmap.channels);
  for (int y = 0; y < bitmap.height; ++y) {
    for (int x = 0; x < bitmap.width; ++x) {
      std::copy_n(bitmap.pixel(x, y), bitmap.channels, out.pixel(bitmap.width - 1 - x, y));
    }
  }
  return out;
}

}  // namespace stylex
