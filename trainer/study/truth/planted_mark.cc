#include "trainer/study/truth/planted_mark.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace stylex {
namespace {

// The black square covers [0, field), the mark [from, to).
struct Places {
  int field, from, to;
};
Places PlacesOf(const Bitmap& bitmap, double side) {
  const int border = std::max(1, bitmap.width / 32);
  const int mark = std::max(1, static_cast<int>(std::lround(side * bitmap.width)));
  return {mark + 2 * border, border, border + mark};
}

}  // namespace

Bitmap WithMark(Bitmap bitmap, double strength, double side) {
  const auto [field, from, to] = PlacesOf(bitmap, side);
  const int value = static_cast<int>(std::lround(255 * std::clamp(strength, 0.0, 1.0)));
  for (int y = 0; y < field; ++y) {
    for (int x = 0; x < field; ++x) {
      const bool inside = x >= from && x < to && y >= from && y < to;
      std::memset(bitmap.pixel(x, y), inside ? value : 0, static_cast<size_t>(bitmap.channels));
    }
  }
  return bitmap;
}

Bitmap WithMarkOf(const Bitmap& other, Bitmap bitmap, double side) {
  const int field = PlacesOf(bitmap, side).field;
  for (int y = 0; y < field; ++y) {
    std::memcpy(bitmap.pixel(0, y), other.pixel(0, y),
                static_cast<size_t>(field * bitmap.channels));
  }
  return bitmap;
}

double ReadMark(const Bitmap& bitmap, double side) {
  const auto [field, from, to] = PlacesOf(bitmap, side);
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
