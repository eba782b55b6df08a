#include "image/photograph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

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

// By how much a network's input may differ, of 255, when a large picture is decoded smaller.
constexpr int kMostApart = 6;
constexpr double kMeanApart = 1;

// That the estimate is not less than what decoding and preparing take, nor twice as much.
void ExpectGoodEstimate(const std::string& file, const char* what,
                        const Preparation& preparation = kPreparation) {
  const absl::StatusOr<int64_t> bytes = DecodingBytes(file, preparation);
  ASSERT_TRUE(bytes.ok()) << what << ": " << bytes.status();
  ReturnFreedMemory();  // else the child would reuse what writing the file took
  const int measured = PeakGrowthMebibytes([&] {
    const absl::StatusOr<Bitmap> photograph = ReadPhotograph(file, preparation);
    if (!photograph.ok() || photograph->width != 64) {
      abort();
    }
  });
#ifdef __SANITIZE_ADDRESS__
  constexpr int kOverhead = 20;  // shadow memory, too
#else
  constexpr int kOverhead = 6;  // MiB of the allocator, and of pages that are touched anyway
#endif
  const int estimated = static_cast<int>(*bytes >> 20);
  EXPECT_LE(measured, estimated + kOverhead) << what;
  EXPECT_GE(2 * measured + kOverhead, estimated) << what;
}

