// Unusual image files as they occur in practice, and invalid ones.
#ifndef STYLEX_TESTS_E2E_ODD_IMAGES_H_
#define STYLEX_TESTS_E2E_ODD_IMAGES_H_

#include <cstdint>
#include <string>

#include "image/bitmap.h"

namespace stylex {

// A picture with a gradient around `brightness`, 0 to 255.
Bitmap DrawPicture(int width, int height, int channels, int brightness);
std::string PngPicture(int width, int height, int channels, int brightness);
std::string JpegPicture(int width, int height, int channels, int brightness);
// One colour, as CMYK.
std::string CmykJpeg(int side, uint8_t brightness);
// One colour; depth 8 or 16, with an alpha channel or without.
std::string RgbPng(int side, uint8_t brightness, int depth, bool alpha);
// The same of 8 bits, interlaced: such a file can only be decoded whole.
std::string InterlacedPng(int side, uint8_t brightness);
// A PNG file whose header claims 60,000 x 60,000 pixels.
std::string PngBomb();

}  // namespace stylex

#endif  // STYLEX_TESTS_E2E_ODD_IMAGES_H_
