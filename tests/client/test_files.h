// Functions that write and read test files.
#ifndef STYLEX_TESTS_CLIENT_TEST_FILES_H_
#define STYLEX_TESTS_CLIENT_TEST_FILES_H_

#include <string>
#include <vector>

#include "image/bitmap.h"
#include "tests/temporary_folder.h"

namespace stylex {

void WriteText(const std::string& path, const std::string& text);
// A square RGB PNG of one grey.
std::string WriteGreyPng(const std::string& path, int side, uint8_t grey);
std::string ReadAll(const std::string& path);
// Decodes a file; fails the test if that is impossible.
Bitmap ReadPicture(const std::string& path);
// The texts that libpng finds in a PNG file.
std::vector<std::string> PngTexts(const std::string& path);
// Logical screen size and number of frames of a GIF, parsed block by block.
struct GifFacts {
  int width = 0;
  int height = 0;
  int frames = 0;
};
GifFacts ReadGif(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_TEST_FILES_H_
