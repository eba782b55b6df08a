// A photograph's file as a network gets it: trainer and server read all photographs by this.
//
// Of a file with far more pixels than the network takes, a smaller picture is decoded in the first
// place, which takes a fraction of the memory: halves, quarters or eighths of both sides, as long
// as kSparePixels times the network's resolution are left for the resampling that follows.
// Stateless, thread-safe.
#ifndef STYLEX_IMAGE_PHOTOGRAPH_H_
#define STYLEX_IMAGE_PHOTOGRAPH_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {

// So many pixels of a decoded side at least become one of the network's.
inline constexpr int kSparePixels = 4;

// DecodeImage and PrepareImage. Errors are those of DecodeImage; limits.least_side is set here.
absl::StatusOr<Bitmap> ReadPhotograph(std::string_view file, const Preparation& preparation,
                                      const DecodeLimits& limits = {});

// Bytes that ReadPhotograph takes at most for this file, from its header: of a progressive JPEG
// also all coefficients. Errors are those of DecodeImage that the header shows.
absl::StatusOr<int64_t> DecodingBytes(std::string_view file, const Preparation& preparation,
                                      const DecodeLimits& limits = {});

}  // namespace stylex

#endif  // STYLEX_IMAGE_PHOTOGRAPH_H_
