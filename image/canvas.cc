#include "image/canvas.h"

#include <algorithm>

#include "image/font.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kAdvance = kGlyphWidth + 1;

}  // namespace

Canvas::Canvas(int width, int height, Rgb background) : bitmap_(Bitmap::Make(width, height, 3)) {
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

void Canvas::Text(std::string_view text, int x, int y, Rgb color, int scale) {
  for (const char character : text) {
    const bool printable = character >= kFirstGlyph && character <= kLastGlyph;
    const char shown = printable ? character : '?';
    const std::string_view glyph = kGlyphs[static_cast<size_t>(shown - kFirstGlyph)];
    const int top = y + (kDescending.find(shown) == std::string_view::npos ? 0 : kDescent * scale);
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        if (glyph[static_cast<size_t>(row * (kGlyphWidth + 1) + column)] == '#') {
          FillRect(x + column * scale, top + row * scale, scale, scale, color);
        }
      }
    }
    x += kAdvance * scale;
  }
}

int Canvas::TextWidth(std::string_view text, int scale) {
  return static_cast<int>(text.size()) * kAdvance * scale;
}

}  // namespace stylex
