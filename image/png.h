// PNG through libpng; see codec.h for what is accepted.
#ifndef STYLEX_IMAGE_PNG_H_
#define STYLEX_IMAGE_PNG_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

// As DecodeImage (image/codec.h), for PNG files.
absl::StatusOr<Bitmap> DecodePng(std::string_view data, const DecodeLimits& limits);

}  // namespace stylex

#endif  // STYLEX_IMAGE_PNG_H_
