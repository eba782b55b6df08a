// Files that the tests draw and read.
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
// The file decoded; fails the test if it does not decode.
Bitmap ReadPicture(const std::string& path);
// The texts that libpng finds in a PNG file.
std::vector<std::string> PngTexts(const std::string& path);
// Logical size of a GIF's screen and the number of its frames, walked block by block.
struct GifFacts {
  int width = 0;
  int height = 0;
  int frames = 0;
};
GifFacts ReadGif(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TESTS_CLIENT_TEST_FILES_H_
