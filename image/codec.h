// Decodes JPEG, PNG and WebP files, encodes JPEG and PNG; input is untrusted.
//
// Headers are validated before memory is allocated: a file with more pixels than the limit is
// refused without an allocation. Grey, CMYK and YCCK JPEGs, and PNGs with palette, alpha, 16 bits
// or interlacing are supported. Stateless, thread-safe.
#ifndef STYLEX_IMAGE_CODEC_H_
#define STYLEX_IMAGE_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

// Memory that several threads share.
class MemoryReserve {
 public:
  virtual ~MemoryReserve() = default;
  // Waits for `bytes` and holds them until the result is destroyed. An error (RESOURCE_EXHAUSTED,
  // CANCELLED) means that the memory may not be used.
  virtual absl::StatusOr<std::shared_ptr<const void>> Reserve(int64_t bytes) = 0;
};

struct DecodeLimits {
  // Limit of width x height, from the header. RESOURCE_EXHAUSTED beyond it.
  int64_t max_pixels = 4096 * 4096;
  // Progressive JPEGs with more scans are refused (a few kB could otherwise take minutes to
  // decode).
  int max_jpeg_scans = 64;
  // JPEGs, and PNGs that are not interlaced, of more than 2^20 pixels are decoded at a half, a
  // quarter or an eighth of both sides if each keeps this many pixels. 0: whole.
  int least_side = 0;
  // For callers who share memory; DecodeImage itself does not ask it.
  MemoryReserve* memory = nullptr;
};

enum class ImageFormat { kUnknown, kJpeg, kPng, kGif, kWebp };

// Detected from the first bytes alone.
ImageFormat DetectFormat(std::string_view data);

// OK for data that DecodeImage reads, by its first bytes. INVALID_ARGUMENT says what it is instead,
// where they show that, and what to do.
absl::Status CheckImageFormat(std::string_view data);

// Decodes a whole JPEG, PNG or WebP file. Grey files give 1 channel, all others 3 (RGB). Alpha is
// composited over white; 16-bit samples are rounded to 8 bits; EXIF orientation is applied, so that
// the result is upright.
//
// INVALID_ARGUMENT: empty, none of the formats, truncated or corrupt (the message says which).
// RESOURCE_EXHAUSTED: over the limits.
absl::StatusOr<Bitmap> DecodeImage(std::string_view data, const DecodeLimits& limits = {});

// At which resolution a JPEG file holds colours; luma is always held whole.
enum class JpegColors {
  kWhole,   // 4:4:4
  kHalved,  // 4:2:0, as most programs write by default
};

// quality 1 to 100. INVALID_ARGUMENT for another quality, an empty bitmap, or a side over 65500
// pixels.
absl::StatusOr<std::string> EncodeJpeg(const Bitmap& bitmap, int quality = 90,
                                       JpegColors colors = JpegColors::kWhole);

// Stored as iTXt, e.g. to mark an image as synthetic.
struct PngText {
  std::string keyword;  // 1 to 79 printable Latin-1 characters; no leading, trailing, double space
  std::string value;    // UTF-8
};
// INVALID_ARGUMENT for an empty bitmap, or text that PNG cannot represent.
absl::StatusOr<std::string> EncodePng(const Bitmap& bitmap, std::span<const PngText> text = {});

// The whole of a PNG file that says of itself that a generative model drew it.
absl::Status WriteSyntheticPng(const Bitmap& bitmap, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_IMAGE_CODEC_H_
