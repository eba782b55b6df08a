// WebP files for tests, through libwebp's own encoder.
#ifndef STYLEX_TESTS_IMAGE_WEBP_WRITER_H_
#define STYLEX_TESTS_IMAGE_WEBP_WRITER_H_

#include <string>

#include "image/bitmap.h"

namespace stylex {

// Of an RGB bitmap; quality 0: lossless.
std::string WriteWebp(const Bitmap& rgb, float quality);

// The same with an alpha that differs from pixel to pixel.
std::string WriteTranslucentWebp(const Bitmap& rgb, float quality);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_WEBP_WRITER_H_
