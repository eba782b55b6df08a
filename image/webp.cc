#include "image/webp.h"

#include <webp/decode.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/image_header.h"
#include "image/orientation.h"

namespace stylex {
namespace {

constexpr size_t kRiffHeaderBytes = 12;
constexpr size_t kChunkHeaderBytes = 8;

// The payload of a RIFF file's first chunk of this type; empty if there is none.
std::string_view Chunk(std::string_view riff, std::string_view type) {
  size_t at = kRiffHeaderBytes;
  while (riff.size() > at && riff.size() - at >= kChunkHeaderBytes) {
    uint64_t size = 0;
    for (size_t i = 0; i < 4; ++i) {
      size |= uint64_t{static_cast<uint8_t>(riff[at + 4 + i])} << (8 * i);
    }
    if (size > riff.size() - at - kChunkHeaderBytes) {
      break;
    }
    if (riff.substr(at, 4) == type) {
      return riff.substr(at + kChunkHeaderBytes, size);
    }
    at += kChunkHeaderBytes + size + size % 2;
  }
  return {};
}

// That of the EXIF chunk, read as the one of a JPEG file that holds nothing else.
int OrientationOf(std::string_view webp) {
  constexpr std::string_view kExif("Exif\0\0", 6);
  constexpr size_t kMost = 65535 - 2 - kExif.size();
  std::string_view exif = Chunk(webp, "EXIF");
  if (exif.starts_with(kExif)) {
    exif.remove_prefix(kExif.size());
  }
  exif = exif.substr(0, kMost);
  const size_t length = 2 + kExif.size() + exif.size();
  return ExifOrientation(absl::StrCat(
      "\xff\xd8\xff\xe1", std::string(1, static_cast<char>(length >> 8)),
      std::string(1, static_cast<char>(length & 255)), std::string(kExif), std::string(exif)));
}

// Composites RGBA over white.
Bitmap OverWhite(const Bitmap& rgba) {
  Bitmap bitmap = Bitmap::Make(rgba.width, rgba.height, 3);
  const uint8_t* from = rgba.data.data();
  uint8_t* to = bitmap.data.data();
  for (size_t i = 0; i < rgba.data.size() / 4; ++i, from += 4, to += 3) {
    for (int c = 0; c < 3; ++c) {
      to[c] = static_cast<uint8_t>((from[c] * from[3] + 255 * (255 - from[3]) + 127) / 255);
    }
  }
  return bitmap;
}

absl::Status Broken(VP8StatusCode code) {
  return absl::InvalidArgumentError(absl::StrCat(
      "broken WebP image: ", code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED
                                 ? "truncated"
                                 : absl::StrCat("libwebp's error ", static_cast<int>(code))));
}

// What the header tells, if the image is a single one within the limits.
absl::StatusOr<WebPBitstreamFeatures> ReadFeatures(std::string_view data,
                                                   const DecodeLimits& limits) {
  WebPBitstreamFeatures features;
  if (const VP8StatusCode code =
          WebPGetFeatures(reinterpret_cast<const uint8_t*>(data.data()), data.size(), &features);
      code != VP8_STATUS_OK) {
    return Broken(code);
  }
  if (int64_t{features.width} * features.height > limits.max_pixels) {
    return absl::ResourceExhaustedError(absl::StrCat("WebP image of ", features.width, "x",
                                                     features.height, " pixels; the limit is ",
                                                     limits.max_pixels, " pixels"));
  }
  if (features.has_animation != 0) {
    return absl::InvalidArgumentError("an animated WebP image; expected a single one");
  }
  return features;
}

}  // namespace

absl::StatusOr<ImageHeader> ReadWebpHeader(std::string_view data, const DecodeLimits& limits) {
  STYLEX_ASSIGN_OR_RETURN(const WebPBitstreamFeatures features, ReadFeatures(data, limits));
  constexpr int kLossless = 2;
  const int64_t pixels = int64_t{features.width} * features.height;
  const bool lossless = features.format == kLossless;
  return ImageHeader{
      .width = features.width,
      .height = features.height,
      .channels = 3,
      // libwebp decodes lossless files, and the alpha of others, whole, at four bytes a pixel
      // (alpha at one or four); with alpha, RGBA is made first and then RGB.
      .working = (lossless ? 4 * pixels : int64_t{64} * features.width) +
                 (features.has_alpha != 0 ? 4 * pixels + (lossless ? 0 : 4 * pixels) : 0),
      .orientation = OrientationOf(data)};
}

absl::StatusOr<Bitmap> DecodeWebp(std::string_view data, const DecodeLimits& limits) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.data());
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    return absl::InternalError("another version of libwebp than this program was built with");
  }
  STYLEX_ASSIGN_OR_RETURN(config.input, ReadFeatures(data, limits));
  const int64_t width = config.input.width, height = config.input.height;
  const bool alpha = config.input.has_alpha != 0;
  Bitmap bitmap = Bitmap::Make(static_cast<int>(width), static_cast<int>(height), alpha ? 4 : 3);
  config.output.colorspace = alpha ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = bitmap.data.data();
  config.output.u.RGBA.stride = bitmap.width * bitmap.channels;
  config.output.u.RGBA.size = bitmap.data.size();
  const VP8StatusCode code = WebPDecode(bytes, data.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (code != VP8_STATUS_OK) {
    return Broken(code);
  }
  return ApplyOrientation(alpha ? OverWhite(bitmap) : std::move(bitmap), OrientationOf(data));
}

}  // namespace stylex
