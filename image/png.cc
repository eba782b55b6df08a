#include "image/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "image/image_header.h"
#include "image/orientation.h"

namespace stylex {
namespace {

// libpng reports errors by longjmp. Objects with destructors are kept outside of the functions that
// call setjmp, and are accessed through these structures, which also free libpng's: an exception,
// such as bad_alloc, passes through those functions too.
struct Reader {
  Reader(std::string_view bytes, const DecodeLimits& decode_limits)
      : data(bytes), limits(decode_limits) {}
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string_view data;
  const DecodeLimits& limits;
  png_structp png = nullptr;
  png_infop info = nullptr;
  size_t position = 0;
  char error[128] = "out of memory";
  bool too_large = false;
  Bitmap bitmap;
  std::vector<png_bytep> rows;
  // Of a picture that is decoded smaller: one row of the file, and sums of the samples that become
  // one.
  std::vector<uint8_t> row;
  std::vector<uint32_t> sums;
};

struct Writer {
  Writer() = default;
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string data;
  char error[128] = "out of memory";
};

template <typename T>
void OnError(png_structp png, png_const_charp message) {
  T* const owner = static_cast<T*>(png_get_error_ptr(png));
  std::snprintf(owner->error, sizeof(owner->error), "%s", message);
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

// Not inlined where setjmp is called, which could clobber the local variables of strings and
// vectors.
[[gnu::noinline]] void MakeRows(Reader* reader, int width, int height, int channels) {
  reader->bitmap = Bitmap::Make(width, height, channels);
  for (int y = 0; y < height; ++y) {
    reader->rows.push_back(reader->bitmap.pixel(0, y));
  }
}

[[gnu::noinline]] void MakeReducedRows(Reader* reader, int width, int height, int channels,
                                       int reduction) {
  const auto reduced_width = static_cast<int>(Reduced(width, reduction));
  reader->bitmap =
      Bitmap::Make(reduced_width, static_cast<int>(Reduced(height, reduction)), channels);
  reader->row.resize(static_cast<size_t>(width) * static_cast<size_t>(channels));
  reader->sums.resize(static_cast<size_t>(reduced_width) * static_cast<size_t>(channels));
}

// Adds the samples of reader->row to the sums of `reduction` pixels each.
void AddRow(Reader* reader, int width, int reduction) {
  const int channels = reader->bitmap.channels;
  const uint8_t* sample = reader->row.data();
  for (int x = 0; x < width; ++x) {
    uint32_t* const sums = &reader->sums[static_cast<size_t>(x / reduction * channels)];
    for (int c = 0; c < channels; ++c) {
      sums[c] += *sample++;
    }
  }
}

// Row `y` of the bitmap from the sums of `rows` rows.
void FinishRow(Reader* reader, int width, int reduction, int y, int rows) {
  const int channels = reader->bitmap.channels;
  for (int x = 0; x < reader->bitmap.width; ++x) {
    const auto count = static_cast<uint32_t>(rows * std::min(reduction, width - x * reduction));
    for (int c = 0; c < channels; ++c) {
      uint32_t& sum = reader->sums[static_cast<size_t>(x * channels + c)];
      reader->bitmap.pixel(x, y)[c] = static_cast<uint8_t>((sum + count / 2) / count);
      sum = 0;
    }
  }
}

// Reads the file's rows one by one; each pixel of the bitmap is the mean of a square of the file's.
void ReadReduced(Reader* reader, int width, int height, int reduction) {
  for (int y = 0; y < height; ++y) {
    png_read_row(reader->png, reader->row.data(), nullptr);
    AddRow(reader, width, reduction);
    if ((y + 1) % reduction == 0 || y + 1 == height) {
      FinishRow(reader, width, reduction, y / reduction, y % reduction + 1);
    }
  }
}

void ReadPixels(Reader* reader, int width, int height) {
  png_structp png = reader->png;
  const int channels = png_get_channels(png, reader->info);
  if ((channels != 1 && channels != 3) || png_get_bit_depth(png, reader->info) != 8) {
    png_error(png, "unsupported sample layout");
  }
  const bool interlaced = png_get_interlace_type(png, reader->info) != PNG_INTERLACE_NONE;
  const int reduction = interlaced ? 1 : ReductionOf(width, height, reader->limits);
  if (reduction > 1) {
    MakeReducedRows(reader, width, height, channels, reduction);
    ReadReduced(reader, width, height, reduction);
  } else {
    MakeRows(reader, width, height, channels);
    png_read_image(png, reader->rows.data());
  }
  png_read_end(png, nullptr);
}

bool Decode(Reader* reader) {
  reader->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, OnError<Reader>, OnWarning);
  reader->info = reader->png == nullptr ? nullptr : png_create_info_struct(reader->png);
  if (reader->info == nullptr) {
    return false;
  }
  png_structp png = reader->png;
  if (setjmp(png_jmpbuf(png)) != 0) {
    return false;
  }
  png_set_read_fn(png, reader, ReadBytes);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Skips all chunks but pixels: compressed text and profiles can expand to gigabytes, and with
  // gamma transparent pixels would blend differently than in viewers.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours is below
  png_read_info(png, reader->info);
  const int64_t width = png_get_image_width(png, reader->info);
  const int64_t height = png_get_image_height(png, reader->info);
  if (width > reader->limits.max_pixels || height > reader->limits.max_pixels / width) {
    reader->too_large = true;
    std::snprintf(reader->error, sizeof(reader->error), "%lldx%lld pixels",
                  static_cast<long long>(width), static_cast<long long>(height));
    return false;
  }
  SetTransforms(png, reader->info);
  png_read_update_info(png, reader->info);
  ReadPixels(reader, static_cast<int>(width), static_cast<int>(height));
  return true;
}

bool Encode(const Bitmap& bitmap, std::vector<png_text>* text, Writer* writer) {
  writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, OnError<Writer>, OnWarning);
  writer->info = writer->png == nullptr ? nullptr : png_create_info_struct(writer->png);
  if (writer->info == nullptr) {
    return false;
  }
  png_structp png = writer->png;
  png_infop info = writer->info;
  if (setjmp(png_jmpbuf(png)) != 0) {
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
  Reader reader(data, limits);
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
  constexpr size_t kWidth = 16, kHeight = 20, kColor = 25, kInterlace = 28, kEnd = 33;
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
  const int reduction = bytes[kInterlace] != 0 ? 1 : ReductionOf(width, height, limits);
  const int64_t channels = (bytes[kColor] & PNG_COLOR_MASK_COLOR) == 0 ? 1 : 3;
  // A row or two of up to 8 bytes a pixel; the pointers of the rows, or what is summed up.
  const int64_t rows = reduction > 1 ? channels * (width + int64_t{4} * Reduced(width, reduction))
                                     : height * static_cast<int64_t>(sizeof(png_bytep));
  return ImageHeader{.width = width,
                     .height = height,
                     .reduction = reduction,
                     .channels = static_cast<int>(channels),
                     .working = 3 * 8 * width + rows,
                     .orientation = PngOrientation(data)};
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
