// Drawn shapes whose sizes, colours and numbers are known.
#include "image/appearance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

namespace stylex {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using Paint = std::array<uint8_t, 3>;

constexpr int kSide = 64;
constexpr Paint kPaper = {230, 225, 215};
constexpr Paint kObject = {150, 120, 160};
constexpr Paint kSpot = {60, 40, 90};

// Paper with what `paint` draws where it returns true.
void Fill(Bitmap* picture, const Paint& paint, const std::function<bool(double, double)>& where) {
  for (int y = 0; y < picture->height; ++y) {
    for (int x = 0; x < picture->width; ++x) {
      if (where(x + 0.5, y + 0.5)) {
        std::copy(paint.begin(), paint.end(), picture->pixel(x, y));
      }
    }
  }
}

std::function<bool(double, double)> Disc(double x, double y, double radius) {
  return [=](double px, double py) { return std::hypot(px - x, py - y) <= radius; };
}

// A disc on paper with `spots` dark spots of radius 3.
Bitmap Cell(double radius, int spots, const Paint& paint = kObject) {
  Bitmap picture = Bitmap::Make(kSide, kSide, 3);
  Fill(&picture, kPaper, [](double, double) { return true; });
  Fill(&picture, paint, Disc(32, 32, radius));
  for (int i = 0; i < spots; ++i) {
    const double angle = 2 * std::numbers::pi * i / std::max(1, spots);
    Fill(&picture, kSpot, Disc(32 + 9 * std::cos(angle), 32 + 9 * std::sin(angle), 3));
  }
  return picture;
}

double ValueOf(const Bitmap& picture, const std::string& words, const Bitmap* reference = nullptr) {
  const std::vector<double> values =
      MeasureAppearance(picture, reference == nullptr ? picture : *reference);
  const auto& measures = AppearanceMeasures();
  EXPECT_EQ(values.size(), measures.size());
  for (size_t i = 0; i < measures.size(); ++i) {
    if (measures[i].Words(true) == words) {
      return values[i];
    }
  }
  ADD_FAILURE() << "no measure is called " << words;
  return 0;
}

TEST(AppearanceTest, TheObjectsAreaAndRoundness) {
  const double expected = std::numbers::pi * 18 * 18 / (kSide * kSide);
  EXPECT_THAT(ValueOf(Cell(18, 0), "object larger"), DoubleNear(expected, 0.005));
  EXPECT_THAT(ValueOf(Cell(18, 0), "object rounder"), DoubleNear(1, 0.08));
  Bitmap bar = Cell(0, 0);
  Fill(&bar, kObject, [](double x, double y) { return y > 28 && y < 36 && x > 8 && x < 56; });
  // 48 x 8: area 384, 112 edges.
  EXPECT_THAT(
      ValueOf(bar, "object rounder"),
      DoubleNear(4 * std::numbers::pi * 384 / std::pow(112 * std::numbers::pi / 4, 2), 1e-9));
}

TEST(AppearanceTest, DarkPartsAreCountedAndMeasured) {
  for (const int spots : {0, 1, 3, 5}) {
    EXPECT_EQ(ValueOf(Cell(20, spots), "more dark parts"), spots) << spots;
    EXPECT_THAT(ValueOf(Cell(20, spots), "dark parts larger"),
                DoubleNear(spots * std::numbers::pi * 9 / (kSide * kSide), 0.002));
  }
}

TEST(AppearanceTest, ColoursAreThoseOfTheirParts) {
  const Bitmap before = Cell(18, 3);
  const Bitmap redder = Cell(18, 3, {190, 110, 130});
  const auto change = [&](const std::string& words) {
    return ValueOf(redder, words, &before) - ValueOf(before, words, &before);
  };
  EXPECT_GT(change("light parts redder"), 10);
  EXPECT_NEAR(change("dark parts redder"), 0, 1e-9);
  EXPECT_NEAR(change("background redder"), 0, 1e-9);
  EXPECT_GT(change("overall redder"), 1);
  EXPECT_LT(change("overall redder"), change("centre redder"));
  // What became as light as the paper is still measured where the object was.
  const Bitmap gone = Cell(0, 0);
  EXPECT_GT(
      ValueOf(gone, "dark parts lighter", &before) - ValueOf(before, "dark parts lighter", &before),
      40);
}

TEST(AppearanceTest, TextureAndSymmetry) {
  EXPECT_EQ(ValueOf(Bitmap::Make(8, 8, 1, 99), "more texture"), 0);
  EXPECT_GT(ValueOf(Cell(18, 5), "more texture"), ValueOf(Cell(18, 0), "more texture"));
  EXPECT_NEAR(ValueOf(Cell(18, 0), "less symmetric"), 0, 1e-9);
  Bitmap marked = Cell(18, 0);
  Fill(&marked, kSpot, Disc(56, 56, 4));
  EXPECT_GT(ValueOf(marked, "less symmetric"), 0.5);
}

TEST(AppearanceTest, APlainPictureHasNothing) {
  const Bitmap plain = Bitmap::Make(16, 16, 1, 128);
  for (const char* words : {"object larger", "object rounder", "more dark parts",
                            "dark parts larger", "light parts lighter"}) {
    EXPECT_EQ(ValueOf(plain, words), 0) << words;
  }
  EXPECT_NEAR(ValueOf(plain, "overall lighter"), 53.6, 0.1);  // L* of sRGB grey 128
}

TEST(AppearanceTest, WhatIsSeenToChange) {
  const Bitmap before = Cell(18, 0);
  EXPECT_EQ(FindVisibleChange(before, before).area, 0);
  Bitmap after = before;
  Fill(&after, {235, 40, 150}, [](double x, double y) { return x > 54 && y > 54; });
  const VisibleChange change = FindVisibleChange(before, after);
  EXPECT_DOUBLE_EQ(change.area, 100.0 / (kSide * kSide));
  EXPECT_DOUBLE_EQ(change.x, 2 * 59.0 / 64 - 1);
  EXPECT_DOUBLE_EQ(change.y, change.x);
  EXPECT_GT(change.after[1] - change.before[1], 50) << "a* of pink and of paper";
  EXPECT_EQ(PositionWords(change.x, change.y), "bottom right");
  EXPECT_EQ(PositionWords(0, -0.5), "top");
  EXPECT_EQ(PositionWords(-0.9, 0.2), "left");
  EXPECT_EQ(PositionWords(0.1, 0.3), "middle");
  // One step of one sample is not seen.
  Bitmap nearly = before;
  for (uint8_t& sample : nearly.data) {
    sample = static_cast<uint8_t>(sample - 1);
  }
  EXPECT_EQ(FindVisibleChange(before, nearly).area, 0);
}

TEST(AppearanceTest, WordsAreOpposites) {
  for (const AppearanceMeasure& measure : AppearanceMeasures()) {
    EXPECT_NE(measure.more, measure.less);
    EXPECT_GT(measure.least, 0);
    EXPECT_THAT(measure.Words(true), HasSubstr(measure.more));
    EXPECT_THAT(measure.Words(false), HasSubstr(measure.less));
  }
}

}  // namespace
}  // namespace stylex
