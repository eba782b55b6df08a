// The orientation that a file's EXIF block asks for. Files are untrusted: every access is checked.
#ifndef STYLEX_IMAGE_ORIENTATION_H_
#define STYLEX_IMAGE_ORIENTATION_H_

#include <string_view>

#include "image/bitmap.h"

namespace stylex {

// The EXIF orientation (1 to 8) of a JPEG file; 1 if it is missing or invalid.
int ExifOrientation(std::string_view jpeg);
// The same of a PNG file's eXIf chunk.
int PngOrientation(std::string_view png);

// Rotates and mirrors a bitmap according to its orientation, so that it is upright.
Bitmap ApplyOrientation(Bitmap bitmap, int orientation);

}  // namespace stylex

#endif  // STYLEX_IMAGE_ORIENTATION_H_
