// Draws sheets of pictures: tiles on a background with short captions.
#ifndef STYLEX_IMAGE_CANVAS_H_
#define STYLEX_IMAGE_CANVAS_H_

#include <array>
#include <string_view>

#include "image/bitmap.h"

namespace stylex {

using Rgb = std::array<uint8_t, 3>;

// An RGB bitmap to draw on; everything is clipped to it.
class Canvas {
 public:
  // Sides in pixels.
  Canvas(int width, int height, Rgb background = {255, 255, 255});

  // Copies `tile` (1 or 3 channels) with its top left corner at (x, y).
  void Draw(const Bitmap& tile, int x, int y);
  // Pixels outside of the canvas are left out.
  void FillRect(int x, int y, int width, int height, Rgb color);
  // Draws printable ASCII in a built-in bitmap font, enlarged `scale` times; other characters
  // become '?'.
  void Text(std::string_view text, int x, int y, Rgb color = {0, 0, 0}, int scale = 1);
  // Width in pixels of `text`; the height of a line is kLineHeight * scale.
  static int TextWidth(std::string_view text, int scale = 1);
  static constexpr int kLineHeight = 10;

  const Bitmap& bitmap() const { return bitmap_; }

 private:
  Bitmap bitmap_;
};

}  // namespace stylex

#endif  // STYLEX_IMAGE_CANVAS_H_
