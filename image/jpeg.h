// JPEG through libjpeg-turbo; see codec.h for what is accepted.
#ifndef STYLEX_IMAGE_JPEG_H_
#define STYLEX_IMAGE_JPEG_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

// As DecodeImage (image/codec.h), for JPEG files.
absl::StatusOr<Bitmap> DecodeJpeg(std::string_view data, const DecodeLimits& limits);

// The EXIF orientation (1 to 8) of a JPEG file; 1 if it is missing or invalid.
int ExifOrientation(std::string_view jpeg);

// Rotates and mirrors a bitmap according to its orientation, so that it is upright.
Bitmap ApplyOrientation(Bitmap bitmap, int orientation);

}  // namespace stylex

#endif  // STYLEX_IMAGE_JPEG_H_
