// WebP through libwebp; see codec.h for what is accepted.
#ifndef STYLEX_IMAGE_WEBP_H_
#define STYLEX_IMAGE_WEBP_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

// RGB, whatever the file holds: WebP has no grey images. Animations are refused.
absl::StatusOr<Bitmap> DecodeWebp(std::string_view data, const DecodeLimits& limits);

}  // namespace stylex

#endif  // STYLEX_IMAGE_WEBP_H_
