#include "image/color_difference.h"

#include <gtest/gtest.h>

namespace stylex {
namespace {

// L* 50 in sRGB.
constexpr int kMiddleGrey = 119;

Bitmap Of(std::initializer_list<uint8_t> samples, int channels) {
  return {static_cast<int>(samples.size()) / channels, 1, channels, samples};
}

TEST(ColorDifferenceTest, NoChangeIsMiddleGrey) {
  const Bitmap color = Of({200, 10, 60, 0, 0, 0, 255, 255, 255}, 3);
  for (const uint8_t sample : DrawColorDifference(color, color, 3).data) {
    EXPECT_NEAR(sample, kMiddleGrey, 1);
  }
  const Bitmap grey = Of({0, 17, 255}, 1);
  EXPECT_EQ(DrawColorDifference(grey, grey, 3), Of({kMiddleGrey, kMiddleGrey, kMiddleGrey}, 1));
}

// sRGB 119 is L* 50.03, 144 is L* 59.8: published tables.
TEST(ColorDifferenceTest, GreysDifferByTheirLightness) {
  const Bitmap before = Of({119, 144, 119}, 1);
  const Bitmap after = Of({144, 119, 119}, 1);
  const Bitmap once = DrawColorDifference(before, after, 1);
  EXPECT_NEAR(once.data[0], 144, 1);
  EXPECT_NEAR(once.data[1], 95, 1);  // L* 40.3
  EXPECT_NEAR(once.data[2], kMiddleGrey, 1);
  const Bitmap clipped = DrawColorDifference(before, after, 10);
  EXPECT_EQ(clipped.data[0], 255);
  EXPECT_EQ(clipped.data[1], 0);
}

// A pixel that turns red is drawn reddish, in proportion to the scale, whatever it was before.
TEST(ColorDifferenceTest, ColoursKeepTheirHue) {
  const Bitmap before = Of({119, 119, 119}, 3);
  const Bitmap after = Of({150, 110, 110}, 3);
  const Bitmap once = DrawColorDifference(before, after, 1);
  EXPECT_NEAR(once.data[0], 150, 1);
  EXPECT_NEAR(once.data[1], 110, 1);
  EXPECT_NEAR(once.data[2], 110, 1);
  const Bitmap twice = DrawColorDifference(before, after, 2);
  EXPECT_GT(twice.data[0], once.data[0]);
  EXPECT_LT(twice.data[1], once.data[1]);
}

}  // namespace
}  // namespace stylex
