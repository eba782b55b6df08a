#include "image/codec.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/format_names.h"
#include "image/jpeg.h"
#include "image/png.h"
#include "image/webp.h"

namespace stylex {

ImageFormat DetectFormat(std::string_view data) {
  if (data.starts_with("\xff\xd8\xff")) {
    return ImageFormat::kJpeg;
  }
  if (data.starts_with("\x89PNG\r\n\x1a\n")) {
    return ImageFormat::kPng;
  }
  if (data.starts_with("GIF87a") || data.starts_with("GIF89a")) {
    return ImageFormat::kGif;
  }
  if (data.starts_with("RIFF") && data.substr(0, 12).ends_with("WEBP")) {
    return ImageFormat::kWebp;
  }
  return ImageFormat::kUnknown;
}

absl::Status CheckImageFormat(std::string_view data) {
  const ImageFormat format = DetectFormat(data);
  if (format == ImageFormat::kJpeg || format == ImageFormat::kPng || format == ImageFormat::kWebp) {
    return absl::OkStatus();
  }
  const std::string other = DescribeOtherFormat(data);
  return absl::InvalidArgumentError(
      !other.empty() ? other
                     : absl::StrCat("neither a JPEG nor a PNG nor a WebP file (", data.size(),
                                    " bytes, unknown first bytes)"));
}

absl::StatusOr<Bitmap> DecodeImage(std::string_view data, const DecodeLimits& limits) {
  if (data.empty()) {
    return absl::InvalidArgumentError(
        "the image is empty; expected a whole JPEG, PNG or WebP file");
  }
  switch (DetectFormat(data)) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(data, limits);
    case ImageFormat::kPng:
      return DecodePng(data, limits);
    case ImageFormat::kWebp:
      return DecodeWebp(data, limits);
    case ImageFormat::kGif:
    case ImageFormat::kUnknown:
      break;
  }
  return CheckImageFormat(data);
}

absl::Status WriteSyntheticPng(const Bitmap& bitmap, const std::string& path) {
  const PngText mark{"Comment", "Synthetic image: drawn by a generative model (StylEx)."};
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(bitmap, {&mark, 1}));
  return WriteFileAtomic(path, png);
}

}  // namespace stylex
