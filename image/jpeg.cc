#include "image/jpeg.h"

#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "image/image_header.h"
#include "image/orientation.h"

namespace stylex {
namespace {

// libjpeg reports errors through a callback, which leaves it by longjmp. Objects with destructors
// are kept outside of the functions that call setjmp, in Reader and Writer.
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

// A warning means that the decoder continues with invented pixels, e.g. after a premature end, and
// is treated as an error. The exceptions do not affect pixels, and occur in files written by
// cameras.
void OnMessage(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR &&
      code != JWRN_ADOBE_XFORM) {
    OnError(info);
  }
}

void PrepareErrors(ErrorManager* error) {
  jpeg_std_error(&error->manager);
  error->manager.error_exit = OnError;
  error->manager.emit_message = OnMessage;
  error->message[0] = 0;
}

struct ScanLimit {
  jpeg_progress_mgr manager;
  int max_scans;
};

void OnProgress(j_common_ptr info) {
  const int scan = reinterpret_cast<j_decompress_ptr>(info)->input_scan_number;
  const ScanLimit* limit = reinterpret_cast<ScanLimit*>(info->progress);
  if (scan > limit->max_scans) {
    ErrorManager* error = reinterpret_cast<ErrorManager*>(info->err);
    std::snprintf(error->message, sizeof(error->message), "more than %d scans", limit->max_scans);
    std::longjmp(error->jump, 1);
  }
}

struct Reader {
  Reader(std::string_view bytes, const DecodeLimits& decode_limits)
      : data(bytes), limits(decode_limits) {}
  ~Reader() { jpeg_destroy_decompress(&info); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string_view data;
  const DecodeLimits& limits;
  jpeg_decompress_struct info = {};
  ErrorManager error = {};
  ScanLimit scan_limit = {};
  bool too_large = false;
  Bitmap bitmap;
  std::vector<uint8_t> cmyk_row;
};

// Samples are inverted, 0 is full ink: Adobe's convention, which Pillow and libvips, too, assume of
// files without an Adobe marker.
void CmykToRgb(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
    }
  }
}

