// The bitmap's layout, which codecs and networks read as bytes, and the font that captions are
// drawn in.
#include "image/bitmap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "image/canvas.h"
#include "image/font.h"

namespace stylex {
namespace {

TEST(BitmapTest, RowsFollowEachOtherWithoutPadding) {
  Bitmap bitmap = Bitmap::Make(5, 3, 3, 7);
  ASSERT_EQ(bitmap.data.size(), 45);
  EXPECT_EQ(std::count(bitmap.data.begin(), bitmap.data.end(), 7), 45);
  bitmap.pixel(4, 1)[2] = 200;
  EXPECT_EQ(bitmap.data[(1 * 5 + 4) * 3 + 2], 200);
  const Bitmap& same = bitmap;
  EXPECT_EQ(same.pixel(4, 1)[2], 200);
  EXPECT_EQ(same.pixel(0, 2), same.pixel(4, 1) + 3);
}

// More samples than an int can count.
TEST(BitmapTest, LargeBitmapsAreIndexedBeyondTheRangeOfInt) {
  Bitmap bitmap;
  bitmap.width = 60'000;
  bitmap.height = 60'000;
  bitmap.channels = 3;
  EXPECT_EQ(bitmap.pixel(59'999, 59'999) - bitmap.data.data(),
            std::ptrdiff_t{60'000} * 60'000 * 3 - 3);
}

TEST(BitmapTest, EqualityIsOfShapeAndPixels) {
  EXPECT_EQ(Bitmap::Make(2, 3, 1), Bitmap::Make(2, 3, 1));
  EXPECT_NE(Bitmap::Make(2, 3, 1), Bitmap::Make(3, 2, 1));
  EXPECT_NE(Bitmap::Make(2, 3, 1), Bitmap::Make(2, 3, 1, 1));
}

// Rows of kGlyphWidth characters, separated by spaces.
TEST(FontTest, EveryGlyphIsWellFormed) {
  for (size_t i = 0; i < kGlyphs.size(); ++i) {
    const std::string_view glyph = kGlyphs[i];
    ASSERT_EQ(glyph.size(), kGlyphHeight * (kGlyphWidth + 1) - 1)
        << static_cast<char>(kFirstGlyph + i);
    for (size_t at = 0; at < glyph.size(); ++at) {
      const bool separator = at % (kGlyphWidth + 1) == kGlyphWidth;
      EXPECT_TRUE(separator ? glyph[at] == ' ' : glyph[at] == '.' || glyph[at] == '#')
          << static_cast<char>(kFirstGlyph + i) << " at " << at;
    }
  }
}

// Captions hold numbers and names: what is easily confused differs in several pixels.
TEST(FontTest, CharactersThatAreEasilyConfusedDiffer) {
  for (const std::string pair : {"0O", "1l", "1I", "5S", "8B", "2Z", ".,", ":;", "-_"}) {
    const std::string_view a = kGlyphs[static_cast<size_t>(pair[0] - kFirstGlyph)];
    const std::string_view b = kGlyphs[static_cast<size_t>(pair[1] - kFirstGlyph)];
    int differing = 0;
    for (size_t at = 0; at < a.size(); ++at) {
      differing += a[at] == b[at] ? 0 : 1;
    }
    EXPECT_GE(differing, 2) << pair;
  }
}

TEST(FontTest, DescendersFitIntoALine) { EXPECT_LE(kGlyphHeight + kDescent, Canvas::kLineHeight); }

// Letters with a tail reach below the line that the others stand on.
TEST(FontTest, TailsHangBelowTheLine) {
  const auto lowest_row = [](char character) {
    Canvas canvas(Canvas::TextWidth("x"), Canvas::kLineHeight);
    canvas.Text(std::string(1, character), 0, 0);
    int lowest = -1;
    for (int y = 0; y < Canvas::kLineHeight; ++y) {
      for (int x = 0; x < canvas.bitmap().width; ++x) {
        lowest = canvas.bitmap().pixel(x, y)[0] == 0 ? y : lowest;
      }
    }
    return lowest;
  };
  const int line = lowest_row('x');
  for (const char character : std::string("gpqy")) {
    EXPECT_GT(lowest_row(character), line) << character;
  }
  for (const char character : std::string("abcdehikmnorstuvwxzABCXYZ0123456789")) {
    EXPECT_EQ(lowest_row(character), line) << character;
  }
}

}  // namespace
}  // namespace stylex
