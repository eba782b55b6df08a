// Runs pillow.py, the reference that decoding and resizing are compared with.
#ifndef STYLEX_TESTS_IMAGE_PILLOW_H_
#define STYLEX_TESTS_IMAGE_PILLOW_H_

#include <string>
#include <string_view>
#include <vector>

#include "image/bitmap.h"

namespace stylex {

// False where Debian's Python or Pillow is not installed: the test is to be skipped.
bool HavePillow();

bool RunPillow(const std::vector<std::string>& arguments);

// A fresh folder.
std::string MakeTemporaryFolder();

// How the two programs hand bitmaps over: width, height, channels (int32, little-endian), samples.
void AppendNumber(int number, std::string* out);
void AppendBitmap(const Bitmap& bitmap, std::string* out);
Bitmap TakeBitmap(std::string_view* data);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_PILLOW_H_
