#include "tests/image/jpeg_writer.h"

#include <algorithm>
#include <cstdlib>

namespace stylex {

std::string WriteJpeg(const JpegFile& file) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = static_cast<JDIMENSION>(file.width);
  info.image_height = static_cast<JDIMENSION>(file.height);
  info.input_components = static_cast<int>(file.samples.size()) / (file.width * file.height);
  info.in_color_space = file.samples_space;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, file.file_space);
  jpeg_set_quality(&info, file.quality, TRUE);
  for (int i = 0; i < info.num_components; ++i) {
    info.comp_info[i].h_samp_factor = i == 0 || i == 3 ? file.subsampling : 1;
    info.comp_info[i].v_samp_factor = info.comp_info[i].h_samp_factor;
  }
  info.arith_code = file.arithmetic ? TRUE : FALSE;
  info.write_Adobe_marker = file.adobe_marker ? TRUE : FALSE;
  info.restart_in_rows = file.rows_per_restart;
  if (file.progressive) {
    jpeg_simple_progression(&info);
  }
  jpeg_start_compress(&info, TRUE);
  if (!file.app1.empty()) {
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(file.app1.data()),
                      static_cast<unsigned>(file.app1.size()));
  }
  while (info.next_scanline < info.image_height) {
    const size_t row_bytes = static_cast<size_t>(file.width) * info.input_components;
    JSAMPROW row = const_cast<JSAMPROW>(&file.samples[info.next_scanline * row_bytes]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  std::free(data);
  return bytes;
}

JpegFile JpegOf(const Bitmap& bitmap) {
  JpegFile file;
  file.width = bitmap.width;
  file.height = bitmap.height;
  file.samples_space = bitmap.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  file.file_space = bitmap.channels == 1 ? JCS_GRAYSCALE : JCS_YCbCr;
  file.samples = bitmap.data;
  return file;
}

std::string ExifWithOrientation(int orientation, bool big_endian) {
  std::string exif("Exif\0\0", 6);
  const auto number = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      exif.push_back(static_cast<char>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
    }
  };
  exif += big_endian ? "MM" : "II";
  number(42, 2);
  number(8, 4);                                                   // where the directory starts
  number(2, 2);                                                   // entries
  number(0x0100, 2), number(4, 2), number(1, 4), number(640, 4);  // the width
  number(0x0112, 2), number(3, 2), number(1, 4), number(static_cast<uint32_t>(orientation), 2);
  number(0, 2);
  number(0, 4);  // no further directory
  return exif;
}

Bitmap SmoothBitmap(int width, int height, int channels) {
  Bitmap bitmap = Bitmap::Make(width, height, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        bitmap.pixel(x, y)[c] =
            static_cast<uint8_t>(40 + 150 * x / width + 25 * c + 15 * y / height);
      }
    }
  }
  return bitmap;
}

int MaxDifference(const Bitmap& a, const Bitmap& b) {
  if (a.width != b.width || a.height != b.height || a.data.size() != b.data.size()) {
    return 256;
  }
  int difference = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    difference = std::max(difference, std::abs(a.data[i] - b.data[i]));
  }
  return difference;
}

}  // namespace stylex
