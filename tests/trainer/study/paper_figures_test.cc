// That the figures show the pictures that they tell of; found again on them, pixel by pixel.
#include "trainer/study/paper_figures.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <vector>

#include "image/resize.h"
#include "models/pixels.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

// Sixteen pixels, each shown as five by five: 80 is the least multiple that a caption fits under.
constexpr int kShownSide = 80;

// Places where the whole tile stands, enlarged.
std::vector<std::pair<int, int>> PlacesOf(const Bitmap& figure, const Bitmap& tile) {
  const Bitmap shown = ConvertChannels(ResizeNearest(tile, kShownSide, kShownSide), 3);
  std::vector<std::pair<int, int>> places;
  for (int y = 0; y + kShownSide <= figure.height; ++y) {
    for (int x = 0; x + kShownSide <= figure.width; ++x) {
      bool equal = true;
      for (int row = 0; row < kShownSide && equal; ++row) {
        equal = std::equal(shown.pixel(0, row), shown.pixel(0, row) + 3 * kShownSide,
                           figure.pixel(x, y + row));
      }
      if (equal) {
        places.emplace_back(x, y);
      }
    }
  }
  return places;
}

class PaperFiguresTest : public testing::Test {
 protected:
  PaperFiguresTest() : tiny_(MakeTinyModel(61, /*images=*/3)) {
    for (uint8_t i = 0; i < 3; ++i) {
      Bitmap photograph = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
      for (size_t at = 0; at < photograph.data.size(); ++at) {
        photograph.data[at] = static_cast<uint8_t>((at * 29 + i * 83) % 256);
      }
      photographs_.push_back(photograph);
    }
  }
  v1::ClassAttributes Entry(const std::vector<Coordinate>& coordinates) const {
    v1::ClassAttributes entry;
    entry.set_class_id(2);
    for (const Coordinate& coordinate : coordinates) {
      v1::Attribute* attribute = entry.add_attributes();
      attribute->set_index(static_cast<int32_t>(coordinate.index));
      attribute->set_direction(ToProto(coordinate.direction));
    }
    return entry;
  }
  // Image n with a coordinate moved to an end, as it is drawn.
  Bitmap Moved(int64_t n, Coordinate coordinate, double shift) const {
    const Move move = {coordinate, shift};
    return TensorToBitmap(
        tiny_.stylex.Synthesize(ApplyMoves(tiny_.styles.Narrow(n, 1), tiny_.ranges, {&move, 1})));
  }

  const torch::NoGradGuard no_grad_;
  TinyModel tiny_;
  std::vector<Bitmap> photographs_;
};

TEST_F(PaperFiguresTest, PhotographsStandAboveTheirReconstructions) {
  const Bitmap figure = DrawReconstructions(tiny_.stylex, photographs_, tiny_.styles);
  int before = -1;
  for (int64_t n = 0; n < 3; ++n) {
    const auto above = PlacesOf(figure, photographs_[static_cast<size_t>(n)]);
    const auto below =
        PlacesOf(figure, TensorToBitmap(tiny_.stylex.Synthesize(tiny_.styles.Narrow(n, 1))));
    ASSERT_EQ(above.size(), 1) << n;
    ASSERT_EQ(below.size(), 1) << n;
    EXPECT_EQ(above[0].first, below[0].first) << "not in one column";
    EXPECT_LT(above[0].second + kShownSide, below[0].second);
    EXPECT_GT(above[0].first, before);
    before = above[0].first + kShownSide - 1;
  }
}

TEST_F(PaperFiguresTest, EachImageIsAColumn) {
  const Bitmap three = DrawReconstructions(tiny_.stylex, photographs_, tiny_.styles);
  const Bitmap one =
      DrawReconstructions(tiny_.stylex, {photographs_[0]}, tiny_.styles.Narrow(0, 1));
  EXPECT_EQ(three.height, one.height);
  EXPECT_GE(three.width - one.width, 2 * kShownSide);
}

TEST_F(PaperFiguresTest, EachAttributeIsARowFromMinimumToMaximum) {
  const std::vector<Coordinate> coordinates = {{33, 1}, {12, 0}};
  const Bitmap figure =
      DrawAttributes(tiny_.stylex, tiny_.styles, tiny_.ranges, Entry(coordinates), 5, 1);
  int row_before = -1;
  for (const Coordinate& coordinate : coordinates) {
    int row = 0;
    for (int64_t n = 0; n < 3; ++n) {
      const auto least = PlacesOf(figure, Moved(n, {coordinate.index, 0}, 1));
      const auto greatest = PlacesOf(figure, Moved(n, {coordinate.index, 1}, 1));
      ASSERT_EQ(least.size(), 1);
      ASSERT_EQ(greatest.size(), 1);
      EXPECT_EQ(least[0].second, greatest[0].second);
      EXPECT_GE(greatest[0].first - least[0].first, 2 * kShownSide)
          << "the image as it is stands between";
      row = least[0].second;
    }
    EXPECT_GT(row, row_before);
    row_before = row + kShownSide - 1;
  }
  // As it is, in each row.
  EXPECT_EQ(PlacesOf(figure, Moved(1, {0, 0}, 0)).size(), 2);
}

