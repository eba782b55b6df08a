// JPEG through libjpeg-turbo; see codec.h for what is accepted.
#ifndef STYLEX_IMAGE_JPEG_H_
#define STYLEX_IMAGE_JPEG_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

// As DecodeImage (image/codec.h), for JPEG files.
absl::StatusOr<Bitmap> DecodeJpeg(std::string_view data, const DecodeLimits& limits);

}  // namespace stylex

#endif  // STYLEX_IMAGE_JPEG_H_
