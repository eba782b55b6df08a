#include "image/color_difference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace stylex {
namespace {

using Triple = std::array<double, 3>;

constexpr Triple kWhite = {0.95047, 1, 1.08883};  // D65
constexpr double kEpsilon = 216.0 / 24389;
constexpr double kKappa = 24389.0 / 27;
constexpr double kMiddleGrey = 50;

// IEC 61966-2-1.
double ToLinear(uint8_t sample) {
  const double value = sample / 255.0;
  return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
}

uint8_t FromLinear(double linear) {
  const double value = linear <= 0.0031308
                           ? 12.92 * linear
                           : 1.055 * std::pow(std::min(linear, 1.0), 1 / 2.4) - 0.055;
  return static_cast<uint8_t>(std::lround(255 * std::clamp(value, 0.0, 1.0)));
}

void FromLab(const Lab& lab, int channels, uint8_t* pixel) {
  const double fy = (std::clamp(lab[0], 0.0, 100.0) + 16) / 116;
  const Triple f = {fy + lab[1] / 500, fy, fy - lab[2] / 200};
  Triple xyz;
  for (size_t i = 0; i < f.size(); ++i) {
    const double cube = f[i] * f[i] * f[i];
    xyz[i] = kWhite[i] * (cube > kEpsilon ? cube : (116 * f[i] - 16) / kKappa);
  }
  if (channels == 1) {
    pixel[0] = FromLinear(xyz[1]);
    return;
  }
  pixel[0] = FromLinear(3.2404542 * xyz[0] - 1.5371385 * xyz[1] - 0.4985314 * xyz[2]);
  pixel[1] = FromLinear(-0.9692660 * xyz[0] + 1.8760108 * xyz[1] + 0.0415560 * xyz[2]);
  pixel[2] = FromLinear(0.0556434 * xyz[0] - 0.2040259 * xyz[1] + 1.0572252 * xyz[2]);
}

}  // namespace

Lab LabOf(const uint8_t* pixel, int channels) {
  const double r = ToLinear(pixel[0]);
  const double g = channels == 1 ? r : ToLinear(pixel[1]);
  const double b = channels == 1 ? r : ToLinear(pixel[2]);
  const Triple xyz = {0.4124564 * r + 0.3575761 * g + 0.1804375 * b,
                      0.2126729 * r + 0.7151522 * g + 0.0721750 * b,
                      0.0193339 * r + 0.1191920 * g + 0.9503041 * b};
  Triple f;
  for (size_t i = 0; i < f.size(); ++i) {
    const double t = xyz[i] / kWhite[i];
    f[i] = t > kEpsilon ? std::cbrt(t) : (kKappa * t + 16) / 116;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

Bitmap DrawColorDifference(const Bitmap& before, const Bitmap& after, double scale) {
  Bitmap drawn = Bitmap::Make(before.width, before.height, before.channels);
  for (int y = 0; y < before.height; ++y) {
    for (int x = 0; x < before.width; ++x) {
      const Lab from = LabOf(before.pixel(x, y), before.channels);
      const Lab to = LabOf(after.pixel(x, y), before.channels);
      FromLab({kMiddleGrey + scale * (to[0] - from[0]), scale * (to[1] - from[1]),
               scale * (to[2] - from[2])},
              before.channels, drawn.pixel(x, y));
    }
  }
  return drawn;
}

}  // namespace stylex
