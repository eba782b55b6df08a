// Runs pillow.py, the reference that decoding and resizing are compared with.
#ifndef STYLEX_TESTS_IMAGE_PILLOW_H_
#define STYLEX_TESTS_IMAGE_PILLOW_H_

#include <string>
#include <string_view>
#include <vector>

#include "image/bitmap.h"

namespace stylex {

// False if Debian's Python or Pillow is not installed; the test should then be skipped.
bool HavePillow();

bool RunPillow(const std::vector<std::string>& arguments);

// A fresh folder.
std::string MakeTemporaryFolder();

// The bitmaps with which one of pillow.py's modes answers `requests`.
std::vector<Bitmap> AskPillow(const std::string& mode, const std::string& requests);

// The format in which the two programs exchange bitmaps: width, height, channels (int32,
// little-endian), samples.
void AppendNumber(int number, std::string* out);
void AppendBitmap(const Bitmap& bitmap, std::string* out);
Bitmap TakeBitmap(std::string_view* data);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_PILLOW_H_
