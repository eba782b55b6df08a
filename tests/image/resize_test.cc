#include "image/resize.h"

#include <gtest/gtest.h>

#include <random>

#include "image/bitmap.h"
#include "tests/image/jpeg_writer.h"
#include "tests/image/pillow.h"

namespace stylex {
namespace {

Bitmap RandomBitmap(int width, int height, int channels, std::mt19937* random) {
  Bitmap bitmap = Bitmap::Make(width, height, channels);
  for (uint8_t& sample : bitmap.data) {
    sample = static_cast<uint8_t>((*random)());
  }
  return bitmap;
}

struct Request {
  Bitmap bitmap;
  int width;  // 0: its luma
  int height;
};

std::vector<Bitmap> ResizedByPillow(const std::vector<Request>& requests) {
  std::string data;
  for (const Request& request : requests) {
    AppendBitmap(request.bitmap, &data);
    AppendNumber(request.width, &data);
    AppendNumber(request.height, &data);
  }
  return AskPillow("resize", data);
}

TEST(ResizeTest, AgreesWithPillow) {
  if (!HavePillow()) {
    GTEST_SKIP() << "/usr/bin/python3 has no Pillow";
  }
  constexpr int kSizes[][4] = {// from, to
                               {64, 64, 32, 32},   {64, 64, 128, 128}, {178, 178, 64, 64},
                               {63, 41, 17, 97},   {1, 1, 5, 7},       {200, 3, 3, 200},
                               {31, 57, 30, 58},   {64, 48, 64, 20},   {64, 48, 20, 48},
                               {640, 480, 64, 64}, {100, 100, 1, 1},   {2, 2, 33, 9},
                               {333, 7, 256, 256}, {50, 60, 50, 60},   {1, 300, 2, 7}};
  std::mt19937 random(7);
  std::vector<Request> requests;
  for (const auto& size : kSizes) {
    for (const int channels : {1, 3}) {
      requests.push_back({RandomBitmap(size[0], size[1], channels, &random), size[2], size[3]});
    }
  }
  // Black and white overshoot most.
  for (int i = 0; i < 4; ++i) {
    Bitmap bitmap = RandomBitmap(90, 70, 1, &random);
    for (uint8_t& sample : bitmap.data) {
      sample = sample < 128 ? 0 : 255;
    }
    requests.push_back({bitmap, 40 + 60 * i, 35 + 40 * i});
  }
  const std::vector<Bitmap> answers = ResizedByPillow(requests);
  ASSERT_EQ(answers.size(), requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& request = requests[i];
    const Bitmap resized = ResizeBicubic(request.bitmap, request.width, request.height);
    EXPECT_LE(MaxDifference(resized, answers[i]), 1)
        << request.bitmap.width << "x" << request.bitmap.height << "x" << request.bitmap.channels
        << " to " << request.width << "x" << request.height;
  }
}

TEST(ResizeTest, LumaAgreesWithPillow) {
  if (!HavePillow()) {
    GTEST_SKIP() << "/usr/bin/python3 has no Pillow";
  }
  std::mt19937 random(8);
  const Bitmap bitmap = RandomBitmap(300, 200, 3, &random);
  const std::vector<Bitmap> answers = ResizedByPillow({{bitmap, 0, 0}});
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(ConvertChannels(bitmap, 1), answers[0]);
}

TEST(ResizeTest, FlatStaysFlat) {
  for (const int side : {1, 3, 16, 50}) {
    const Bitmap flat = Bitmap::Make(16, 16, 3, 201);
    EXPECT_EQ(ResizeBicubic(flat, side, side), Bitmap::Make(side, side, 3, 201));
  }
}

TEST(ResizeTest, SameSizeIsTheSame) {
  std::mt19937 random(9);
  const Bitmap bitmap = RandomBitmap(13, 29, 3, &random);
  EXPECT_EQ(ResizeBicubic(bitmap, 13, 29), bitmap);
  EXPECT_EQ(ResizeNearest(bitmap, 13, 29), bitmap);
}

TEST(ResizeTest, NearestRepeatsPixels) {
  const Bitmap bitmap = {2, 1, 3, {1, 2, 3, 4, 5, 6}};
  const Bitmap expected = {4, 2, 3, {1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6,  //
                                     1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}};
  EXPECT_EQ(ResizeNearest(bitmap, 4, 2), expected);
  EXPECT_EQ(ResizeNearest(expected, 2, 1), bitmap);
}

TEST(ResizeTest, CropTakesTheCentre) {
  EXPECT_EQ(CropCenterSquare({4, 2, 1, {0, 1, 2, 3, 4, 5, 6, 7}}), (Bitmap{2, 2, 1, {1, 2, 5, 6}}));
  EXPECT_EQ(CropCenterSquare({1, 3, 1, {7, 8, 9}}), (Bitmap{1, 1, 1, {8}}));
  const Bitmap square = SmoothBitmap(5, 5, 3);
  EXPECT_EQ(CropCenterSquare(square), square);
}

TEST(ResizeTest, ChannelsThereAndBack) {
  std::mt19937 random(10);
  const Bitmap grey = RandomBitmap(6, 5, 1, &random);
  EXPECT_EQ(ConvertChannels(ConvertChannels(grey, 3), 1), grey);
  EXPECT_EQ(ConvertChannels(grey, 1), grey);
}

TEST(ResizeTest, FlipMirrorsPixelsNotChannels) {
  EXPECT_EQ(FlipHorizontal({2, 2, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}),
            (Bitmap{2, 2, 3, {4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9}}));
}

TEST(ResizeTest, PrepareCropsOrStretches) {
  Bitmap wide = Bitmap::Make(30, 10, 1, 0);
  for (int y = 0; y < 10; ++y) {
    std::fill_n(wide.pixel(10, y), 10, uint8_t{255});
  }
  EXPECT_EQ(PrepareImage(wide, {.resolution = 10, .channels = 3}), Bitmap::Make(10, 10, 3, 255));
  const Bitmap stretched = PrepareImage(wide, {.resolution = 15, .channels = 1, .stretch = true});
  EXPECT_EQ(stretched.width, 15);
  EXPECT_EQ(stretched.height, 15);
  EXPECT_EQ(*stretched.pixel(0, 7), 0);
  EXPECT_EQ(*stretched.pixel(7, 7), 255);
}

TEST(ResizeTest, PrepareFramesWhatHasJustTheSide) {
  const Preparation preparation = {.resolution = 32, .channels = 1, .padded_from = 28};
  const Bitmap framed = PrepareImage(Bitmap::Make(28, 28, 3, 200), preparation);
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      const bool inside = x >= 2 && x < 30 && y >= 2 && y < 30;
      ASSERT_EQ(*framed.pixel(x, y), inside ? 200 : 0) << x << ", " << y;
    }
  }
  // The central square of a wider one as well; any other size is resized.
  EXPECT_EQ(PrepareImage(Bitmap::Make(40, 28, 1, 200), preparation), framed);
  EXPECT_EQ(PrepareImage(Bitmap::Make(27, 27, 1, 200), preparation), Bitmap::Make(32, 32, 1, 200));
  EXPECT_EQ(PrepareImage(Bitmap::Make(56, 56, 1, 200), preparation), Bitmap::Make(32, 32, 1, 200));
}

