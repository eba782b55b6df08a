#include "tests/client/test_files.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "image/codec.h"

namespace stylex {

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string WriteGreyPng(const std::string& path, int side, uint8_t grey) {
  const auto png = EncodePng(Bitmap::Make(side, side, 3, grey));
  EXPECT_TRUE(png.ok()) << png.status();
  WriteText(path, png.value_or(""));
  return path;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Bitmap ReadPicture(const std::string& path) {
  const auto bitmap = DecodeImage(ReadAll(path));
  EXPECT_TRUE(bitmap.ok()) << path << ": " << bitmap.status();
  return bitmap.value_or(Bitmap());
}

std::vector<std::string> PngTexts(const std::string& path) {
  std::vector<std::string> texts;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    ADD_FAILURE() << path;
    return texts;
  }
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_read_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_textp text = nullptr;
  const int count = static_cast<int>(png_get_text(png, info, &text, nullptr));
  for (int i = 0; i < count; ++i) {
    texts.emplace_back(text[i].text);
  }
  png_destroy_read_struct(&png, &info, nullptr);
  std::fclose(file);
  return texts;
}

GifFacts ReadGif(const std::string& path) {
  const std::string gif = ReadAll(path);
  GifFacts facts;
  if (gif.size() < 14 || DetectFormat(gif) != ImageFormat::kGif || gif.back() != ';') {
    ADD_FAILURE() << path << ": no whole GIF";
    return facts;
  }
  const auto byte = [&](size_t at) { return at < gif.size() ? static_cast<uint8_t>(gif[at]) : 0; };
  const auto palette_bytes = [](int packed) -> size_t {
    return (packed & 0x80) == 0 ? 0 : 3u << ((packed & 7) + 1);
  };
  facts.width = byte(6) | byte(7) << 8;
  facts.height = byte(8) | byte(9) << 8;
  size_t at = 13 + palette_bytes(byte(10));
  while (at < gif.size() && gif[at] != ';') {
    if (gif[at] == ',') {
      ++facts.frames;
      at += 10 + palette_bytes(byte(at + 9)) + 1;
    } else {
      EXPECT_EQ(gif[at], '!') << path << ": unknown block at " << at;
      at += 2;
    }
    while (byte(at) != 0) {
      at += 1u + static_cast<size_t>(byte(at));
    }
    ++at;
  }
  return facts;
}

}  // namespace stylex
