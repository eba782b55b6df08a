#include "image/decoding_memory.h"

#include <gtest/gtest.h>

#include "base/heap.h"
#include "image/codec.h"
#include "image/resize.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/peak_memory.h"
#include "tests/image/png_writer.h"
#include "tests/image/webp_writer.h"

namespace stylex {
namespace {

constexpr Preparation kPreparation = {.resolution = 64, .channels = 3};

// That the estimate is not less than what decoding and preparing take, nor twice as much.
void ExpectGoodEstimate(const std::string& file, const char* what) {
  const absl::StatusOr<int64_t> bytes = DecodingBytes(file, kPreparation);
  ASSERT_TRUE(bytes.ok()) << what << ": " << bytes.status();
  ReturnFreedMemory();  // else the child would reuse what writing the file took
  const int measured = PeakGrowthMebibytes([&file] {
    const absl::StatusOr<Bitmap> bitmap = DecodeImage(file);
    if (!bitmap.ok() || PrepareImage(*bitmap, kPreparation).width != 64) {
      abort();
    }
  });
  constexpr int kOverhead = 6;  // MiB of the allocator, and of pages that are touched anyway
  const int estimated = static_cast<int>(*bytes >> 20);
  EXPECT_LE(measured, estimated + kOverhead) << what;
  EXPECT_GE(2 * measured + kOverhead, estimated) << what;
}

TEST(DecodingMemoryTest, JpegsTakeWhatIsExpected) {
  for (const bool progressive : {false, true}) {
    for (const int subsampling : {1, 2}) {
      JpegFile file = JpegOf(SmoothBitmap(2000, 1500, 3));
      file.progressive = progressive;
      file.subsampling = subsampling;
      ExpectGoodEstimate(WriteJpeg(file), progressive ? "progressive" : "baseline");
      file.app1 = ExifWithOrientation(6, /*big_endian=*/true);
      ExpectGoodEstimate(WriteJpeg(file), progressive ? "turned progressive" : "turned");
    }
  }
  ExpectGoodEstimate(WriteJpeg(JpegOf(SmoothBitmap(3000, 2500, 1))), "grey");
}

TEST(DecodingMemoryTest, AProgressiveJpegTakesThreeTimesABaselineOne) {
  JpegFile file = JpegOf(SmoothBitmap(1024, 1024, 3));
  const int64_t baseline = DecodingBytes(WriteJpeg(file), kPreparation).value();
  file.progressive = true;
  EXPECT_GT(DecodingBytes(WriteJpeg(file), kPreparation).value(), 2 * baseline);
}

TEST(DecodingMemoryTest, PngsTakeWhatIsExpected) {
  ExpectGoodEstimate(EncodePng(SmoothBitmap(2000, 1500, 3)).value(), "RGB");
  ExpectGoodEstimate(EncodePng(SmoothBitmap(2500, 2500, 1)).value(), "grey");
  PngFile file = {.width = 1500, .height = 1500, .bit_depth = 16, .interlaced = true};
  file.samples.resize(size_t{3} * 1500 * 1500, 1000);
  ExpectGoodEstimate(WritePng(file), "16 bits, interlaced");
}

TEST(DecodingMemoryTest, TranslucentWebpsTakeWhatIsExpected) {
  ExpectGoodEstimate(WriteTranslucentWebp(SmoothBitmap(2000, 1500, 3), 80), "lossy with alpha");
  ExpectGoodEstimate(WriteTranslucentWebp(SmoothBitmap(2000, 1500, 3), 0), "lossless with alpha");
}

TEST(DecodingMemoryTest, WebpsTakeWhatIsExpected) {
  ExpectGoodEstimate(WriteWebp(SmoothBitmap(2000, 1500, 3), 80), "lossy");
  ExpectGoodEstimate(WriteWebp(SmoothBitmap(2000, 1500, 3), 0), "lossless");
}

TEST(DecodingMemoryTest, WhatIsOverTheLimitsIsSaidFromTheHeader) {
  const DecodeLimits limits = {.max_pixels = 1000};
  const std::string png = EncodePng(SmoothBitmap(100, 100, 3)).value();
  const std::string jpeg = EncodeJpeg(SmoothBitmap(100, 100, 3)).value();
  const std::string webp = WriteWebp(SmoothBitmap(100, 100, 3), 80);
  for (const std::string& file : {png, jpeg, webp}) {
    EXPECT_EQ(DecodingBytes(file, kPreparation, limits).status(),
              DecodeImage(file, limits).status());
  }
  EXPECT_FALSE(DecodingBytes(png.substr(0, 20), kPreparation).ok());
  EXPECT_FALSE(DecodingBytes(jpeg.substr(0, 20), kPreparation).ok());
  EXPECT_TRUE(DecodingBytes("no image", kPreparation).ok()) << "DecodeImage says what is wrong";
}

TEST(DecodingMemoryTest, AStretchedStripIsLarge) {
  const std::string strip = EncodePng(SmoothBitmap(1, 100'000, 3)).value();
  const Preparation stretch = {.resolution = 256, .channels = 3, .stretch = true};
  EXPECT_GT(DecodingBytes(strip, stretch).value(), int64_t{256} * 100'000 * 3);
}

}  // namespace
}  // namespace stylex
