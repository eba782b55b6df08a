#include "image/orientation.h"

#include <gtest/gtest.h>

#include "image/codec.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/png_writer.h"

namespace stylex {
namespace {

constexpr int kWidth = 16;
constexpr int kHeight = 24;

// A different grey in each corner of the stored image, in blocks that JPEG keeps exactly.
enum Corner { kTopLeft = 16, kTopRight = 96, kBottomLeft = 160, kBottomRight = 240 };

Bitmap Corners() {
  Bitmap bitmap = Bitmap::Make(kWidth, kHeight, 1, 128);
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      bitmap.pixel(x, y)[0] = kTopLeft;
      bitmap.pixel(x + 8, y)[0] = kTopRight;
      bitmap.pixel(x, y + 16)[0] = kBottomLeft;
      bitmap.pixel(x + 8, y + 16)[0] = kBottomRight;
    }
  }
  return bitmap;
}

// EXIF 2.3, tag 274: where the stored row 0 and column 0 are in the upright image. From them
// follows which stored corner a person sees at each corner.
struct Upright {
  int orientation;
  bool swaps_sides;
  Corner top_left, top_right, bottom_left, bottom_right;
};

constexpr Upright kUpright[] = {
    {1, false, kTopLeft, kTopRight, kBottomLeft, kBottomRight},  // row 0 top, column 0 left
    {2, false, kTopRight, kTopLeft, kBottomRight, kBottomLeft},  // top, right
    {3, false, kBottomRight, kBottomLeft, kTopRight, kTopLeft},  // bottom, right
    {4, false, kBottomLeft, kBottomRight, kTopLeft, kTopRight},  // bottom, left
    {5, true, kTopLeft, kBottomLeft, kTopRight, kBottomRight},   // left, top
    {6, true, kBottomLeft, kTopLeft, kBottomRight, kTopRight},   // right, top
    {7, true, kBottomRight, kTopRight, kBottomLeft, kTopLeft},   // right, bottom
    {8, true, kTopRight, kBottomRight, kTopLeft, kBottomLeft},   // left, bottom
};

TEST(OrientationTest, EveryValueIsApplied) {
  for (const bool big_endian : {false, true}) {
    for (const Upright& upright : kUpright) {
      JpegFile file = JpegOf(Corners());
      file.app1 = ExifWithOrientation(upright.orientation, big_endian);
      const absl::StatusOr<Bitmap> bitmap = DecodeImage(WriteJpeg(file));
      ASSERT_TRUE(bitmap.ok()) << bitmap.status();
      SCOPED_TRACE(upright.orientation);
      const int width = upright.swaps_sides ? kHeight : kWidth;
      const int height = upright.swaps_sides ? kWidth : kHeight;
      ASSERT_EQ(bitmap->width, width);
      ASSERT_EQ(bitmap->height, height);
      EXPECT_NEAR(*bitmap->pixel(0, 0), upright.top_left, 1);
      EXPECT_NEAR(*bitmap->pixel(width - 1, 0), upright.top_right, 1);
      EXPECT_NEAR(*bitmap->pixel(0, height - 1), upright.bottom_left, 1);
      EXPECT_NEAR(*bitmap->pixel(width - 1, height - 1), upright.bottom_right, 1);
    }
  }
}

// The EXIF block of a PNG file is that of a JPEG file without its prefix.
std::string PngWithExif(std::string_view exif) {
  const std::string png = EncodePng(Corners()).value();
  constexpr size_t kAfterHeader = 8 + 12 + 13;
  return png.substr(0, kAfterHeader) + PngChunk("eXIf", exif) + png.substr(kAfterHeader);
}

TEST(OrientationTest, PngsAreTurnedToo) {
  for (const bool big_endian : {false, true}) {
    for (const Upright& upright : kUpright) {
      const std::string exif = ExifWithOrientation(upright.orientation, big_endian);
      SCOPED_TRACE(upright.orientation);
      for (const std::string& block : {exif.substr(6), exif}) {
        const absl::StatusOr<Bitmap> bitmap = DecodeImage(PngWithExif(block));
        ASSERT_TRUE(bitmap.ok()) << bitmap.status();
        ASSERT_EQ(bitmap->width, upright.swaps_sides ? kHeight : kWidth);
        EXPECT_EQ(*bitmap->pixel(0, 0), upright.top_left);
        EXPECT_EQ(*bitmap->pixel(bitmap->width - 1, 0), upright.top_right);
        EXPECT_EQ(*bitmap->pixel(0, bitmap->height - 1), upright.bottom_left);
      }
    }
  }
}

