#include "image/jpeg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/image/decoded.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/peak_memory.h"
#include "tests/image/pillow.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

// Offset of height and width, two bytes each, in the frame header.
size_t FrameSizeAt(const std::string& jpeg) {
  const size_t marker = jpeg.find("\xff\xc0");
  return marker + 5;
}

struct Variety {
  const char* name;
  int channels;
  int tolerance;
  void (*change)(JpegFile*);
};

class JpegVarietyTest : public testing::TestWithParam<Variety> {};

TEST_P(JpegVarietyTest, IsDecoded) {
  const Variety& variety = GetParam();
  for (const auto& [width, height] : {std::pair{37, 23}, {1, 1}, {16, 16}, {8, 1}, {1, 17}}) {
    const Bitmap original = SmoothBitmap(width, height, variety.channels);
    JpegFile file = JpegOf(original);
    variety.change(&file);
    const Bitmap decoded = DecodedOrEmpty(WriteJpeg(file));
    EXPECT_EQ(decoded.channels, variety.channels);
    EXPECT_LE(MaxDifference(decoded, original), variety.tolerance) << width << "x" << height;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, JpegVarietyTest,
    testing::Values(Variety{"Grey", 1, 2, [](JpegFile*) {}},
                    Variety{"Color", 3, 4, [](JpegFile*) {}},
                    Variety{"Subsampled", 3, 10, [](JpegFile* file) { file->subsampling = 2; }},
                    Variety{"Rgb", 3, 3,
                            [](JpegFile* file) {
                              file->file_space = JCS_RGB;
                              file->adobe_marker = true;
                            }},
                    Variety{"Progressive", 3, 4, [](JpegFile* file) { file->progressive = true; }},
                    Variety{"GreyProgressive", 1, 2,
                            [](JpegFile* file) { file->progressive = true; }},
                    Variety{"Arithmetic", 3, 4, [](JpegFile* file) { file->arithmetic = true; }},
                    Variety{"Restarts", 3, 4, [](JpegFile* file) { file->rows_per_restart = 1; }}),
    [](const auto& test) { return test.param.name; });

struct Inks {
  const char* name;
  J_COLOR_SPACE file_space;
  bool adobe;
};

// Samples are inverted, with and without the marker, as Pillow and libvips read them.
class CmykTest : public testing::TestWithParam<Inks> {};

TEST_P(CmykTest, IsConverted) {
  const int inks[4] = {200, 30, 90, 60};  // 255 is full ink
  JpegFile file;
  file.width = 19;
  file.height = 11;
  file.samples_space = JCS_CMYK;
  file.file_space = GetParam().file_space;
  file.adobe_marker = GetParam().adobe;
  for (int i = 0; i < file.width * file.height; ++i) {
    for (const int ink : inks) {
      file.samples.push_back(static_cast<uint8_t>(255 - ink));
    }
  }
  const Bitmap decoded = DecodedOrEmpty(WriteJpeg(file));
  Bitmap expected = Bitmap::Make(19, 11, 3);
  for (size_t i = 0; i < expected.data.size(); ++i) {
    expected.data[i] = static_cast<uint8_t>((255 - inks[i % 3]) * (255 - inks[3]) / 255);
  }
  EXPECT_LE(MaxDifference(decoded, expected), 3);
}

INSTANTIATE_TEST_SUITE_P(All, CmykTest,
                         testing::Values(Inks{"Plain", JCS_CMYK, false},
                                         Inks{"Adobe", JCS_CMYK, true},
                                         Inks{"AdobeYcck", JCS_YCCK, true}),
                         [](const auto& test) { return test.param.name; });

TEST(JpegTest, EncodesWhatItDecodes) {
  for (const int channels : {1, 3}) {
    const Bitmap original = SmoothBitmap(61, 47, channels);
    const absl::StatusOr<std::string> bytes = EncodeJpeg(original, 95);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_LE(MaxDifference(DecodedOrEmpty(*bytes), original), 6);
  }
}

TEST(JpegTest, KeepsChromaAtFullSize) {
  Bitmap stripes = Bitmap::Make(32, 32, 3);
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      stripes.pixel(x, y)[x % 2 == 0 ? 0 : 2] = 200;
    }
  }
  const absl::StatusOr<std::string> bytes = EncodeJpeg(stripes, 100);
  ASSERT_TRUE(bytes.ok());
  EXPECT_LE(MaxDifference(DecodedOrEmpty(*bytes), stripes), 12);
}

// Noise, in which every choice of an encoder shows.
Bitmap Noisy(int width, int height, int channels) {
  Bitmap bitmap = SmoothBitmap(width, height, channels);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(bitmap.data[i] ^ (i * 2654435761u >> 26));
  }
  return bitmap;
}