TEST(ResizeTest, APartIsResizedAsIfItWereCutOut) {
  std::mt19937 random(9);
  const Bitmap bitmap = RandomBitmap(90, 70, 3, &random);
  EXPECT_EQ(ResizeBicubic(bitmap, {0, 0, 90, 70}, 31, 17), ResizeBicubic(bitmap, 31, 17));
  EXPECT_EQ(ResizeBicubic(bitmap, {15, 5, 60, 60}, 32, 32),
            ResizeBicubic(CropCenter(bitmap, 60), 32, 32));
}

// A ramp shows by how much a part is off.
TEST(ResizeTest, APartMayBeginWithinAPixel) {
  Bitmap ramp = Bitmap::Make(120, 120, 1);
  for (int y = 0; y < 120; ++y) {
    for (int x = 0; x < 120; ++x) {
      *ramp.pixel(x, y) = static_cast<uint8_t>(x + y);
    }
  }
  const Bitmap part = ResizeBicubic(ramp, {20.5, 10.25, 80, 80}, 8, 8);
  for (int y = 1; y < 7; ++y) {
    for (int x = 1; x < 7; ++x) {
      EXPECT_NEAR(*part.pixel(x, y), 20.5 + 10.25 + 10 * (x + y + 1) - 1, 1);
    }
  }
}

}  // namespace
}  // namespace stylex
