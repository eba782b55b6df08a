// Writes kinds of JPEG files that EncodeJpeg cannot write.
#ifndef STYLEX_TESTS_IMAGE_JPEG_WRITER_H_
#define STYLEX_TESTS_IMAGE_JPEG_WRITER_H_

#include <cstdint>
#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>

#include <string>
#include <string_view>
#include <vector>

#include "image/bitmap.h"

namespace stylex {

struct JpegFile {
  int width = 0;
  int height = 0;
  J_COLOR_SPACE samples_space = JCS_RGB;
  J_COLOR_SPACE file_space = JCS_YCbCr;
  std::vector<uint8_t> samples;  // interleaved
  int quality = 100;
  int subsampling = 1;  // of chroma, in both directions
  bool progressive = false;
  bool arithmetic = false;
  bool adobe_marker = false;
  int rows_per_restart = 0;
  std::string app1;  // payload of an APP1 marker, where not empty
};

std::string WriteJpeg(const JpegFile& file);

// `bitmap` as a plain grey or YCbCr file.
JpegFile JpegOf(const Bitmap& bitmap);

// The payload of an APP1 marker that gives the orientation.
std::string ExifWithOrientation(int orientation, bool big_endian);

// A bitmap that lossy compression hardly changes.
Bitmap SmoothBitmap(int width, int height, int channels);

// The greatest difference between corresponding samples; 256 if the shapes differ.
int MaxDifference(const Bitmap& a, const Bitmap& b);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_JPEG_WRITER_H_
