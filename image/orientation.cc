#include "image/orientation.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace stylex {
namespace {

constexpr uint8_t kApp1 = 0xe1;
constexpr uint8_t kStartOfScan = 0xda;
constexpr uint8_t kEndOfImage = 0xd9;
constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShortType = 3;
constexpr size_t kEntryBytes = 12;
constexpr size_t kPngSignatureBytes = 8;
constexpr size_t kChunkOverhead = 12;  // length, type, checksum
constexpr std::string_view kExif("Exif\0\0", 6);

uint8_t Byte(std::string_view data, size_t at) { return static_cast<uint8_t>(data[at]); }

// A TIFF block, read in its own byte order; every access is bounds-checked.
class Tiff {
 public:
  explicit Tiff(std::string_view data) : data_(data), big_(data.starts_with("MM")) {}

  std::optional<uint32_t> Number(size_t at, size_t bytes) const {
    if (at > data_.size() || data_.size() - at < bytes) {
      return std::nullopt;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value = value << 8 | Byte(data_, big_ ? at + i : at + bytes - 1 - i);
    }
    return value;
  }

 private:
  std::string_view data_;
  bool big_;
};

int OrientationInTiff(std::string_view data) {
  if (!data.starts_with("MM") && !data.starts_with("II")) {
    return 1;
  }
  const Tiff tiff(data);
  const std::optional<uint32_t> directory = tiff.Number(4, 4);
  const std::optional<uint32_t> entries = directory ? tiff.Number(*directory, 2) : std::nullopt;
  for (uint32_t i = 0; entries && i < *entries; ++i) {
    const size_t entry = size_t{*directory} + 2 + i * kEntryBytes;
    const std::optional<uint32_t> tag = tiff.Number(entry, 2);
    if (!tag) {
      return 1;
    }
    if (*tag == kOrientationTag && tiff.Number(entry + 2, 2) == kShortType) {
      const uint32_t value = tiff.Number(entry + 8, 2).value_or(1);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

}  // namespace

int ExifOrientation(std::string_view jpeg) {
  size_t at = 2;
  while (at + 4 <= jpeg.size() && Byte(jpeg, at) == 0xff) {
    const uint8_t marker = Byte(jpeg, at + 1);
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == kStartOfScan || marker == kEndOfImage) {
      break;
    }
    const size_t length = static_cast<size_t>(Byte(jpeg, at + 2)) << 8 | Byte(jpeg, at + 3);
    if (length < 2 || length > jpeg.size() - at - 2) {
      break;
    }
    const std::string_view payload = jpeg.substr(at + 4, length - 2);
    if (marker == kApp1 && payload.starts_with(kExif)) {
      return OrientationInTiff(payload.substr(kExif.size()));
    }
    at += 2 + length;
  }
  return 1;
}

int PngOrientation(std::string_view png) {
  size_t at = kPngSignatureBytes;
  while (at < png.size() && png.size() - at >= kChunkOverhead) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) {
      length = length << 8 | Byte(png, at + i);
    }
    if (length > png.size() - at - kChunkOverhead) {
      break;
    }
    std::string_view payload = png.substr(at + 8, length);
    if (png.substr(at + 4, 4) == "eXIf") {
      if (payload.starts_with(kExif)) {  // against the specification, but found in files
        payload.remove_prefix(kExif.size());
      }
      return OrientationInTiff(payload);
    }
    at += kChunkOverhead + length;
  }
  return 1;
}

Bitmap ApplyOrientation(Bitmap bitmap, int orientation) {
  if (orientation <= 1 || orientation > 8) {
    return bitmap;
  }
  const bool transposed = orientation >= 5;
  // Whether, in the stored image, columns run from right to left and rows from bottom to top.
  const bool mirror_x =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Bitmap out = Bitmap::Make(transposed ? bitmap.height : bitmap.width,
                            transposed ? bitmap.width : bitmap.height, bitmap.channels);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int from_x = transposed ? y : x;
      int from_y = transposed ? x : y;
      from_x = mirror_x ? bitmap.width - 1 - from_x : from_x;
      from_y = mirror_y ? bitmap.height - 1 - from_y : from_y;
      std::copy_n(bitmap.pixel(from_x, from_y), bitmap.channels, out.pixel(x, y));
    }
  }
  return out;
}

}  // namespace stylex
