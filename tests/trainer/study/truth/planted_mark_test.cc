#include "trainer/study/truth/planted_mark.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace stylex {
namespace {

Bitmap Colourful(int side, int channels, uint8_t seed = 1) {
  Bitmap bitmap = Bitmap::Make(side, side, channels);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(40 + (i * 13 + seed * 71) % 180);
  }
  return bitmap;
}

// side of the picture, share of the mark, channels
class PlantedMarkTest : public testing::TestWithParam<std::tuple<int, double, int>> {
 protected:
  const int side_ = std::get<0>(GetParam());
  const double share_ = std::get<1>(GetParam());
  const Bitmap picture_ = Colourful(side_, std::get<2>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Sizes, PlantedMarkTest,
                         testing::Combine(testing::Values(16, 32, 64, 100),
                                          testing::Values(0.0625, kMarkSide, 0.5),
                                          testing::Values(1, 3)));

TEST_P(PlantedMarkTest, WhatIsPlantedIsRead) {
  for (const double strength : {0.0, 0.25, 0.5, 1.0}) {
    EXPECT_NEAR(ReadMark(WithMark(picture_, strength, share_), share_), strength, 0.5 / 255);
  }
}

TEST_P(PlantedMarkTest, StrengthsAreClamped) {
  EXPECT_EQ(WithMark(picture_, -3, share_), WithMark(picture_, 0, share_));
  EXPECT_EQ(WithMark(picture_, 7, share_), WithMark(picture_, 1, share_));
}

// An intervention is exact: whatever mark was there, the result is the same.
TEST_P(PlantedMarkTest, AMarkReplacesTheOneBefore) {
  EXPECT_EQ(WithMark(WithMark(picture_, 1, share_), 0, share_), WithMark(picture_, 0, share_));
  EXPECT_EQ(WithMark(WithMark(picture_, 0.3, share_), 1, share_), WithMark(picture_, 1, share_));
}

TEST_P(PlantedMarkTest, TheRestOfThePictureStays) {
  const Bitmap marked = WithMark(picture_, 1, share_);
  const int mark = static_cast<int>(std::lround(share_ * side_));
  int white = 0, black = 0, kept = 0;
  for (int y = 0; y < side_; ++y) {
    for (int x = 0; x < side_; ++x) {
      const uint8_t value = marked.pixel(x, y)[0];
      white += value == 255 ? 1 : 0;
      black += value == 0 ? 1 : 0;
      kept += value == picture_.pixel(x, y)[0] ? 1 : 0;
      // Far from the corner nothing is touched.
      if (x >= mark + side_ / 8 || y >= mark + side_ / 8) {
        EXPECT_EQ(value, picture_.pixel(x, y)[0]) << x << " " << y;
      }
    }
  }
  EXPECT_EQ(white, mark * mark);
  EXPECT_GT(black, 0) << "no border around the mark";
  EXPECT_EQ(white + black + kept, side_ * side_);
}

TEST_P(PlantedMarkTest, AnothersCornerIsTakenWhole) {
  const Bitmap other = WithMark(Colourful(side_, picture_.channels, 9), 0.5, share_);
  const Bitmap taken = WithMarkOf(other, WithMark(picture_, 1, share_), share_);
  EXPECT_EQ(taken, WithMark(picture_, 0.5, share_));
  // Also where the corner is no planted one.
  const Bitmap plain = WithMarkOf(picture_, WithMark(picture_, 1, share_), share_);
  EXPECT_EQ(plain, picture_);
}

TEST(ReadMarkTest, IsAShareOfWhite) {
  EXPECT_EQ(ReadMark(Bitmap::Make(32, 32, 3, 0)), 0);
  EXPECT_EQ(ReadMark(Bitmap::Make(32, 32, 3, 255)), 1);
  EXPECT_NEAR(ReadMark(Bitmap::Make(32, 32, 1, 51)), 0.2, 1e-9);
}

}  // namespace
}  // namespace stylex
