// Differences that are known beforehand, in numbers, colours and words.
#include "client/report/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylex {
namespace {

TEST(MeasureChangeTest, BlackToWhiteIsAHundred) {
  const ColorChange change = MeasureChange(Bitmap::Make(4, 4, 3, 0), Bitmap::Make(4, 4, 3, 255));
  EXPECT_NEAR(change.mean, 100, 0.1) << "from L* 0 to L* 100";
  EXPECT_NEAR(change.greatest, 100, 0.1);
  EXPECT_EQ(change.visible, 1);
}

TEST(MeasureChangeTest, OnePixelOfAHundred) {
  const Bitmap before = Bitmap::Make(10, 10, 1, 0);
  Bitmap after = before;
  *after.pixel(3, 4) = 255;
  const ColorChange change = MeasureChange(before, after);
  EXPECT_NEAR(change.mean, 1, 0.01);
  EXPECT_NEAR(change.greatest, 100, 0.1);
  EXPECT_DOUBLE_EQ(change.visible, 0.01);
}

TEST(MeasureChangeTest, PicturesThatCannotBeComparedDoNotDiffer) {
  EXPECT_EQ(MeasureChange(Bitmap(), Bitmap()).mean, 0);
  EXPECT_EQ(MeasureChange(Bitmap::Make(2, 2, 3, 0), Bitmap::Make(3, 2, 3, 255)).greatest, 0);
}

TEST(CannotBeSeenTest, AFaintChangeEverywhereAndNotABrightSpot) {
  const Bitmap before = Bitmap::Make(20, 20, 3, 100);
  EXPECT_TRUE(CannotBeSeen(MeasureChange(before, before)));
  EXPECT_TRUE(CannotBeSeen(MeasureChange(before, Bitmap::Make(20, 20, 3, 102))));
  EXPECT_FALSE(CannotBeSeen(MeasureChange(before, Bitmap::Make(20, 20, 3, 130))));
  Bitmap spot = before;
  for (int x = 0; x < 4; ++x) {
    std::fill_n(spot.pixel(x, 0), 3, uint8_t{255});
  }
  EXPECT_LT(MeasureChange(before, spot).mean, 2);
  EXPECT_FALSE(CannotBeSeen(MeasureChange(before, spot))) << "it is small, but plain to see";
}

TEST(ChangeMapTest, OneDifferenceHasOneColourInAllMaps) {
  const Bitmap grey = Bitmap::Make(2, 1, 3, 100);
  Bitmap faint = grey, strong = grey;
  std::fill_n(faint.pixel(0, 0), 3, uint8_t{110});
  std::fill_n(strong.pixel(0, 0), 3, uint8_t{110});
  std::fill_n(strong.pixel(1, 0), 3, uint8_t{250});
  const Bitmap map = DrawChangeMap(grey, faint), other = DrawChangeMap(grey, strong);
  EXPECT_TRUE(std::equal(map.pixel(0, 0), map.pixel(0, 0) + 3, other.pixel(0, 0)))
      << "the scale does not depend on the picture";
  const Bitmap scale = DrawMapScale();
  EXPECT_TRUE(std::equal(map.pixel(1, 0), map.pixel(1, 0) + 3, scale.pixel(0, 0))) << "unchanged";
  EXPECT_TRUE(std::equal(other.pixel(1, 0), other.pixel(1, 0) + 3, scale.pixel(scale.width - 1, 0)))
      << "beyond the end of the scale";
}

TEST(ChangeMapTest, TheScaleBecomesLighterAllTheWay) {
  const Bitmap scale = DrawMapScale();
  const auto sum = [&](int x) {
    const uint8_t* pixel = scale.pixel(x, 0);
    return 2 * pixel[0] + 5 * pixel[1] + pixel[2];
  };
  for (int x = 20; x < scale.width; x += 20) {
    EXPECT_GT(sum(x), sum(x - 20)) << x;
  }
}

TEST(WordsOfChangeTest, SayWhatBecameOfIt) {
  const Bitmap before = Bitmap::Make(16, 16, 3, 100);
  EXPECT_EQ(WordsOfChange(before, before), "");
  EXPECT_THAT(WordsOfChange(before, Bitmap::Make(16, 16, 3, 160)), testing::HasSubstr("lighter"));
  Bitmap red = before;
  for (int i = 0; i < 256; ++i) {
    red.pixel(i % 16, i / 16)[0] = 180;
  }
  EXPECT_THAT(WordsOfChange(before, red), testing::HasSubstr("redder"));
}

}  // namespace
}  // namespace stylex
