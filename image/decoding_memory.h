// The memory that decoding an image takes, by format.
#ifndef STYLEX_IMAGE_DECODING_MEMORY_H_
#define STYLEX_IMAGE_DECODING_MEMORY_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {

// Bytes that DecodeImage and PrepareImage together take at most for this file, from its header: of
// a progressive JPEG also all coefficients. Errors are those of DecodeImage that the header shows.
absl::StatusOr<int64_t> DecodingBytes(std::string_view data, const Preparation& preparation,
                                      const DecodeLimits& limits = {});

// From a file's header.
struct ImageHeader {
  int64_t width = 0;
  int64_t height = 0;
  int channels = 0;     // of the bitmap
  int64_t working = 0;  // bytes that the decoder holds besides the bitmap
  bool turned = false;  // a second bitmap is made to turn it upright
};

absl::StatusOr<ImageHeader> ReadJpegHeader(std::string_view data, const DecodeLimits& limits);
absl::StatusOr<ImageHeader> ReadPngHeader(std::string_view data, const DecodeLimits& limits);
absl::StatusOr<ImageHeader> ReadWebpHeader(std::string_view data, const DecodeLimits& limits);

}  // namespace stylex

#endif  // STYLEX_IMAGE_DECODING_MEMORY_H_
