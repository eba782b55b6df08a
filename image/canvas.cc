#include "image/canvas.h"

#include <algorithm>

#include "image/resize.h"

namespace stylex {

Canvas::Canvas(int width, int height, Rgb background)
    : bitmap_(Bitmap::Make(width, height, 3)) {
  FillRect(0, 0, width, height, background);
}

void Canvas::Draw(const Bitmap& tile, int x, int y) {
  const Bitmap rgb = ConvertChannels(tile, 3);
  const int left = std::max(0, -x);
  const int right = std::min(rgb.width, bitmap_.width - x);
  for (int row = std::max(0, -y); row < std::min(rgb.height, bitmap_.height - y); ++row) {
    if (right > left) {
      std::copy_n(rgb.pixel(left, row), 3 * (right - left), bitmap_.pixel(x + left, y + row));
    }
  }
}

void Canvas::FillRect(int x, int y, int width, int height, Rgb color) {
  for (int row = std::max(0, y); row < std::min(bitmap_.height, y + height); ++row) {
    for (int column = std::max(0, x); column < std::min(bitmap_.width, x + width); ++column) {
      std::copy(color.begin(), color.end(), bitmap_.pixel(column, row));
    }
  }
}

}  // namespace stylex
