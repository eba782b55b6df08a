#include "tests/trainer/data/drawn_dataset.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "image/codec.h"

namespace stylex {
namespace {

constexpr int kSide = 16;

}  // namespace

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void WritePng(const std::string& path, const Bitmap& bitmap) {
  WriteBytes(path, EncodePng(bitmap).value());
}

void WriteJpeg(const std::string& path, const Bitmap& bitmap) {
  WriteBytes(path, EncodeJpeg(bitmap, 100).value());
}

void WriteGzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr) << path;
  EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
}

std::string IdxBytes(const std::vector<uint32_t>& dimensions, const std::string& values) {
  std::string bytes = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const uint32_t size : dimensions) {
    for (const int shift : {24, 16, 8, 0}) {
      bytes += static_cast<char>(size >> shift & 255);
    }
  }
  return bytes + values;
}

void DrawTwoClasses(const std::string& root, int train_per_class, int val_per_class) {
  std::mt19937 random(1);
  for (const bool train : {true, false}) {
    for (const bool light : {false, true}) {
      for (int i = 0; i < (train ? train_per_class : val_per_class); ++i) {
        Bitmap bitmap = Bitmap::Make(kSide, kSide, 3);
        for (uint8_t& sample : bitmap.data) {
          sample = static_cast<uint8_t>((light ? 150 : 40) + random() % 64);
        }
        WritePng(
            absl::StrCat(root, train ? "/train/" : "/val/", light ? "light/" : "dark/", i, ".png"),
            bitmap);
      }
    }
  }
}

}  // namespace stylex
