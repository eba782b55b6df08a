#include "trainer/planted_mark.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace stylex {
namespace {

// In 32nds of the side: the black square covers [0, 6), the mark [1, 5).
int Scaled(const Bitmap& bitmap, int part) { return bitmap.width * part / 32; }

}  // namespace

Bitmap WithMark(Bitmap bitmap, double strength) {
  const int field = Scaled(bitmap, 6), from = Scaled(bitmap, 1), to = Scaled(bitmap, 5);
  const int value = static_cast<int>(std::lround(255 * std::clamp(strength, 0.0, 1.0)));
  for (int y = 0; y < field; ++y) {
    for (int x = 0; x < field; ++x) {
      const bool inside = x >= from && x < to && y >= from && y < to;
      std::memset(bitmap.pixel(x, y), inside ? value : 0, static_cast<size_t>(bitmap.channels));
    }
  }
  return bitmap;
}

double ReadMark(const Bitmap& bitmap) {
  const int from = Scaled(bitmap, 1), to = Scaled(bitmap, 5);
  double sum = 0;
  for (int y = from; y < to; ++y) {
    for (int x = from; x < to; ++x) {
      for (int c = 0; c < bitmap.channels; ++c) {
        sum += bitmap.pixel(x, y)[c];
      }
    }
  }
  return sum / (255.0 * (to - from) * (to - from) * bitmap.channels);
}

}  // namespace stylex