// What becomes of a picture that somebody opens with Pillow and saves, to the last bit.
TEST(JpegTest, HalvedColorsAreThoseOfPillow) {
  if (!HavePillow()) {
    GTEST_SKIP() << "/usr/bin/python3 has no Pillow";
  }
  const std::vector<Bitmap> bitmaps = {Noisy(64, 64, 3), Noisy(37, 23, 3), Noisy(1, 1, 3),
                                       Noisy(28, 28, 1)};
  std::string requests;
  for (const Bitmap& bitmap : bitmaps) {
    AppendBitmap(bitmap, &requests);
  }
  const std::vector<Bitmap> theirs = AskPillow("compress", requests);
  ASSERT_EQ(theirs.size(), bitmaps.size());
  for (size_t i = 0; i < bitmaps.size(); ++i) {
    const Bitmap& bitmap = bitmaps[i];
    const std::string halved = EncodeJpeg(bitmap, 90, JpegColors::kHalved).value();
    EXPECT_EQ(MaxDifference(DecodedOrEmpty(halved), theirs[i]), 0) << i;
    const std::string whole = EncodeJpeg(bitmap, 90).value();
    EXPECT_EQ(MaxDifference(DecodedOrEmpty(whole), theirs[i]) > 0,
              bitmap.channels == 3 && bitmap.width > 1)
        << i;
  }
}

TEST(JpegTest, QualityChangesTheSize) {
  const Bitmap noisy = Noisy(128, 128, 3);
  EXPECT_LT(EncodeJpeg(noisy, 20)->size() * 2, EncodeJpeg(noisy, 95)->size());
}

TEST(JpegTest, RefusesToEncodeNonsense) {
  const Bitmap bitmap = SmoothBitmap(8, 8, 3);
  for (const int quality : {-1, 0, 101}) {
    EXPECT_EQ(EncodeJpeg(bitmap, quality).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(EncodeJpeg(Bitmap{}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeJpeg(Bitmap::Make(70000, 1, 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeJpeg(Bitmap::Make(4, 4, 2)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(JpegTest, HugeClaimIsRefusedWithoutMemory) {
  std::string bytes = WriteJpeg(JpegOf(SmoothBitmap(16, 16, 3)));
  for (const char* claim : {"\xea\x60\xea\x60", "\xff\xff\xff\xff"}) {  // 60000, 65535
    bytes.replace(FrameSizeAt(bytes), 4, claim, 4);
    const absl::Status status = DecodeImage(bytes).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("pixels"));
    EXPECT_LE(PeakGrowthMebibytes([&] { (void)DecodeImage(bytes); }), 8);
  }
}

TEST(JpegTest, PixelLimitIsExact) {
  const std::string bytes = WriteJpeg(JpegOf(SmoothBitmap(20, 10, 3)));
  EXPECT_TRUE(DecodeImage(bytes, {.max_pixels = 200}).ok());
  EXPECT_EQ(DecodeImage(bytes, {.max_pixels = 199}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(JpegTest, ScanLimit) {
  JpegFile file = JpegOf(SmoothBitmap(64, 64, 3));
  file.progressive = true;  // libjpeg's default script has 10 scans
  const std::string bytes = WriteJpeg(file);
  EXPECT_TRUE(DecodeImage(bytes, {.max_jpeg_scans = 10}).ok());
  const absl::Status status = DecodeImage(bytes, {.max_jpeg_scans = 5}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 5 scans"));
}

TEST(JpegTest, RepeatedScansAreRefused) {
  JpegFile file = JpegOf(SmoothBitmap(64, 64, 3));
  file.progressive = true;
  std::string bytes = WriteJpeg(file);
  const size_t last_scan = bytes.rfind("\xff\xda");
  const std::string scan = bytes.substr(last_scan, bytes.size() - 2 - last_scan);
  for (int i = 0; i < 300; ++i) {
    bytes.insert(last_scan, scan);
  }
  EXPECT_FALSE(DecodeImage(bytes).ok());
}

TEST(JpegTest, HarmlessExtraBytesArePassedOver) {
  const Bitmap original = SmoothBitmap(16, 16, 3);
  std::string bytes = WriteJpeg(JpegOf(original));
  bytes.insert(bytes.size() - 2, "padding");
  EXPECT_LE(MaxDifference(DecodedOrEmpty(bytes), original), 4);
  bytes += "a maker's trailer";
  EXPECT_LE(MaxDifference(DecodedOrEmpty(bytes), original), 4);
}

TEST(JpegTest, BrokenDataSaysSo) {
  const std::string bytes = WriteJpeg(JpegOf(SmoothBitmap(64, 64, 3)));
  const absl::Status status = DecodeImage(bytes.substr(0, bytes.size() / 2)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("broken JPEG image"));
}

}  // namespace
}  // namespace stylex
