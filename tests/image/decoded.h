#ifndef STYLEX_TESTS_IMAGE_DECODED_H_
#define STYLEX_TESTS_IMAGE_DECODED_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "image/codec.h"

namespace stylex {

inline Bitmap DecodedOrEmpty(const std::string& bytes) {
  absl::StatusOr<Bitmap> bitmap = DecodeImage(bytes);
  EXPECT_TRUE(bitmap.ok()) << bitmap.status();
  return bitmap.ok() ? *std::move(bitmap) : Bitmap{};
}

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_DECODED_H_
