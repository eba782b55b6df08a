#include "image/image_size.h"

#include <webp/decode.h>

#include "image/codec.h"

namespace stylex {
namespace {

// Big-endian; 0 beyond the end.
int64_t Number(std::string_view data, size_t at, size_t bytes) {
  int64_t value = 0;
  for (size_t i = at; i < at + bytes; ++i) {
    value = value << 8 | (i < data.size() ? static_cast<uint8_t>(data[i]) : 0);
  }
  return value;
}

// Start of frame of any coding: 0xc0 to 0xcf, but for the tables among them.
bool IsStartOfFrame(int64_t marker) {
  return (marker & 0xf0) == 0xc0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

std::optional<ImageSize> SizeOfJpeg(std::string_view data) {
  size_t at = 2;
  while (at + 9 <= data.size() && Number(data, at, 1) == 0xff) {
    const int64_t marker = Number(data, at + 1, 1);
    if (marker == 0xff) {  // padding
      ++at;
      continue;
    }
    if (IsStartOfFrame(marker)) {
      return ImageSize{.width = Number(data, at + 7, 2), .height = Number(data, at + 5, 2)};
    }
    at += 2 + static_cast<size_t>(Number(data, at + 2, 2));
  }
  return std::nullopt;
}

std::optional<ImageSize> SizeOfWebp(std::string_view data) {
  int width = 0, height = 0;
  if (WebPGetInfo(reinterpret_cast<const uint8_t*>(data.data()), data.size(), &width, &height) ==
      0) {
    return std::nullopt;
  }
  return ImageSize{.width = width, .height = height};
}

}  // namespace

std::optional<ImageSize> SizeOfImage(std::string_view start) {
  std::optional<ImageSize> size;
  switch (DetectFormat(start)) {
    case ImageFormat::kJpeg:
      size = SizeOfJpeg(start);
      break;
    case ImageFormat::kPng:
      size = ImageSize{.width = Number(start, 16, 4), .height = Number(start, 20, 4)};
      break;
    case ImageFormat::kWebp:
      size = SizeOfWebp(start);
      break;
    case ImageFormat::kGif:
    case ImageFormat::kUnknown:
      break;
  }
  return size && size->width > 0 && size->height > 0 ? size : std::nullopt;
}

}  // namespace stylex