TEST(OrientationTest, EveryCutOfAPngIsHarmless) {
  const std::string png = PngWithExif(ExifWithOrientation(6, true).substr(6));
  ASSERT_EQ(PngOrientation(png), 6);
  for (size_t size = 0; size < png.size(); ++size) {
    const int orientation = PngOrientation(png.substr(0, size));
    EXPECT_TRUE(orientation == 1 || orientation == 6) << size;
  }
  EXPECT_EQ(PngOrientation(EncodePng(Corners()).value()), 1);
  EXPECT_EQ(PngOrientation(PngWithExif("")), 1);
}

TEST(OrientationTest, EveryPixelAndChannelMoves) {
  Bitmap bitmap = Bitmap::Make(3, 2, 3);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(i);
  }
  const Bitmap turned = ApplyOrientation(bitmap, 6);  // a quarter turn clockwise
  const Bitmap expected = {2, 3, 3, {9, 10, 11, 0, 1, 2, 12, 13, 14, 3, 4, 5, 15, 16, 17, 6, 7, 8}};
  EXPECT_EQ(turned, expected);
  EXPECT_EQ(ApplyOrientation(turned, 8), bitmap);
}

std::string JpegWithApp1(const std::string& payload) {
  std::string bytes = "\xff\xd8\xff\xe1";
  const size_t length = payload.size() + 2;
  bytes.push_back(static_cast<char>(length >> 8));
  bytes.push_back(static_cast<char>(length));
  return bytes + payload + "\xff\xd9";
}

TEST(OrientationTest, OtherValuesMeanUpright) {
  for (const int orientation : {0, 9, 255, 65535}) {
    EXPECT_EQ(ExifOrientation(JpegWithApp1(ExifWithOrientation(orientation, true))), 1);
  }
  const Bitmap bitmap = Corners();
  EXPECT_EQ(ApplyOrientation(bitmap, 0), bitmap);
  EXPECT_EQ(ApplyOrientation(bitmap, 9), bitmap);
}

TEST(OrientationTest, EveryCutOfTheBlockIsHarmless) {
  for (const bool big_endian : {false, true}) {
    const std::string exif = ExifWithOrientation(6, big_endian);
    ASSERT_EQ(ExifOrientation(JpegWithApp1(exif)), 6);
    for (size_t size = 0; size < exif.size(); ++size) {
      const int orientation = ExifOrientation(JpegWithApp1(exif.substr(0, size)));
      EXPECT_TRUE(orientation == 1 || orientation == 6) << size;
    }
    const std::string jpeg = JpegWithApp1(exif);
    for (size_t size = 0; size < 20; ++size) {
      EXPECT_EQ(ExifOrientation(jpeg.substr(0, size)), 1) << size;
    }
  }
}

TEST(OrientationTest, OffsetsOutsideTheBlockMeanUpright) {
  std::string exif = ExifWithOrientation(6, true);
  for (const char* offset :
       {"\xff\xff\xff\xff", "\xff\xff\xff\xfe", "\x00\x00\x00\x30", "\x7f\xff\xff\xff"}) {
    exif.replace(10, 4, offset, 4);
    EXPECT_EQ(ExifOrientation(JpegWithApp1(exif)), 1);
  }
}

TEST(OrientationTest, EntryCountPastTheEndMeansUpright) {
  std::string exif = ExifWithOrientation(6, true);
  exif.replace(14, 2, "\xff\xff", 2);
  exif.replace(28, 2, "\x01\x13", 2);  // another tag in the place of the orientation
  EXPECT_EQ(ExifOrientation(JpegWithApp1(exif)), 1);
}

TEST(OrientationTest, WrongTypeMeansUpright) {
  std::string exif = ExifWithOrientation(6, true);
  exif.replace(30, 2, "\x00\x02", 2);  // text
  EXPECT_EQ(ExifOrientation(JpegWithApp1(exif)), 1);
}

TEST(OrientationTest, OtherMarkersComeBefore) {
  const std::string exif = ExifWithOrientation(3, false);
  const std::string comment(
      "\xff\xfe\x00\x05"
      "abc",
      7);
  const std::string xmp = JpegWithApp1("http://ns.adobe.com/xap/1.0/").substr(2);
  const std::string bytes =
      "\xff\xd8" + comment + "\xff" + xmp.substr(0, xmp.size() - 2) + JpegWithApp1(exif).substr(2);
  EXPECT_EQ(ExifOrientation(bytes), 3);
}

}  // namespace
}  // namespace stylex
