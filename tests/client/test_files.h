// Files that the tests draw and read.
#ifndef STYLEX_TESTS_CLIENT_TEST_FILES_H_
#define STYLEX_TESTS_CLIENT_TEST_FILES_H_

#include <string>
#include <vector>

#include "image/bitmap.h"

namespace stylex {

// A folder of its own that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

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