TEST_F(PaperFiguresTest, OnlyTheFirstAttributesAreShown) {
  const v1::ClassAttributes entry = Entry({{33, 1}, {12, 0}, {5, 1}});
  const auto height = [&](int64_t attributes) {
    return DrawAttributes(tiny_.stylex, tiny_.styles, tiny_.ranges, entry, attributes, 1).height;
  };
  const int row = height(2) - height(1);
  EXPECT_GT(row, kShownSide);
  EXPECT_EQ(height(3) - height(2), row);
  EXPECT_EQ(height(99), height(3));
  EXPECT_LT(height(0), height(1));
}

TEST_F(PaperFiguresTest, ShiftsAreOfTheWayToTheEnds) {
  const Coordinate coordinate = {33, 1};
  const Bitmap figure = DrawAttributes(tiny_.stylex, tiny_.styles.Narrow(0, 1), tiny_.ranges,
                                       Entry({coordinate}), 1, 0.5);
  EXPECT_EQ(PlacesOf(figure, Moved(0, coordinate, 0.5)).size(), 1);
  EXPECT_EQ(PlacesOf(figure, Moved(0, coordinate, 1)).size(), 0);
}

TEST_F(PaperFiguresTest, SamplesStandInRows) {
  constexpr int kColumns = 2;
  const Bitmap figure = DrawSamples(tiny_.stylex, tiny_.styles, kColumns);
  std::vector<std::pair<int, int>> places;
  for (int64_t n = 0; n < 3; ++n) {
    const auto found =
        PlacesOf(figure, TensorToBitmap(tiny_.stylex.Synthesize(tiny_.styles.Narrow(n, 1))));
    ASSERT_EQ(found.size(), 1) << n;
    places.push_back(found[0]);
  }
  EXPECT_EQ(places[0].second, places[1].second);
  EXPECT_LT(places[0].first, places[1].first);
  EXPECT_EQ(places[0].first, places[2].first);
  EXPECT_LE(places[0].second + kShownSide, places[2].second);
  EXPECT_LT(DrawSamples(tiny_.stylex, tiny_.styles, 3).height, figure.height);
}

TEST_F(PaperFiguresTest, ABaselinesListIsMovedAsTheIndexIs) {
  const StyleLayout& layout = tiny_.stylex.layout();
  const v1::ClassAttributes entry = EntryOf({{{33, 1}, 4.5}, {{12, 0}, 2}}, 2, layout);
  ASSERT_EQ(entry.attributes_size(), 2);
  EXPECT_EQ(entry.class_id(), 2);
  EXPECT_EQ(entry.attributes(0).layer(), layout.LayerOf(33));
  EXPECT_EQ(entry.attributes(0).channel(), layout.ChannelOf(33));
  EXPECT_EQ(entry.attributes(0).name(), "relevance 4.50");
  EXPECT_EQ(entry.attributes(1).direction(), v1::DIRECTION_TO_MIN);
  const Bitmap figure = DrawAttributes(tiny_.stylex, tiny_.styles.Narrow(0, 1), tiny_.ranges, entry,
                                       2, 1, "what Wu et al. list for");
  EXPECT_EQ(PlacesOf(figure, Moved(0, {33, 1}, 1)).size(), 1);
  EXPECT_EQ(PlacesOf(figure, Moved(0, {12, 0}, 1)).size(), 1);
}

// Below the picture towards the end that raises the class, and below no other, there is a line of
// one colour.
TEST_F(PaperFiguresTest, TheRaisingDirectionIsUnderlined) {
  for (const int direction : {0, 1}) {
    const Coordinate raising = {33, direction};
    const Bitmap figure = DrawAttributes(tiny_.stylex, tiny_.styles.Narrow(0, 1), tiny_.ranges,
                                         Entry({raising}), 1, 1);
    for (const int shown : {0, 1}) {
      const auto place = PlacesOf(figure, Moved(0, {33, shown}, 1));
      ASSERT_EQ(place.size(), 1);
      const uint8_t* const first = figure.pixel(place[0].first, place[0].second + kShownSide);
      const uint8_t* const last =
          figure.pixel(place[0].first + kShownSide - 1, place[0].second + kShownSide);
      const bool white = first[0] == 255 && first[1] == 255 && first[2] == 255;
      EXPECT_EQ(!white && std::equal(first, first + 3, last), shown == direction);
    }
  }
}

}  // namespace
}  // namespace stylex
