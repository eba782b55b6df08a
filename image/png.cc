#include "image/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/decoding_memory.h"
#include "image/orientation.h"

namespace stylex {
namespace {

// libpng reports errors by longjmp. Objects with destructors are kept outside of the functions that
// call setjmp, and are accessed through these structures.
struct Reader {
  std::string_view data;
  size_t position = 0;
  std::string error;
  bool too_large = false;
  int64_t max_pixels = 0;
  Bitmap bitmap;
  std::vector<png_bytep> rows;
};

struct Writer {
  std::string data;
  std::string error;
};

template <typename T>
void OnError(png_structp png, png_const_charp message) {
  static_cast<T*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void ReadBytes(png_structp png, png_bytep out, size_t count) {
  Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
  if (reader.data.size() - reader.position < count) {
    png_error(png, "truncated");
  }
  std::memcpy(out, reader.data.data() + reader.position, count);
  reader.position += count;
}

void WriteBytes(png_structp png, png_bytep bytes, size_t count) {
  static_cast<Writer*>(png_get_io_ptr(png))
      ->data.append(reinterpret_cast<const char*>(bytes), count);
}

void FlushBytes(png_structp) {}

// Converts every kind of PNG to 8-bit grey or RGB: expands palettes, rounds 16 bits, composites
// alpha over white.
void SetTransforms(png_structp png, png_infop info) {
  const png_byte color = png_get_color_type(png, info);
  const bool has_transparency = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  png_set_scale_16(png);
  png_set_expand(png);
  if ((color & PNG_COLOR_MASK_ALPHA) != 0 || has_transparency) {
    png_color_16 white = {};
    white.red = white.green = white.blue = white.gray = 255;
    // Samples are composited after expansion to 8 bits.
    png_set_background(png, &white, PNG_BACKGROUND_GAMMA_SCREEN, /*need_expand=*/0, 1.0);
  }
  png_set_interlace_handling(png);
}

// Not inlined into Decode, where setjmp could clobber the local variables of strings and vectors.
[[gnu::noinline]] void RefuseSize(Reader* reader, int64_t width, int64_t height) {
  reader->too_large = true;
  reader->error = absl::StrCat(width, "x", height, " pixels");
}

[[gnu::noinline]] void RefuseWithoutMemory(Reader* reader) { reader->error = "out of memory"; }

[[gnu::noinline]] void MakeRows(Reader* reader, int64_t width, int64_t height, int channels) {
  reader->bitmap = Bitmap::Make(static_cast<int>(width), static_cast<int>(height), channels);
  for (int y = 0; y < reader->bitmap.height; ++y) {
    reader->rows.push_back(reader->bitmap.pixel(0, y));
  }
}

bool Decode(Reader* reader) {
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, OnError<Reader>, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    RefuseWithoutMemory(reader);
    return false;
  }
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, reader, ReadBytes);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Skips all chunks but pixels: compressed text and profiles can expand to gigabytes, and with
  // gamma transparent pixels would blend differently than in viewers.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours is below
  png_read_info(png, info);
  const int64_t width = png_get_image_width(png, info);
  const int64_t height = png_get_image_height(png, info);
  if (width > reader->max_pixels || height > reader->max_pixels / width) {
    png_destroy_read_struct(&png, &info, nullptr);
    RefuseSize(reader, width, height);
    return false;
  }
  SetTransforms(png, info);
  png_read_update_info(png, info);
  const int channels = png_get_channels(png, info);
  if ((channels != 1 && channels != 3) || png_get_bit_depth(png, info) != 8) {
    png_error(png, "unsupported sample layout");
  }
  MakeRows(reader, width, height, channels);
  png_read_image(png, reader->rows.data());
  png_read_end(png, nullptr);
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

bool Encode(const Bitmap& bitmap, std::vector<png_text>* text, Writer* writer) {
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, OnError<Writer>, OnWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_write_struct(&png, nullptr);
    writer->error = "out of memory";
    return false;
  }
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_write_struct(&png, &info);
    return false;
  }
  png_set_write_fn(png, writer, WriteBytes, FlushBytes);
  png_set_IHDR(png, info, static_cast<png_uint_32>(bitmap.width),
               static_cast<png_uint_32>(bitmap.height), 8,
               bitmap.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!text->empty()) {
    png_set_text(png, info, text->data(), static_cast<int>(text->size()));
  }
  png_write_info(png, info);
  for (int y = 0; y < bitmap.height; ++y) {
    png_write_row(png, const_cast<png_bytep>(bitmap.pixel(0, y)));
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return true;
}

// Checked here because libpng silently fixes keywords and truncates values.
absl::Status CheckText(const PngText& text) {
  const auto printable = [](char character) {
    const auto code = static_cast<unsigned char>(character);
    return (code >= 32 && code <= 126) || code >= 161;
  };
  const std::string& keyword = text.keyword;
  if (keyword.empty() || keyword.size() > 79 ||
      !std::all_of(keyword.begin(), keyword.end(), printable) || keyword.front() == ' ' ||
      keyword.back() == ' ' || keyword.find("  ") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        "PNG keyword \"", absl::CHexEscape(keyword),
        "\"; expected 1 to 79 printable Latin-1 characters, no space first, last or twice"));
  }
  if (text.value.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("the PNG text of \"", keyword, "\" has a zero byte; expected UTF-8 without"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Bitmap> DecodePng(std::string_view data, const DecodeLimits& limits) {
  Reader reader;
  reader.data = data;
  reader.max_pixels = limits.max_pixels;
  if (Decode(&reader)) {
    return ApplyOrientation(std::move(reader.bitmap), PngOrientation(data));
  }
  if (reader.too_large) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "PNG image of ", reader.error, "; the limit is ", limits.max_pixels, " pixels"));
  }
  return absl::InvalidArgumentError(absl::StrCat("broken PNG image: ", reader.error));
}

