#include "trainer/report/picture_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/trainer/report/small_run.h"

namespace stylex {
namespace {

// Pictures of noise, which no doubling can be mistaken in.
std::vector<PictureRow> NoiseRows(int rows, int columns, int side) {
  std::mt19937 random(7);
  std::vector<PictureRow> made = GreyRows(rows, columns, side);
  for (PictureRow& row : made) {
    for (Bitmap& picture : row) {
      for (uint8_t& sample : picture.data) {
        sample = static_cast<uint8_t>(random());
      }
    }
  }
  return made;
}

TEST(PictureSheetTest, WhatWasDrawnIsCutOutAgain) {
  for (const int side : {16, 64, 100}) {
    const std::vector<PictureRow> rows = NoiseRows(4, 3, side);
    EXPECT_EQ(CutPictureSheet(DrawPictureSheet(rows), 4).value(), rows) << side;
  }
}

TEST(PictureSheetTest, AShorterRowEndsInWhite) {
  std::vector<PictureRow> rows = NoiseRows(2, 3, 64);
  rows[1].pop_back();
  const std::vector<PictureRow> cut = CutPictureSheet(DrawPictureSheet(rows), 2).value();
  ASSERT_EQ(cut[1].size(), 3u);
  EXPECT_EQ(cut[1][1], rows[1][1]);
  EXPECT_EQ(cut[1][2], Bitmap::Make(64, 64, 3, 255));
}

TEST(PictureSheetTest, LargePicturesThatLookDoubledAreKept) {
  const std::vector<PictureRow> rows(2, PictureRow(2, Bitmap::Make(128, 128, 3, 90)));
  EXPECT_EQ(CutPictureSheet(DrawPictureSheet(rows), 2).value(), rows);
}

TEST(PictureSheetTest, AnotherPictureIsRefused) {
  for (const auto& [width, height] : {std::pair(100, 70), {70, 100}, {2, 2}, {1, 1}}) {
    const absl::Status status = CutPictureSheet(Bitmap::Make(width, height, 3), 4).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << width << " " << height;
    EXPECT_THAT(status.message(), testing::HasSubstr("is no sheet of 4 rows"));
  }
}

}  // namespace
}  // namespace stylex
