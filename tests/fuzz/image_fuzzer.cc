// Decodes and prepares arbitrary bytes as an image file, as the server does; they must be decoded
// or refused.
#include <cstdint>
#include <cstdlib>

#include "image/codec.h"
#include "image/resize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const stylex::DecodeLimits limits = {.max_pixels = 1 << 18, .max_jpeg_scans = 8};
  const absl::StatusOr<stylex::Bitmap> bitmap =
      stylex::DecodeImage({reinterpret_cast<const char*>(data), size}, limits);
  if (!bitmap.ok()) {
    if (!absl::IsInvalidArgument(bitmap.status()) && !absl::IsResourceExhausted(bitmap.status())) {
      std::abort();
    }
    return 0;
  }
  const int64_t pixels = int64_t{bitmap->width} * bitmap->height;
  if (pixels > limits.max_pixels ||
      static_cast<int64_t>(bitmap->data.size()) != pixels * bitmap->channels) {
    std::abort();
  }
  stylex::PrepareImage(*bitmap, {.resolution = 16, .channels = 1, .padded_from = 8});
  stylex::PrepareImage(*bitmap, {.resolution = 16, .channels = 3, .stretch = true});
  return 0;
}
