#include "tests/image/png_writer.h"

#include <zlib.h>

#include <cstring>

namespace stylex {
namespace {

// libpng aborts on errors by default, which is right here: an error means that the test is wrong.
void Append(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(bytes), count);
}

void Take(png_structp png, png_bytep out, size_t count) {
  std::string_view& rest = *static_cast<std::string_view*>(png_get_io_ptr(png));
  if (count > rest.size()) {
    png_error(png, "truncated");
  }
  std::memcpy(out, rest.data(), count);
  rest.remove_prefix(count);
}

std::vector<png_byte> PackRow(const PngFile& file, int y, int channels) {
  const size_t samples = static_cast<size_t>(file.width) * channels;
  std::vector<png_byte> row((samples * file.bit_depth + 7) / 8);
  for (size_t i = 0; i < samples; ++i) {
    const unsigned value = file.samples[y * samples + i];
    if (file.bit_depth == 16) {
      row[2 * i] = static_cast<png_byte>(value >> 8);
      row[2 * i + 1] = static_cast<png_byte>(value);
    } else {
      const size_t bit = i * file.bit_depth;
      row[bit / 8] |= static_cast<png_byte>(value << (8 - file.bit_depth - bit % 8));
    }
  }
  return row;
}

void PutInfo(png_structp png, png_infop info, const PngFile& file) {
  png_set_IHDR(png, info, static_cast<png_uint_32>(file.width),
               static_cast<png_uint_32>(file.height), file.bit_depth, file.color_type,
               file.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!file.palette.empty()) {
    png_set_PLTE(png, info, file.palette.data(), static_cast<int>(file.palette.size()));
  }
  if (!file.palette_alpha.empty()) {
    png_set_tRNS(png, info, file.palette_alpha.data(), static_cast<int>(file.palette_alpha.size()),
                 nullptr);
  }
  if (file.transparent != nullptr) {
    png_set_tRNS(png, info, nullptr, 0, file.transparent);
  }
  if (file.gamma > 0) {
    png_set_gAMA(png, info, file.gamma);
  }
}

}  // namespace

std::string WritePng(const PngFile& file) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string bytes;
  png_set_write_fn(png, &bytes, Append, nullptr);
  PutInfo(png, info, file);
  png_write_info(png, info);
  const int channels = png_get_channels(png, info);
  std::vector<std::vector<png_byte>> rows;
  std::vector<png_bytep> pointers;
  for (int y = 0; y < file.height; ++y) {
    rows.push_back(PackRow(file, y, channels));
    pointers.push_back(rows.back().data());
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::string PngChunk(std::string_view type, std::string_view data) {
  const auto big_endian = [](uLong value) {
    std::string bytes;
    for (const int shift : {24, 16, 8, 0}) {
      bytes.push_back(static_cast<char>(value >> shift));
    }
    return bytes;
  };
  const std::string body = std::string(type) + std::string(data);
  const uLong checksum =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(data.size()) + body + big_endian(checksum);
}

std::vector<PngText> ReadPngText(const std::string& bytes) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string_view rest = bytes;
  png_set_read_fn(png, &rest, Take);
  png_read_info(png, info);
  png_textp texts = nullptr;
  const int count = png_get_text(png, info, &texts, nullptr);
  std::vector<PngText> out;
  for (int i = 0; i < count; ++i) {
    out.push_back({texts[i].key, texts[i].text});
  }
  png_destroy_read_struct(&png, &info, nullptr);
  return out;
}

}  // namespace stylex
