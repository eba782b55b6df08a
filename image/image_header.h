// Estimates the memory that decoding a file takes, from its header.
#ifndef STYLEX_IMAGE_IMAGE_HEADER_H_
#define STYLEX_IMAGE_IMAGE_HEADER_H_

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"

namespace stylex {

struct ImageHeader {
  int64_t width = 0;  // as stored, before it is turned upright
  int64_t height = 0;
  int reduction = 1;    // both sides are decoded this many times smaller
  int channels = 0;     // of the bitmap
  int64_t working = 0;  // bytes that the decoder holds besides the bitmap
  int orientation = 1;  // EXIF's; others than 1 take a second bitmap
};

// Errors are those of DecodeImage that the header shows.
absl::StatusOr<ImageHeader> ReadJpegHeader(std::string_view data, const DecodeLimits& limits);
absl::StatusOr<ImageHeader> ReadPngHeader(std::string_view data, const DecodeLimits& limits);
absl::StatusOr<ImageHeader> ReadWebpHeader(std::string_view data, const DecodeLimits& limits);

// By how much both sides of an image are decoded smaller, 1, 2, 4 or 8: the most that leaves
// limits.least_side pixels of each. 1 where that saves little memory.
inline int ReductionOf(int64_t width, int64_t height, const DecodeLimits& limits) {
  constexpr int64_t kLarge = int64_t{1} << 20;  // pixels
  if (limits.least_side <= 0 || width * height <= kLarge) {
    return 1;
  }
  int reduction = 8;
  while (reduction > 1 && std::min(width, height) / reduction < limits.least_side) {
    reduction /= 2;
  }
  return reduction;
}

// A side of `pixels` so reduced; what is left over counts as a whole pixel.
inline int64_t Reduced(int64_t pixels, int reduction) {
  return (pixels + reduction - 1) / reduction;
}

}  // namespace stylex

#endif  // STYLEX_IMAGE_IMAGE_HEADER_H_
