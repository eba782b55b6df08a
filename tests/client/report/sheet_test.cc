#include "client/report/sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/report/change.h"
#include "image/canvas.h"
#include "tests/client/test_files.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

v1::Prediction Decision(const std::string& label, int class_id, std::vector<float> probabilities) {
  v1::Prediction prediction;
  prediction.set_label(label);
  prediction.set_class_id(class_id);
  prediction.mutable_probabilities()->Assign(probabilities.begin(), probabilities.end());
  return prediction;
}

TEST(DecisionTextTest, HasThePercentageOfTheDecidedClass) {
  EXPECT_EQ(DecisionText(Decision("Shirt", 1, {0.0276F, 0.9724F})), "Shirt 97.2 %");
  EXPECT_EQ(DecisionText(Decision("Shirt", 0, {1.0F})), "Shirt 100.0 %");
  EXPECT_EQ(DecisionText(Decision("Shirt", 2, {0.5F, 0.5F})), "Shirt 0.0 %") << "no such class";
  EXPECT_EQ(DecisionText(Decision("Shirt", -1, {0.5F})), "Shirt 0.0 %");
}

// Pictures of one colour each, which are found again on the sheet.
ExplainedPhotograph Coloured(uint8_t level) {
  ExplainedPhotograph explanation;
  explanation.stem = "photo";
  explanation.photograph = Bitmap::Make(4, 4, 3, level);
  explanation.reconstruction = Bitmap::Make(4, 4, 3, static_cast<uint8_t>(level + 1));
  explanation.counterfactual = Bitmap::Make(4, 4, 3, static_cast<uint8_t>(level + 2));
  *explanation.answer.mutable_original_prediction() = Decision("a", 0, {1});
  *explanation.answer.mutable_counterfactual_prediction() = Decision("b", 0, {1});
  explanation.answer.set_flipped(true);
  explanation.answer.mutable_quality()->set_same_class(true);
  return explanation;
}

Bitmap DrawContactSheet(const std::vector<ExplainedPhotograph>& explanations) {
  std::vector<Bitmap> rows;
  for (const ExplainedPhotograph& explanation : explanations) {
    rows.push_back(DrawSheetRow(explanation));
  }
  return JoinSheetRows(rows);
}

// Pixels of a grey in a rectangle.
int Count(const Bitmap& sheet, uint8_t grey) {
  int count = 0;
  for (int y = 0; y < sheet.height; ++y) {
    for (int x = 0; x < sheet.width; ++x) {
      const uint8_t* pixel = sheet.pixel(x, y);
      count += pixel[0] == grey && pixel[1] == grey && pixel[2] == grey ? 1 : 0;
    }
  }
  return count;
}

TEST(ContactSheetTest, HasARowOfFourTilesForEachPhotograph) {
  const Bitmap one = DrawContactSheet({Coloured(50)});
  const Bitmap two = DrawContactSheet({Coloured(50), Coloured(60)});
  EXPECT_EQ(one.width, two.width);
  const int row = two.height - one.height;
  EXPECT_GE(row, 96);
  for (const uint8_t level : {50, 51, 52}) {
    EXPECT_EQ(Count(one, level), 96 * 96) << int{level};
    EXPECT_EQ(Count(two, level), 96 * 96) << int{level};
    EXPECT_EQ(Count(two, static_cast<uint8_t>(level + 10)), 96 * 96) << int{level};
  }
}

TEST(ContactSheetTest, TilesStandInTheOrderOfTheTitles) {
  const Bitmap sheet = DrawContactSheet({Coloured(50)});
  std::vector<uint8_t> seen;
  for (int x = 0; x < sheet.width; ++x) {
    const uint8_t grey = *sheet.pixel(x, sheet.height / 2);
    if (grey >= 50 && grey <= 52 && (seen.empty() || seen.back() != grey)) {
      seen.push_back(grey);
    }
  }
  EXPECT_THAT(seen, testing::ElementsAre(50, 51, 52));
}

// The map of a slight change, which is of no grey.
TEST(ContactSheetTest, TheFourthTileIsTheMapOfTheDifference) {
  const Bitmap map = DrawChangeMap(Coloured(50).reconstruction, Coloured(50).counterfactual);
  const Bitmap sheet = DrawContactSheet({Coloured(50)});
  int found = 0;
  for (int y = 0; y < sheet.height; ++y) {
    for (int x = 0; x < sheet.width; ++x) {
      found += std::equal(map.data.begin(), map.data.begin() + 3, sheet.pixel(x, y)) ? 1 : 0;
    }
  }
  EXPECT_EQ(found, 96 * 96);
}

TEST(ContactSheetTest, AMissingPictureLeavesItsPlaceEmpty) {
  ExplainedPhotograph explanation = Coloured(50);
  explanation.counterfactual = {};
  const Bitmap sheet = DrawContactSheet({explanation});
  EXPECT_EQ(Count(sheet, 50), 96 * 96);
  EXPECT_EQ(Count(sheet, 51), 96 * 96);
  EXPECT_EQ(Count(sheet, 52), 0);
}

// Pixels that are neither white nor of a tile.
int Ink(const Bitmap& sheet) {
  return sheet.width * sheet.height - Count(sheet, 255) - Count(sheet, 50) - Count(sheet, 51) -
         Count(sheet, 52);
}

TEST(ContactSheetTest, MoreWordsAreWrittenWhereMoreIsToBeSaid) {
  const ExplainedPhotograph plain = Coloured(50);
  ExplainedPhotograph warned = plain;
  warned.answer.mutable_quality()->set_same_class(false);
  warned.answer.mutable_reconstruction_prediction()->set_label("c");
  EXPECT_GT(Ink(DrawContactSheet({warned})), Ink(DrawContactSheet({plain})) + 100);
  ExplainedPhotograph moved = plain;
  std::vector<int> ink;
  for (int i = 0; i < 6; ++i) {
    moved.answer.add_applied()->mutable_attribute()->set_name("ears");
    ink.push_back(Ink(DrawContactSheet({moved})));
  }
  EXPECT_LT(ink[0], ink[1]);
  EXPECT_LT(ink[1], ink[2]);
  EXPECT_LT(ink[2], ink[3]) << "\"and 1 more\"";
  EXPECT_LT(std::abs(ink[5] - ink[4]), 40) << "only the number differs";
}

TEST(BeforeAndAfterTest, IsAGifOfTwoFrames) {
  const TemporaryFolder folder;
  ExplainedPhotograph explanation = Coloured(50);
  explanation.counterfactual = Bitmap::Make(4, 4, 3, 90);
  WriteText(folder / "a.gif", BeforeAndAfterGif(explanation).value());
  const GifFacts facts = ReadGif(folder / "a.gif");
  EXPECT_EQ(facts.frames, 2);
  EXPECT_EQ(facts.width, 4);
  EXPECT_EQ(facts.height, 4);
  explanation.counterfactual = {};
  EXPECT_FALSE(BeforeAndAfterGif(explanation).ok());
}

}  // namespace
}  // namespace stylex
