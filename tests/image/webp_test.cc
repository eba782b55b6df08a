// WebP files of libwebp's own encoder, and RIFF containers built chunk by chunk around them.
#include "image/webp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "image/codec.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/webp_writer.h"

namespace stylex {
namespace {

using testing::HasSubstr;

std::string LittleEndian(uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) {
    result += static_cast<char>(value >> (8 * i) & 255);
  }
  return result;
}

std::string RiffChunk(const std::string& type, const std::string& payload) {
  return type + LittleEndian(payload.size(), 4) + payload +
         (payload.size() % 2 == 1 ? std::string(1, '\0') : "");
}

// The extended format: a VP8X chunk with `flags`, the image's own chunk, then `more`.
std::string Extended(const std::string& simple, int width, int height, int flags,
                     const std::string& more) {
  const std::string canvas = LittleEndian(static_cast<uint64_t>(flags), 4) +
                             LittleEndian(static_cast<uint64_t>(width - 1), 3) +
                             LittleEndian(static_cast<uint64_t>(height - 1), 3);
  const std::string chunks = "WEBP" + RiffChunk("VP8X", canvas) + simple.substr(12) + more;
  return "RIFF" + LittleEndian(chunks.size(), 4) + chunks;
}

constexpr int kExifFlag = 0x08, kAnimationFlag = 0x02;

// The TIFF block of an EXIF payload; JPEG files hold "Exif\0\0" before it.
std::string TiffWithOrientation(int orientation) {
  return ExifWithOrientation(orientation, /*big_endian=*/false).substr(6);
}

TEST(WebpTest, LosslessFilesKeepEveryPixel) {
  Bitmap bitmap = Bitmap::Make(13, 7, 3);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(i * 37);
  }
  const absl::StatusOr<Bitmap> decoded = DecodeWebp(WriteWebp(bitmap, 0), {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, bitmap);
}

TEST(WebpTest, LossyFilesAreNearTheirOriginal) {
  const Bitmap bitmap = SmoothBitmap(40, 30, 3);
  const absl::StatusOr<Bitmap> decoded = DecodeWebp(WriteWebp(bitmap, 95), {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_LE(MaxDifference(*decoded, bitmap), 16);
}

// The writer's alpha of a pixel is x + y.
TEST(WebpTest, AlphaIsCompositedOverWhite) {
  const Bitmap bitmap = Bitmap::Make(100, 60, 3, 40);
  const absl::StatusOr<Bitmap> decoded = DecodeWebp(WriteTranslucentWebp(bitmap, 0), {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_EQ(decoded->channels, 3);
  for (int y = 0; y < 60; ++y) {
    for (int x = 0; x < 100; ++x) {
      const double alpha = (x + y) / 255.0;
      // Libwebp does not keep the colour of pixels that nobody can see.
      const double expected = x + y == 0 ? 255 : 40 * alpha + 255 * (1 - alpha);
      EXPECT_NEAR(decoded->pixel(x, y)[1], expected, 1) << x << " " << y;
    }
  }
}

TEST(WebpTest, GreyPicturesAreRgb) {
  const absl::StatusOr<Bitmap> decoded = DecodeWebp(WriteWebp(Bitmap::Make(4, 4, 3, 99), 0), {});
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, Bitmap::Make(4, 4, 3, 99));
}

class WebpOrientationTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(WithJpegsPrefix, WebpOrientationTest, testing::Bool());

// The standard's payload is the TIFF block itself; some writers put JPEG's "Exif\0\0" before it.
TEST_P(WebpOrientationTest, ExifTurnsThePicture) {
  Bitmap bitmap = Bitmap::Make(3, 2, 3);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(10 * i);
  }
  const std::string simple = WriteWebp(bitmap, 0);
  const auto decoded = [&](int orientation) {
    const std::string exif =
        GetParam() ? ExifWithOrientation(orientation, false) : TiffWithOrientation(orientation);
    return DecodeWebp(Extended(simple, 3, 2, kExifFlag, RiffChunk("EXIF", exif)), {}).value();
  };
  EXPECT_EQ(decoded(1), bitmap);
  const Bitmap upside_down = decoded(3);
  for (int y = 0; y < 2; ++y) {
    for (int x = 0; x < 3; ++x) {
      EXPECT_EQ(upside_down.pixel(x, y)[0], bitmap.pixel(2 - x, 1 - y)[0]);
    }
  }
  const Bitmap turned = decoded(6);  // stored row 0 is on the right
  ASSERT_EQ(std::pair(turned.width, turned.height), std::pair(2, 3));
  for (int y = 0; y < 3; ++y) {
    EXPECT_EQ(turned.pixel(1, y)[0], bitmap.pixel(y, 0)[0]);
  }
}

TEST(WebpTest, TheExifChunkIsFoundBehindOthersOfOddLength) {
  const Bitmap bitmap = SmoothBitmap(4, 2, 3);
  const std::string more =
      RiffChunk("XMP ", "odd") + RiffChunk("ABCD", "") + RiffChunk("EXIF", TiffWithOrientation(6));
  const absl::StatusOr<Bitmap> decoded =
      DecodeWebp(Extended(WriteWebp(bitmap, 0), 4, 2, kExifFlag, more), {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->width, 2);
}

TEST(WebpTest, AnExifChunkThatIsCutOffMeansUpright) {
  const Bitmap bitmap = SmoothBitmap(4, 2, 3);
  std::string chunk = RiffChunk("EXIF", TiffWithOrientation(6));
  chunk[4] = static_cast<char>(0xff);  // longer than the file
  const std::string file = Extended(WriteWebp(bitmap, 0), 4, 2, kExifFlag, chunk);
  const absl::StatusOr<Bitmap> decoded = DecodeWebp(file, {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, bitmap);
}

TEST(WebpTest, AnimationsAreRefused) {
  const std::string file = Extended(WriteWebp(SmoothBitmap(4, 4, 3), 0), 4, 4, kAnimationFlag,
                                    RiffChunk("ANIM", std::string(6, '\0')));
  const absl::Status status = DecodeWebp(file, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("animated"));
}

TEST(WebpTest, TheLimitCountsPixels) {
  const std::string file = WriteWebp(SmoothBitmap(20, 10, 3), 80);
  EXPECT_TRUE(DecodeWebp(file, {.max_pixels = 200}).ok());
  const absl::Status status = DecodeWebp(file, {.max_pixels = 199}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("20x10"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("199"));
}

TEST(WebpTest, FaultsAreSaid) {
  const std::string file = WriteWebp(SmoothBitmap(20, 10, 3), 80);
  const absl::Status cut =
      DecodeWebp(std::string_view(file).substr(0, file.size() / 2), {}).status();
  EXPECT_EQ(cut.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cut.message()), HasSubstr("truncated"));
  for (const char* other : {"", "RIFF", "RIFF\x10\0\0\0WEBPVP8 and nothing", "hello"}) {
    EXPECT_EQ(DecodeWebp(other, {}).status().code(), absl::StatusCode::kInvalidArgument) << other;
  }
}

}  // namespace
}  // namespace stylex
