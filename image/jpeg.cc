#include "image/jpeg.h"

#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>

#include <csetjmp>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

// libjpeg reports errors by calling back; we longjmp out. Everything that has a destructor lives
// outside of the functions that setjmp.
struct ErrorManager {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void OnError(j_common_ptr info) {
  ErrorManager* error = reinterpret_cast<ErrorManager*>(info->err);
  error->manager.format_message(info, error->message);
  std::longjmp(error->jump, 1);
}

// Warnings are data that the decoder had to invent, e.g. after a premature end: an error for us.
void OnMessage(j_common_ptr info, int level) {
  if (level < 0) {
    OnError(info);
  }
}

struct ScanLimit {
  jpeg_progress_mgr manager;
  int max_scans;
};

void OnProgress(j_common_ptr info) {
  if (!info->is_decompressor) {
    return;
  }
  const int scan = reinterpret_cast<j_decompress_ptr>(info)->input_scan_number;
  const ScanLimit* limit = reinterpret_cast<ScanLimit*>(info->progress);
  if (scan > limit->max_scans) {
    ErrorManager* error = reinterpret_cast<ErrorManager*>(info->err);
    std::snprintf(error->message, sizeof(error->message), "more than %d scans", limit->max_scans);
    std::longjmp(error->jump, 1);
  }
}

struct Reader {
  std::string_view data;
  DecodeLimits limits;
  std::string error;
  bool too_large = false;
  Bitmap bitmap;
  std::vector<uint8_t> cmyk_row;
};

// Adobe programs store CMYK inverted (0 is full ink), and JPEG files with CMYK are Adobe's.
void CmykToRgb(const uint8_t* cmyk, int width, bool inverted, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int key = inverted ? cmyk[3] : 255 - cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int ink = inverted ? cmyk[c] : 255 - cmyk[c];
      rgb[c] = static_cast<uint8_t>((ink * key + 127) / 255);
    }
  }
}

void ReadRows(jpeg_decompress_struct* info, Reader* reader) {
  const bool cmyk = info->out_color_space == JCS_CMYK;
  while (info->output_scanline < info->output_height) {
    const int y = static_cast<int>(info->output_scanline);
    JSAMPROW row = cmyk ? reader->cmyk_row.data() : reader->bitmap.pixel(0, y);
    if (jpeg_read_scanlines(info, &row, 1) == 1 && cmyk) {
      CmykToRgb(row, reader->bitmap.width, info->saw_Adobe_marker != 0,
                reader->bitmap.pixel(0, y));
    }
  }
}

void ChooseColors(jpeg_decompress_struct* info) {
  if (info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK) {
    info->out_color_space = JCS_CMYK;
  } else if (info->jpeg_color_space == JCS_GRAYSCALE) {
    info->out_color_space = JCS_GRAYSCALE;
  } else {
    info->out_color_space = JCS_RGB;
  }
}

bool Decode(Reader* reader) {
  jpeg_decompress_struct info;
  ErrorManager error;
  ScanLimit limit;
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = OnError;
  error.manager.emit_message = OnMessage;
  error.message[0] = 0;
  jpeg_create_decompress(&info);
  if (setjmp(error.jump) != 0) {
    jpeg_destroy_decompress(&info);
    reader->error = error.message;
    return false;
  }
  limit.max_scans = reader->limits.max_jpeg_scans;
  limit.manager.progress_monitor = OnProgress;
  info.progress = &limit.manager;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(reader->data.data()),
               reader->data.size());
  jpeg_read_header(&info, TRUE);
  if (static_cast<int64_t>(info.image_width) * info.image_height > reader->limits.max_pixels) {
    std::snprintf(error.message, sizeof(error.message), "%ux%u pixels", info.image_width,
                  info.image_height);
    reader->too_large = true;
    std::longjmp(error.jump, 1);
  }
  ChooseColors(&info);
  jpeg_start_decompress(&info);
  const int channels = info.out_color_space == JCS_GRAYSCALE ? 1 : 3;
  reader->bitmap = Bitmap::Make(static_cast<int>(info.output_width),
                                static_cast<int>(info.output_height), channels);
  reader->cmyk_row.resize(size_t{4} * info.output_width);
  ReadRows(&info, reader);
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

struct Writer {
  const Bitmap* bitmap;
  int quality;
  unsigned char* data = nullptr;
  unsigned long size = 0;
  std::string error;
};

bool Encode(Writer* writer) {
  jpeg_compress_struct info;
  ErrorManager error;
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = OnError;
  error.message[0] = 0;
  jpeg_create_compress(&info);
  if (setjmp(error.jump) != 0) {
    jpeg_destroy_compress(&info);
    writer->error = error.message;
    return false;
  }
  jpeg_mem_dest(&info, &writer->data, &writer->size);
  info.image_width = static_cast<JDIMENSION>(writer->bitmap->width);
  info.image_height = static_cast<JDIMENSION>(writer->bitmap->height);
  info.input_components = writer->bitmap->channels;
  info.in_color_space = writer->bitmap->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, writer->quality, TRUE);
  info.comp_info[0].h_samp_factor = 1;  // 4:4:4: small pictures have no pixels to spare
  info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row =
        const_cast<JSAMPROW>(writer->bitmap->pixel(0, static_cast<int>(info.next_scanline)));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return true;
}

}  // namespace

absl::StatusOr<Bitmap> DecodeJpeg(std::string_view data, const DecodeLimits& limits) {
  Reader reader;
  reader.data = data;
  reader.limits = limits;
  if (Decode(&reader)) {
    return ApplyOrientation(reader.bitmap, ExifOrientation(data));
  }
  if (reader.too_large) {
    return absl::ResourceExhaustedError(absl::StrCat("JPEG image of ", reader.error,
                                                     "; the limit is ", limits.max_pixels,
                                                     " pixels"));
  }
  return absl::InvalidArgumentError(absl::StrCat("broken JPEG image: ", reader.error));
}

absl::StatusOr<std::string> EncodeJpeg(const Bitmap& bitmap, int quality) {
  Writer writer{.bitmap = &bitmap, .quality = quality, .error = {}};
  const bool encoded = Encode(&writer);
  std::string bytes(reinterpret_cast<const char*>(writer.data), writer.size);
  std::free(writer.data);
  if (!encoded) {
    return absl::InvalidArgumentError(absl::StrCat("cannot be written as JPEG: ", writer.error));
  }
  return bytes;
}

}  // namespace stylex