void ReadRows(Reader* reader) {
  jpeg_decompress_struct* info = &reader->info;
  const bool cmyk = info->out_color_space == JCS_CMYK;
  while (info->output_scanline < info->output_height) {
    const int y = static_cast<int>(info->output_scanline);
    JSAMPROW row = cmyk ? reader->cmyk_row.data() : reader->bitmap.pixel(0, y);
    if (jpeg_read_scanlines(info, &row, 1) == 1 && cmyk) {
      CmykToRgb(row, reader->bitmap.width, reader->bitmap.pixel(0, y));
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
  jpeg_decompress_struct* info = &reader->info;
  PrepareErrors(&reader->error);
  info->err = &reader->error.manager;
  if (setjmp(reader->error.jump) != 0) {
    return false;
  }
  jpeg_create_decompress(info);
  reader->scan_limit.max_scans = reader->limits.max_jpeg_scans;
  reader->scan_limit.manager.progress_monitor = OnProgress;
  info->progress = &reader->scan_limit.manager;
  jpeg_mem_src(info, reinterpret_cast<const unsigned char*>(reader->data.data()),
               reader->data.size());
  jpeg_read_header(info, TRUE);
  if (static_cast<int64_t>(info->image_width) * info->image_height > reader->limits.max_pixels) {
    reader->too_large = true;
    return false;
  }
  ChooseColors(info);
  info->scale_denom =
      static_cast<unsigned>(ReductionOf(info->image_width, info->image_height, reader->limits));
  jpeg_start_decompress(info);
  const int channels = info->out_color_space == JCS_GRAYSCALE ? 1 : 3;
  reader->bitmap = Bitmap::Make(static_cast<int>(info->output_width),
                                static_cast<int>(info->output_height), channels);
  reader->cmyk_row.resize(size_t{4} * info->output_width);
  ReadRows(reader);
  jpeg_finish_decompress(info);
  return true;
}

// Collects what the encoder writes.
struct Destination {
  jpeg_destination_mgr manager;
  std::string data;
  JOCTET buffer[1 << 14];
};

void StartBuffer(j_compress_ptr info) {
  Destination* destination = reinterpret_cast<Destination*>(info->dest);
  destination->manager.next_output_byte = destination->buffer;
  destination->manager.free_in_buffer = sizeof(destination->buffer);
}

boolean FlushBuffer(j_compress_ptr info) {
  Destination* destination = reinterpret_cast<Destination*>(info->dest);
  destination->data.append(reinterpret_cast<const char*>(destination->buffer),
                           sizeof(destination->buffer));
  StartBuffer(info);
  return TRUE;
}

void FinishBuffer(j_compress_ptr info) {
  Destination* destination = reinterpret_cast<Destination*>(info->dest);
  destination->data.append(reinterpret_cast<const char*>(destination->buffer),
                           sizeof(destination->buffer) - destination->manager.free_in_buffer);
}

struct Writer {
  Writer() = default;
  ~Writer() { jpeg_destroy_compress(&info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  jpeg_compress_struct info = {};
  ErrorManager error = {};
  Destination destination = {};
};

bool Encode(const Bitmap& bitmap, int quality, JpegColors colors, Writer* writer) {
  jpeg_compress_struct* info = &writer->info;
  PrepareErrors(&writer->error);
  info->err = &writer->error.manager;
  if (setjmp(writer->error.jump) != 0) {
    return false;
  }
  jpeg_create_compress(info);
  writer->destination.manager.init_destination = StartBuffer;
  writer->destination.manager.empty_output_buffer = FlushBuffer;
  writer->destination.manager.term_destination = FinishBuffer;
  info->dest = &writer->destination.manager;
  info->image_width = static_cast<JDIMENSION>(bitmap.width);
  info->image_height = static_cast<JDIMENSION>(bitmap.height);
  info->input_components = bitmap.channels;
  info->in_color_space = bitmap.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(info);
  jpeg_set_quality(info, quality, TRUE);
  if (colors == JpegColors::kWhole) {  // libjpeg's default is 4:2:0
    info->comp_info[0].h_samp_factor = 1;
    info->comp_info[0].v_samp_factor = 1;
  }
  jpeg_start_compress(info, TRUE);
  while (info->next_scanline < info->image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(bitmap.pixel(0, static_cast<int>(info->next_scanline)));
    jpeg_write_scanlines(info, &row, 1);
  }
  jpeg_finish_compress(info);
  return true;
}

}  // namespace

namespace {

// Reads the header alone, up to the first scan.
bool ReadHeader(Reader* reader) {
  jpeg_decompress_struct* info = &reader->info;
  PrepareErrors(&reader->error);
  info->err = &reader->error.manager;
  if (setjmp(reader->error.jump) != 0) {
    return false;
  }
  jpeg_create_decompress(info);
  jpeg_mem_src(info, reinterpret_cast<const unsigned char*>(reader->data.data()),
               reader->data.size());
  jpeg_read_header(info, TRUE);
  reader->too_large =
      static_cast<int64_t>(info->image_width) * info->image_height > reader->limits.max_pixels;
  return !reader->too_large;
}

// Of a file that could not be read.
absl::Status ErrorOf(const Reader& reader) {
  const DecodeLimits& limits = reader.limits;
  // libjpeg itself refuses a side over JPEG_MAX_DIMENSION.
  if (reader.too_large || reader.error.manager.msg_code == JERR_IMAGE_TOO_BIG) {
    return absl::ResourceExhaustedError(
        absl::StrCat("JPEG image of ", reader.info.image_width, "x", reader.info.image_height,
                     " pixels; the limit is ", limits.max_pixels, " pixels, and ",
                     JPEG_MAX_DIMENSION, " for each side"));
  }
  if (reader.info.input_scan_number > limits.max_jpeg_scans) {
    return absl::ResourceExhaustedError(absl::StrCat("JPEG image of ", reader.error.message));
  }
  return absl::InvalidArgumentError(absl::StrCat("broken JPEG image: ", reader.error.message));
}

}  // namespace

absl::StatusOr<Bitmap> DecodeJpeg(std::string_view data, const DecodeLimits& limits) {
  Reader reader(data, limits);
  if (!Decode(&reader)) {
    return ErrorOf(reader);
  }
  return ApplyOrientation(std::move(reader.bitmap), ExifOrientation(data));
}

absl::StatusOr<ImageHeader> ReadJpegHeader(std::string_view data, const DecodeLimits& limits) {
  Reader reader(data, limits);
  if (!ReadHeader(&reader)) {
    return ErrorOf(reader);
  }
  const jpeg_decompress_struct& info = reader.info;
  ImageHeader header = {.width = info.image_width,
                        .height = info.image_height,
                        .reduction = ReductionOf(info.image_width, info.image_height, limits),
                        .channels = info.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3,
                        .orientation = ExifOrientation(data)};
  // The coefficients of several scans are collected, two bytes each, in blocks of 8x8.
  if (info.progressive_mode || info.comps_in_scan < info.num_components) {
    for (int i = 0; i < info.num_components; ++i) {
      const jpeg_component_info& component = info.comp_info[i];
      constexpr int64_t kBlock = DCTSIZE2 * sizeof(JCOEF);
      header.working += static_cast<int64_t>(component.width_in_blocks + component.h_samp_factor) *
                        (component.height_in_blocks + component.v_samp_factor) * kBlock;
    }
  }
  return header;
}

absl::StatusOr<std::string> EncodeJpeg(const Bitmap& bitmap, int quality, JpegColors colors) {
  if (quality < 1 || quality > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("JPEG quality ", quality, "; expected 1 to 100"));
  }
  Writer writer;
  if (!Encode(bitmap, quality, colors, &writer)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ", bitmap.width, "x", bitmap.height, "x", bitmap.channels,
                     " bitmap cannot be written as JPEG: ", writer.error.message));
  }
  return std::move(writer.destination.data);
}

}  // namespace stylex