TEST(PhotographTest, JpegsTakeWhatIsExpected) {
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

TEST(PhotographTest, AProgressiveJpegTakesThreeTimesABaselineOne) {
  JpegFile file = JpegOf(SmoothBitmap(1024, 1024, 3));
  const int64_t baseline = DecodingBytes(WriteJpeg(file), kPreparation).value();
  file.progressive = true;
  EXPECT_GT(DecodingBytes(WriteJpeg(file), kPreparation).value(), 2 * baseline);
}

TEST(PhotographTest, PngsTakeWhatIsExpected) {
  ExpectGoodEstimate(EncodePng(SmoothBitmap(2000, 1500, 3)).value(), "RGB");
  ExpectGoodEstimate(EncodePng(SmoothBitmap(2500, 2500, 1)).value(), "grey");
  PngFile file = {.width = 1500, .height = 1500, .bit_depth = 16, .interlaced = true};
  file.samples.resize(size_t{3} * 1500 * 1500, 1000);
  ExpectGoodEstimate(WritePng(file), "16 bits, interlaced");
}

TEST(PhotographTest, TranslucentWebpsTakeWhatIsExpected) {
  ExpectGoodEstimate(WriteTranslucentWebp(SmoothBitmap(2000, 1500, 3), 80), "lossy with alpha");
  ExpectGoodEstimate(WriteTranslucentWebp(SmoothBitmap(2000, 1500, 3), 0), "lossless with alpha");
}

TEST(PhotographTest, WebpsTakeWhatIsExpected) {
  ExpectGoodEstimate(WriteWebp(SmoothBitmap(2000, 1500, 3), 80), "lossy");
  ExpectGoodEstimate(WriteWebp(SmoothBitmap(2000, 1500, 3), 0), "lossless");
}

TEST(PhotographTest, WhatIsOverTheLimitsIsSaidFromTheHeader) {
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

TEST(PhotographTest, AStretchedStripIsLarge) {
  const std::string strip = EncodePng(SmoothBitmap(1, 100'000, 3)).value();
  const Preparation stretch = {.resolution = 256, .channels = 3, .stretch = true};
  EXPECT_GT(DecodingBytes(strip, stretch).value(), int64_t{256} * 100'000 * 3);
}

// A photograph's mixture: gradients, edges, and noise of single pixels.
Bitmap Busy(int width, int height, int channels) {
  Bitmap bitmap = SmoothBitmap(width, height, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool edge = x / 61 % 3 == 0 && y / 47 % 2 == 0;
      const uint32_t noise = (static_cast<uint32_t>(y * width + x) * 2654435761u) >> 27;
      for (int c = 0; c < channels; ++c) {
        uint8_t& sample = bitmap.pixel(x, y)[c];
        sample = static_cast<uint8_t>(
            std::clamp<int>(sample / 2 + (edge ? 100 : 0) + static_cast<int>(noise), 0, 255));
      }
    }
  }
  return bitmap;
}

// What a network gets of a reduced picture against that of the whole one.
void ExpectNearlyTheSame(const std::string& file, const Preparation& preparation,
                         const char* what) {
  const Bitmap whole = PrepareImage(DecodeImage(file).value(), preparation);
  const Bitmap read = ReadPhotograph(file, preparation).value();
  ASSERT_EQ(read.data.size(), whole.data.size());
  EXPECT_NE(read.data, whole.data) << what << ": was not reduced";
  int64_t sum = 0;
  for (size_t i = 0; i < whole.data.size(); ++i) {
    sum += std::abs(int{read.data[i]} - int{whole.data[i]});
  }
  EXPECT_LE(MaxDifference(read, whole), kMostApart) << what;
  EXPECT_LE(static_cast<double>(sum) / static_cast<double>(whole.data.size()), kMeanApart) << what;
}

TEST(PhotographTest, WhatIsCutOutIsNotMadeOfFewerPixels) {
  const Bitmap picture = Busy(2000, 1501, 3);
  const Bitmap part = CropCenter(picture, 100);
  const Preparation preparation = {.resolution = 64, .crop = 100};
  const std::string file = EncodePng(picture).value();
  EXPECT_EQ(ReadPhotograph(file, preparation).value(), PrepareImage(part, {.resolution = 64}));
  ExpectGoodEstimate(file, "a small part", preparation);
  ExpectGoodEstimate(file, "most of it", {.resolution = 64, .crop = 1500});
  ExpectGoodEstimate(EncodePng(Busy(1501, 1501, 3)).value(), "all of it",
                     {.resolution = 64, .crop = 1501});
  // Smaller than the crop, as a model's own pictures are: whole.
  EXPECT_EQ(ReadPhotograph(EncodePng(Busy(64, 64, 3)).value(), preparation).value(),
            Busy(64, 64, 3));
}

TEST(PhotographTest, LargeOnesAreNearlyTheSameDecodedSmaller) {
  for (const int resolution : {32, 64, 128}) {
    for (const bool stretch : {false, true}) {
      const Preparation preparation = {.resolution = resolution, .stretch = stretch};
      for (const auto& [width, height] : {std::pair{2000, 1501}, {1203, 1707}}) {
        SCOPED_TRACE(testing::Message() << width << "x" << height << " to " << resolution
                                        << (stretch ? ", stretched" : ""));
        const Bitmap picture = Busy(width, height, 3);
        ExpectNearlyTheSame(EncodePng(picture).value(), preparation, "PNG");
        JpegFile file = JpegOf(picture);
        file.app1 = ExifWithOrientation(6, /*big_endian=*/true);
        file.subsampling = 2;
        ExpectNearlyTheSame(WriteJpeg(file), preparation, "JPEG");
        file.progressive = true;
        ExpectNearlyTheSame(WriteJpeg(file), preparation, "progressive JPEG");
      }
    }
  }
  ExpectNearlyTheSame(EncodePng(Busy(2000, 1501, 1)).value(), {.resolution = 64}, "grey PNG");
}

// That each side keeps kSparePixels a pixel of the network, and that small files are read whole.
TEST(PhotographTest, NoMoreIsReducedThanCanBeSpared) {
  const std::string png = EncodePng(Busy(2047, 1200, 3)).value();
  const std::string jpeg = WriteJpeg(JpegOf(Busy(2047, 1200, 3)));
  for (const std::string& file : {png, jpeg}) {
    for (const auto& [side, width, height] : {std::tuple{0, 2047, 1200},
                                              {601, 2047, 1200},
                                              {600, 1024, 600},
                                              {301, 1024, 600},
                                              {300, 512, 300},
                                              {150, 256, 150},
                                              {1, 256, 150}}) {
      const Bitmap bitmap = DecodeImage(file, {.least_side = side}).value();
      EXPECT_EQ(bitmap.width, width) << side;
      EXPECT_EQ(bitmap.height, height) << side;
    }
  }
  const std::string small = EncodePng(Busy(1024, 1024, 3)).value();
  EXPECT_EQ(ReadPhotograph(small, {.resolution = 32}).value(),
            PrepareImage(DecodeImage(small).value(), {.resolution = 32}));
}

TEST(PhotographTest, BrokenLargeFilesAreRefusedAllTheSame) {
  JpegFile jpeg = JpegOf(Busy(1500, 1000, 3));
  const std::string baseline = WriteJpeg(jpeg);
  jpeg.progressive = true;
  for (const std::string& file :
       {EncodePng(Busy(1500, 1000, 3)).value(), baseline, WriteJpeg(jpeg)}) {
    for (const size_t kept : {file.size() / 2, file.size() - 20}) {
      const absl::Status status = ReadPhotograph(file.substr(0, kept), kPreparation).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << kept;
      EXPECT_EQ(status, DecodeImage(file.substr(0, kept)).status());
    }
    const DecodeLimits limits = {.max_pixels = 1'000'000};
    EXPECT_EQ(ReadPhotograph(file, kPreparation, limits).status(),
              DecodeImage(file, limits).status());
  }
}

TEST(PhotographTest, AReducedPixelIsTheMeanOfItsSquare) {
  const Bitmap picture = Busy(1601, 803, 3);
  const Bitmap reduced = DecodeImage(EncodePng(picture).value(), {.least_side = 200}).value();
  ASSERT_EQ(reduced.width, 401);
  ASSERT_EQ(reduced.height, 201);
  for (int y = 0; y < reduced.height; ++y) {
    for (int x = 0; x < reduced.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        int count = 0;
        for (int j = 4 * y; j < std::min(4 * y + 4, picture.height); ++j) {
          for (int i = 4 * x; i < std::min(4 * x + 4, picture.width); ++i) {
            sum += picture.pixel(i, j)[c];
            ++count;
          }
        }
        ASSERT_NEAR(reduced.pixel(x, y)[c], sum / count, 0.51) << x << "," << y;
      }
    }
  }
}

TEST(PhotographTest, AReducedOneTakesLittleMemory) {
  const std::string png = EncodePng(Bitmap::Make(4096, 4096, 3, 120)).value();
  const std::string jpeg = WriteJpeg(JpegOf(Bitmap::Make(4096, 4096, 3, 120)));
  for (const std::string& file : {png, jpeg}) {
    EXPECT_LT(DecodingBytes(file, kPreparation).value(), 4 << 20);
    ExpectGoodEstimate(file, "4096x4096");
  }
}

}  // namespace
}  // namespace stylex
