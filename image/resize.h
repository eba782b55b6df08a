// Antialiased bicubic resizing equal to Pillow's, and the square crop for networks.
#ifndef STYLEX_IMAGE_RESIZE_H_
#define STYLEX_IMAGE_RESIZE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

// Pillow's BICUBIC: separable, a = -0.5, support scaled by the ratio when shrinking, horizontal
// pass first with the intermediate rounded to 8 bits. Within 1/255 of Pillow. width, height >= 1.
Bitmap ResizeBicubic(const Bitmap& bitmap, int width, int height);

// A part of a bitmap, in pixels, which may begin and end within one.
struct PixelBox {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};
// The same of a part of the bitmap, which must lie within it. Pixels that lie outside do not count.
Bitmap ResizeBicubic(const Bitmap& bitmap, const PixelBox& part, int width, int height);

// Nearest neighbour, for enlarging small pictures.
Bitmap ResizeNearest(const Bitmap& bitmap, int width, int height);

// The central square of side min(width, height).
Bitmap CropCenterSquare(const Bitmap& bitmap);
// The central square of that side, which must fit.
Bitmap CropCenter(const Bitmap& bitmap, int side);

// Grey (ITU-R 601 luma, as Pillow's convert("L")) to RGB and back; channels 1 or 3.
Bitmap ConvertChannels(const Bitmap& bitmap, int channels);

// How trainer and server prepare every photograph.
struct Preparation {
  int resolution = 0;
  int channels = 3;
  // The central square of this side is cut out first; smaller pictures, such as those that a model
  // has drawn, are taken whole. 0: none is cut out.
  int crop = 0;
  bool stretch = false;  // scales both sides independently instead of cropping
  int padded_from = 0;  // a square of just this side is framed in black instead of resized; 0: none
};
// The side of the square that is cut out of a picture of these sides; 0: none is.
int CropOf(const Preparation& preparation, int64_t width, int64_t height);
// Crops, resizes and converts. padded_from <= resolution.
Bitmap PrepareImage(const Bitmap& bitmap, const Preparation& preparation);

// Mirrors left to right.
Bitmap FlipHorizontal(const Bitmap& bitmap);

}  // namespace stylex

#endif  // STYLEX_IMAGE_RESIZE_H_
