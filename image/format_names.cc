#include "image/format_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

using std::string_view_literals::operator""sv;

// The name of a format of images (or of documents) with a signature.
std::string_view NameOf(std::string_view data) {
  const std::string_view brand = data.size() >= 12 ? data.substr(8, 4) : "";
  if (data.size() >= 12 && data.substr(4, 4) == "ftyp") {  // ISO 14496-12
    if (brand == "avif" || brand == "avis") {
      return "AVIF";
    }
    if (brand.starts_with("hei") || brand.starts_with("hev") || brand == "mif1" ||
        brand == "msf1") {
      return "HEIC";
    }
    return "video or other media";
  }
  if (data.starts_with("II*\0"sv) || data.starts_with("MM\0*"sv)) {
    return "TIFF";
  }
  if (data.starts_with("GIF87a") || data.starts_with("GIF89a")) {
    return "GIF";
  }
  if (data.starts_with("\xff\x0a") || data.starts_with("\0\0\0\x0cJXL "sv)) {
    return "JPEG XL";
  }
  if (data.starts_with("\0\0\0\x0cjP  "sv) || data.starts_with("\xff\x4f\xff\x51")) {
    return "JPEG 2000";
  }
  if (data.starts_with("8BPS")) {
    return "Photoshop";
  }
  if (data.starts_with("%PDF-")) {
    return "PDF";
  }
  // Two letters are little: the file's size stands behind them, and zeros.
  if (data.starts_with("BM") && data.size() >= 14 && data.substr(6, 4) == "\0\0\0\0"sv) {
    return "BMP";
  }
  return "";
}

bool IsBase64(std::string_view data) {
  const std::string_view start = data.substr(0, 256);
  return start.size() >= 16 && std::all_of(start.begin(), start.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' ||
                  c == '-' || c == '_' || c == '=' || c == '\n' || c == '\r';
         });
}

}  // namespace

std::string DescribeOtherFormat(std::string_view data) {
  if (const std::string_view name = NameOf(data); !name.empty()) {
    return absl::StrCat(name == "AVIF" ? "an " : "a ", std::string(name),
                        " file; expected a JPEG, PNG or WebP file: convert it first");
  }
  if (data.starts_with("data:")) {
    return "a data URL; expected the bytes of a JPEG, PNG or WebP file: decode what follows its "
           "comma";
  }
  if (IsBase64(data)) {
    return "base64 text; expected the bytes of a JPEG, PNG or WebP file: decode it first";
  }
  std::string_view text = data.substr(0, 256);
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  if (text.starts_with('<')) {
    return text.find("<svg") != std::string_view::npos
               ? "an SVG drawing; expected a JPEG, PNG or WebP file: convert it first"
               : "a page of HTML or XML, perhaps an error message; expected a JPEG, PNG or WebP "
                 "file";
  }
  return "";
}

}  // namespace stylex
