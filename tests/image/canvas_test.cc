#include "image/canvas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace stylex {
namespace {

constexpr Rgb kRed = {255, 0, 0};
constexpr Rgb kBlue = {0, 0, 255};

Rgb At(const Canvas& canvas, int x, int y) {
  const uint8_t* pixel = canvas.bitmap().pixel(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

int Count(const Canvas& canvas, Rgb color) {
  int count = 0;
  for (int y = 0; y < canvas.bitmap().height; ++y) {
    for (int x = 0; x < canvas.bitmap().width; ++x) {
      count += At(canvas, x, y) == color ? 1 : 0;
    }
  }
  return count;
}

TEST(CanvasTest, StartsAsItsBackground) {
  const Canvas canvas(7, 5, kBlue);
  EXPECT_EQ(canvas.bitmap().width, 7);
  EXPECT_EQ(canvas.bitmap().height, 5);
  EXPECT_EQ(canvas.bitmap().channels, 3);
  EXPECT_EQ(Count(canvas, kBlue), 35);
}

TEST(CanvasTest, FillIsClipped) {
  Canvas canvas(10, 10);
  canvas.FillRect(-3, -3, 5, 5, kRed);
  EXPECT_EQ(Count(canvas, kRed), 4);
  EXPECT_EQ(At(canvas, 1, 1), kRed);
  canvas.FillRect(8, 9, 100, 100, kBlue);
  EXPECT_EQ(Count(canvas, kBlue), 2);
  canvas.FillRect(20, 20, 5, 5, kBlue);
  canvas.FillRect(2, 2, 0, -4, kBlue);
  EXPECT_EQ(Count(canvas, kBlue), 2);
}

TEST(CanvasTest, DrawsTiles) {
  Canvas canvas(4, 3);
  canvas.Draw({2, 1, 3, {1, 2, 3, 4, 5, 6}}, 1, 2);
  EXPECT_EQ(At(canvas, 1, 2), (Rgb{1, 2, 3}));
  EXPECT_EQ(At(canvas, 2, 2), (Rgb{4, 5, 6}));
  EXPECT_EQ(Count(canvas, {255, 255, 255}), 10);
  canvas.Draw({1, 1, 1, {77}}, 0, 0);
  EXPECT_EQ(At(canvas, 0, 0), (Rgb{77, 77, 77}));
}

TEST(CanvasTest, TilesAreClippedOnEverySide) {
  Bitmap tile = Bitmap::Make(3, 3, 1);
  for (size_t i = 0; i < tile.data.size(); ++i) {
    tile.data[i] = static_cast<uint8_t>(i);
  }
  for (int y = -5; y <= 5; ++y) {
    for (int x = -5; x <= 5; ++x) {
      Canvas canvas(3, 3, kRed);
      canvas.Draw(tile, x, y);
      for (int row = 0; row < 3; ++row) {
        for (int column = 0; column < 3; ++column) {
          const int from_x = column - x;
          const int from_y = row - y;
          const bool covered = from_x >= 0 && from_x < 3 && from_y >= 0 && from_y < 3;
          const auto grey = static_cast<uint8_t>(covered ? *tile.pixel(from_x, from_y) : 0);
          EXPECT_EQ(At(canvas, column, row), covered ? (Rgb{grey, grey, grey}) : kRed);
        }
      }
    }
  }
}

Bitmap Written(const std::string& text, int scale = 1) {
  Canvas canvas(Canvas::TextWidth(text, scale), Canvas::kLineHeight * scale);
  canvas.Text(text, 0, 0, {0, 0, 0}, scale);
  return canvas.bitmap();
}

TEST(CanvasTest, LetterLooksAsItShould) {
  Canvas canvas(6, 10);
  canvas.Text("T", 0, 0);
  std::string picture;
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 6; ++x) {
      picture += At(canvas, x, y) == Rgb{0, 0, 0} ? '#' : '.';
    }
    picture += '\n';
  }
  EXPECT_EQ(picture,
            "#####.\n"
            "..#...\n"
            "..#...\n"
            "..#...\n"
            "..#...\n"
            "..#...\n"
            "..#...\n");
}

TEST(CanvasTest, PrintableCharactersDifferAndFitTheirCell) {
  std::set<std::string> pictures;
  for (char character = ' '; character <= '~'; ++character) {
    const std::string text(1, character);
    const Bitmap picture = Written(text);
    EXPECT_TRUE(pictures.emplace(picture.data.begin(), picture.data.end()).second) << text;
    // All set pixels are within the line and the text's width.
    Canvas wide(40, 40);
    wide.Text(text, 10, 10, kRed);
    Canvas tight(Canvas::TextWidth(text), Canvas::kLineHeight);
    tight.Text(text, 0, 0, kRed);
    EXPECT_EQ(Count(wide, kRed), Count(tight, kRed)) << text;
    EXPECT_EQ(Count(wide, kRed) == 0, character == ' ') << text;
  }
}

TEST(CanvasTest, OthersAreQuestionMarks) {
  EXPECT_EQ(Written("\n"), Written("?"));
  EXPECT_EQ(Written("\x7f"), Written("?"));
  EXPECT_EQ(Written("\xc3\xa9"), Written("??"));
  EXPECT_EQ(Written(std::string(1, '\0')), Written("?"));
}

TEST(CanvasTest, TextScales) {
  const Bitmap small = Written("Age 0.93");
  const Bitmap large = Written("Age 0.93", 3);
  ASSERT_EQ(large.width, 3 * small.width);
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) {
      ASSERT_EQ(*large.pixel(x, y), *small.pixel(x / 3, y / 3));
    }
  }
}

TEST(CanvasTest, TextIsClipped) {
  Canvas canvas(5, 5);
  canvas.Text("clipped on every side", -40, -3, kRed, 2);
  canvas.Text("outside", 100, 100, kBlue);
  EXPECT_EQ(Count(canvas, kBlue), 0);
}

}  // namespace
}  // namespace stylex
