// Sizes that headers tell are those of the decoded images, and headers alone are enough.
#include "image/image_size.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "image/codec.h"
#include "image/gif.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/png_writer.h"
#include "tests/image/webp_writer.h"

namespace stylex {
namespace {

using Sides = std::pair<int64_t, int64_t>;

// (0, 0) where there is none.
Sides SidesOf(std::string_view bytes) {
  const std::optional<ImageSize> size = SizeOfImage(bytes);
  return size ? Sides(size->width, size->height) : Sides(0, 0);
}

std::vector<std::string> FilesOf(const Bitmap& bitmap) {
  JpegFile progressive = JpegOf(bitmap), arithmetic = JpegOf(bitmap), halved = JpegOf(bitmap);
  progressive.progressive = true;
  arithmetic.arithmetic = true;
  halved.subsampling = 2;
  halved.rows_per_restart = 1;
  return {EncodeJpeg(bitmap).value(), WriteJpeg(progressive),          WriteJpeg(arithmetic),
          WriteJpeg(halved),          EncodePng(bitmap).value(),       WriteWebp(bitmap, 80),
          WriteWebp(bitmap, 0),       WriteTranslucentWebp(bitmap, 80)};
}

TEST(ImageSizeTest, IsThatOfTheDecodedImage) {
  for (const auto& [width, height] : {std::pair(1, 1), {17, 5}, {300, 2}, {64, 257}}) {
    for (const std::string& file : FilesOf(SmoothBitmap(width, height, 3))) {
      EXPECT_EQ(SidesOf(file), Sides(width, height)) << file.substr(0, 16);
      const absl::StatusOr<Bitmap> decoded = DecodeImage(file);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(Sides(decoded->width, decoded->height), Sides(width, height));
    }
  }
}

TEST(ImageSizeTest, AKilobyteIsEnoughAndLessIsHarmless) {
  for (const std::string& file : FilesOf(SmoothBitmap(120, 90, 3))) {
    EXPECT_EQ(SidesOf(std::string_view(file).substr(0, 1024)), Sides(120, 90));
    for (size_t length = 0; length < 64; ++length) {
      const Sides sides = SidesOf(std::string_view(file).substr(0, length));
      EXPECT_TRUE(sides == Sides(0, 0) || sides == Sides(120, 90)) << length << ": " << sides.first;
    }
  }
}

// As stored: a photograph of a phone held upright is wide in the file.
TEST(ImageSizeTest, IsBeforeTheExifOrientation) {
  JpegFile file = JpegOf(SmoothBitmap(40, 20, 3));
  file.app1 = ExifWithOrientation(6, /*big_endian=*/true);
  const std::string bytes = WriteJpeg(file);
  EXPECT_EQ(SidesOf(bytes), Sides(40, 20));
  EXPECT_EQ(DecodeImage(bytes)->width, 20);
}

TEST(ImageSizeTest, IsFoundBehindALongBlockOfMetadata) {
  JpegFile file = JpegOf(SmoothBitmap(33, 44, 1));
  file.app1 = "Exif" + std::string(2, '\0') + std::string(60'000, '\xff');
  const std::string bytes = WriteJpeg(file);
  EXPECT_EQ(SidesOf(bytes), Sides(33, 44));
  EXPECT_EQ(SidesOf(std::string_view(bytes).substr(0, 50'000)), Sides(0, 0))
      << "the header is not there yet";
}

TEST(ImageSizeTest, FillBytesBeforeAMarkerAreSkipped) {
  std::string bytes = EncodeJpeg(SmoothBitmap(9, 8, 3)).value();
  bytes.insert(2, "\xff\xff\xff");
  EXPECT_EQ(SidesOf(bytes), Sides(9, 8));
}

TEST(ImageSizeTest, OtherFilesHaveNone) {
  const std::vector<Bitmap> frames = {SmoothBitmap(8, 8, 3)};
  EXPECT_EQ(SidesOf(EncodeGif(frames, 100).value()), Sides(0, 0));
  EXPECT_EQ(SidesOf("hello, this is text"), Sides(0, 0));
  EXPECT_EQ(SidesOf(""), Sides(0, 0));
}

TEST(ImageSizeTest, SidesOfZeroAreNone) {
  std::string png = EncodePng(SmoothBitmap(8, 8, 1)).value();
  png.replace(16, 4, std::string(4, '\0'));
  EXPECT_EQ(SidesOf(png), Sides(0, 0));
  std::string jpeg = WriteJpeg(JpegOf(SmoothBitmap(8, 8, 1)));
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 2, std::string(2, '\0'));  // height 0: told by a DNL marker later
  EXPECT_EQ(SidesOf(jpeg), Sides(0, 0));
}

// A segment of length 0 must not be an endless loop, nor one that leads beyond the file.
TEST(ImageSizeTest, BrokenSegmentsEnd) {
  const std::string start = "\xff\xd8";
  EXPECT_EQ(SidesOf(start + std::string("\xff\xe0\0\0", 4) + std::string(100, '\0')), Sides(0, 0));
  EXPECT_EQ(SidesOf(start + "\xff\xe0\xff\xff" + std::string(100, '\0')), Sides(0, 0));
  EXPECT_EQ(SidesOf(start + std::string(1000, '\xff')), Sides(0, 0));
}

}  // namespace
}  // namespace stylex
