// Writes kinds of PNG files that EncodePng cannot write.
#ifndef STYLEX_TESTS_IMAGE_PNG_WRITER_H_
#define STYLEX_TESTS_IMAGE_PNG_WRITER_H_

#include <png.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "image/codec.h"

namespace stylex {

struct PngFile {
  int width = 0;
  int height = 0;
  int bit_depth = 8;
  int color_type = PNG_COLOR_TYPE_RGB;
  bool interlaced = false;
  // One sample per entry, packed to bit_depth when written.
  std::vector<uint16_t> samples = {};
  std::vector<png_color> palette = {};
  std::vector<png_byte> palette_alpha = {};
  // For grey and RGB files: the transparent sample value.
  const png_color_16* transparent = nullptr;
  double gamma = 0;  // none
};

std::string WritePng(const PngFile& file);

// A chunk with its length and checksum.
std::string PngChunk(std::string_view type, std::string_view data);

// The texts of a file, as libpng reads them.
std::vector<PngText> ReadPngText(const std::string& bytes);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_PNG_WRITER_H_