absl::StatusOr<ImageHeader> ReadPngHeader(std::string_view data, const DecodeLimits& limits) {
  // The signature, and IHDR: length, type, width, height, depth, colour type, ...
  constexpr size_t kWidth = 16, kHeight = 20, kColor = 25, kEnd = 33;
  if (data.size() < kEnd || data.substr(12, 4) != "IHDR") {
    return absl::InvalidArgumentError("broken PNG image: it does not begin with IHDR");
  }
  const auto* const bytes = reinterpret_cast<png_const_bytep>(data.data());
  const int64_t width = png_get_uint_32(bytes + kWidth);
  const int64_t height = png_get_uint_32(bytes + kHeight);
  if (width > 0 && height > limits.max_pixels / width) {
    return absl::ResourceExhaustedError(absl::StrCat("PNG image of ", width, "x", height,
                                                     " pixels; the limit is ", limits.max_pixels,
                                                     " pixels"));
  }
  return ImageHeader{.width = width,
                     .height = height,
                     .channels = (bytes[kColor] & PNG_COLOR_MASK_COLOR) == 0 ? 1 : 3,
                     // The pointers of the rows, and a row or two of up to 8 bytes a pixel.
                     .working = height * static_cast<int64_t>(sizeof(png_bytep)) + 3 * 8 * width};
}

absl::StatusOr<std::string> EncodePng(const Bitmap& bitmap, std::span<const PngText> text) {
  if (bitmap.channels != 1 && bitmap.channels != 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("a bitmap of ", bitmap.channels, " channels; PNG files are of 1 or 3"));
  }
  std::vector<png_text> chunks;
  for (const PngText& item : text) {
    STYLEX_RETURN_IF_ERROR(CheckText(item));
    png_text chunk = {};
    chunk.compression = PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(item.keyword.c_str());
    chunk.text = const_cast<char*>(item.value.c_str());
    chunk.itxt_length = item.value.size();
    chunks.push_back(chunk);
  }
  Writer writer;
  if (!Encode(bitmap, &chunks, &writer)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ", bitmap.width, "x", bitmap.height,
                     " bitmap cannot be written as PNG: ", writer.error));
  }
  return std::move(writer.data);
}

}  // namespace stylex
