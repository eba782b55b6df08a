#include "image/decoding_memory.h"

#include <algorithm>

#include "base/status_macros.h"

namespace stylex {

absl::StatusOr<int64_t> DecodingBytes(std::string_view data, const Preparation& preparation,
                                      const DecodeLimits& limits) {
  constexpr int64_t kTables = 256 << 10;  // of a decoder, rows and filters
  ImageHeader header;
  switch (DetectFormat(data)) {
    case ImageFormat::kJpeg: {
      STYLEX_ASSIGN_OR_RETURN(header, ReadJpegHeader(data, limits));
      break;
    }
    case ImageFormat::kPng: {
      STYLEX_ASSIGN_OR_RETURN(header, ReadPngHeader(data, limits));
      break;
    }
    case ImageFormat::kWebp: {
      STYLEX_ASSIGN_OR_RETURN(header, ReadWebpHeader(data, limits));
      break;
    }
    default:
      return kTables;  // DecodeImage refuses it
  }
  const int64_t pixels = header.width * header.height;
  const int64_t bitmap = pixels * header.channels;
  const int64_t decoding = bitmap + header.working + (header.turned ? bitmap : 0);
  // PrepareImage's copies: the square, the other channels, the first of the two passes of resizing.
  const int64_t side = std::min(header.width, header.height);
  const bool crops = !preparation.stretch && header.width != header.height;
  const int64_t kept = preparation.stretch ? pixels : side * side;
  const int64_t copies =
      (crops ? kept * header.channels : 0) +
      (header.channels != preparation.channels ? kept * preparation.channels : 0);
  const int64_t rows = preparation.stretch ? header.height : side;
  const int64_t pass = rows * preparation.resolution * preparation.channels;
  return kTables + std::max(decoding, bitmap + copies + pass);
}

}  // namespace stylex
