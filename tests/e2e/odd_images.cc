#include "tests/e2e/odd_images.h"

#include <gtest/gtest.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
// After stdio.h, which it needs.
#include <jpeglib.h>

#include <algorithm>
#include <vector>

#include "image/codec.h"

namespace stylex {
namespace {

void AppendBigEndian(uint32_t value, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

std::string PngChunk(const std::string& type, const std::string& data) {
  std::string chunk;
  AppendBigEndian(static_cast<uint32_t>(data.size()), &chunk);
  const std::string covered = type + data;
  chunk += covered;
  AppendBigEndian(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(covered.data()),
                                              static_cast<uInt>(covered.size()))),
                  &chunk);
  return chunk;
}

void AppendBytes(png_structp png, png_bytep data, png_size_t size) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<char*>(data), size);
}

}  // namespace

Bitmap DrawPicture(int width, int height, int channels, int brightness) {
  Bitmap bitmap = Bitmap::Make(width, height, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const int value = brightness + (x + y + 3 * c) % 32 - 16;
        bitmap.pixel(x, y)[c] = static_cast<uint8_t>(std::clamp(value, 0, 255));
      }
    }
  }
  return bitmap;
}

std::string PngPicture(int width, int height, int channels, int brightness) {
  return EncodePng(DrawPicture(width, height, channels, brightness)).value();
}

std::string JpegPicture(int width, int height, int channels, int brightness) {
  return EncodeJpeg(DrawPicture(width, height, channels, brightness)).value();
}

std::string CmykJpeg(int side, uint8_t brightness) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = static_cast<JDIMENSION>(side);
  jpeg.image_height = static_cast<JDIMENSION>(side);
  jpeg.input_components = 4;
  jpeg.in_color_space = JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  // Inverted, as in Adobe's files: 255 is no ink.
  std::vector<JSAMPLE> row(static_cast<size_t>(4 * side), 255);
  for (int x = 0; x < side; ++x) {
    row[static_cast<size_t>(4 * x + 3)] = brightness;
  }
  JSAMPROW rows[] = {row.data()};
  while (jpeg.next_scanline < jpeg.image_height) {
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(buffer), size);
  free(buffer);
  return file;
}

namespace {

std::string WriteOneColor(int side, uint8_t brightness, int depth, int color_type, int interlace) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  std::string file;
  png_set_write_fn(png, &file, AppendBytes, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(side), static_cast<png_uint_32>(side), depth,
               color_type, interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const int passes = png_set_interlace_handling(png);
  const size_t samples =
      static_cast<size_t>(side) * (color_type == PNG_COLOR_TYPE_RGB_ALPHA ? 4 : 3);
  std::vector<png_byte> row(samples * static_cast<size_t>(depth / 8), brightness);
  for (int y = 0; y < passes * side; ++y) {
    png_write_row(png, row.data());
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

}  // namespace

std::string RgbPng(int side, uint8_t brightness, int depth, bool alpha) {
  return WriteOneColor(side, brightness, depth,
                       alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE);
}

std::string InterlacedPng(int side, uint8_t brightness) {
  return WriteOneColor(side, brightness, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_ADAM7);
}

std::string PngBomb() {
  std::string header;
  AppendBigEndian(60'000, &header);
  AppendBigEndian(60'000, &header);
  header += std::string("\x08\x02\x00\x00\x00", 5);
  return "\x89PNG\r\n\x1a\n" + PngChunk("IHDR", header) + PngChunk("IDAT", "nothing") +
         PngChunk("IEND", "");
}

}  // namespace stylex
