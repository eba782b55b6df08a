#include "image/photograph.h"

#include <algorithm>

#include "base/status_macros.h"
#include "image/image_header.h"

namespace stylex {
namespace {

// Of a file in another format `channels` is 0; DecodeImage refuses it.
absl::StatusOr<ImageHeader> ReadHeader(std::string_view file, const DecodeLimits& limits) {
  switch (DetectFormat(file)) {
    case ImageFormat::kJpeg:
      return ReadJpegHeader(file, limits);
    case ImageFormat::kPng:
      return ReadPngHeader(file, limits);
    case ImageFormat::kWebp:
      return ReadWebpHeader(file, limits);
    default:
      return ImageHeader();
  }
}

DecodeLimits WithReduction(DecodeLimits limits, const Preparation& preparation) {
  // What is cut out may be a small part, of which no pixels are to spare.
  limits.least_side = preparation.crop > 0 ? 0 : kSparePixels * preparation.resolution;
  return limits;
}

// Of the pixels of a side that was decoded smaller the last one may be covered in part only; where
// the picture was mirrored, that is the first one.
double UncoveredBefore(int64_t pixels, int reduction, bool mirrored) {
  return mirrored ? static_cast<double>(Reduced(pixels, reduction)) -
                        static_cast<double>(pixels) / reduction
                  : 0;
}

// Where, in the upright bitmap, the part of the picture lies that PrepareImage would take of the
// whole.
PixelBox PartOf(const ImageHeader& header, bool stretch) {
  const int orientation = header.orientation;
  const bool turned = orientation >= 5;
  const bool mirrored_x =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool mirrored_y =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const int64_t width = turned ? header.height : header.width;
  const int64_t height = turned ? header.width : header.height;
  const int64_t side = std::min(width, height);
  const double unit = header.reduction;
  PixelBox part = {UncoveredBefore(width, header.reduction, mirrored_x),
                   UncoveredBefore(height, header.reduction, mirrored_y),
                   static_cast<double>(stretch ? width : side) / unit,
                   static_cast<double>(stretch ? height : side) / unit};
  if (!stretch) {
    part.left += static_cast<double>((width - side) / 2) / unit;
    part.top += static_cast<double>((height - side) / 2) / unit;
  }
  return part;
}

}  // namespace

absl::StatusOr<Bitmap> ReadPhotograph(std::string_view file, const Preparation& preparation,
                                      const DecodeLimits& given) {
  const DecodeLimits limits = WithReduction(given, preparation);
  const absl::StatusOr<ImageHeader> header = ReadHeader(file, limits);
  STYLEX_ASSIGN_OR_RETURN(const Bitmap bitmap, DecodeImage(file, limits));
  if (!header.ok() || header->reduction == 1) {
    return PrepareImage(bitmap, preparation);
  }
  return ResizeBicubic(ConvertChannels(bitmap, preparation.channels),
                       PartOf(*header, preparation.stretch), preparation.resolution,
                       preparation.resolution);
}

absl::StatusOr<int64_t> DecodingBytes(std::string_view file, const Preparation& preparation,
                                      const DecodeLimits& given) {
  constexpr int64_t kTables = 256 << 10;  // of a decoder, rows and filters
  const DecodeLimits limits = WithReduction(given, preparation);
  STYLEX_ASSIGN_OR_RETURN(const ImageHeader header, ReadHeader(file, limits));
  const int64_t width = Reduced(header.width, header.reduction);
  const int64_t height = Reduced(header.height, header.reduction);
  const int64_t pixels = width * height;
  const int64_t bitmap = pixels * header.channels;
  const int64_t decoding = bitmap + header.working + (header.orientation != 1 ? bitmap : 0);
  // PrepareImage's copies: the square, the other channels, the first of the two passes of resizing.
  const int64_t crop = CropOf(preparation, width, height);
  const int64_t side = crop > 0 ? crop : std::min(width, height);
  const bool whole = crop == 0 && preparation.stretch;
  const bool crops = !whole && (width != side || height != side);
  const int64_t kept = whole ? pixels : side * side;
  const int64_t copies =
      (crops ? kept * header.channels : 0) +
      (header.channels != preparation.channels ? kept * preparation.channels : 0);
  const int64_t rows = whole ? height : std::max(width, height);
  const int64_t pass = rows * preparation.resolution * preparation.channels;
  return kTables + std::max(decoding, bitmap + copies + pass);
}

}  // namespace stylex
