// What is said, for answers of each kind.
#include "client/report/sentence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/report/example_explanation.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

TEST(PercentTextTest, NeverSaysAllOrNothingOfWhatIsNot) {
  EXPECT_EQ(PercentText(0), "0 %");
  EXPECT_EQ(PercentText(0.0004), "under 0.1 %");
  EXPECT_EQ(PercentText(0.004), "0.4 %");
  EXPECT_EQ(PercentText(0.416), "42 %");
  EXPECT_EQ(PercentText(0.996), "99.6 %");
  EXPECT_EQ(PercentText(0.9999), "over 99.9 %");
  EXPECT_EQ(PercentText(1), "100 %");
}

TEST(ClauseTest, WordsOfAMeasureBecomeAClause) {
  EXPECT_EQ(ClauseOf("dark parts redder"), "dark parts become redder");
  EXPECT_EQ(ClauseOf("hair darker"), "hair becomes darker");
  EXPECT_EQ(ClauseOf("nucleus denser"), "nucleus becomes denser");
  EXPECT_EQ(ClauseOf("more mass"), "there is more mass");
  EXPECT_EQ(ClauseOf("centre lighter"), "the centre becomes lighter");
  EXPECT_EQ(ClauseOf("object less round"), "the object becomes less round");
  EXPECT_EQ(ClauseOf("overall bluer"), "it becomes bluer overall");
  EXPECT_EQ(ClauseOf("smoother"), "it becomes smoother");
  for (const char* noun : {"long zipper", "looks like pullover", "open collar finger"}) {
    EXPECT_THAT(ClauseOf(noun), testing::Not(HasSubstr("becomes"))) << noun;
  }
  EXPECT_EQ(ClauseOf("more texture"), "there is more texture");
  EXPECT_EQ(ClauseOf("fewer dark parts"), "there are fewer dark parts");
  EXPECT_EQ(ClauseOf("less symmetric"), "it becomes less symmetric");
  EXPECT_EQ(ClauseOf("bottom bluer, smoother"), "the bottom becomes bluer and it becomes smoother");
}

TEST(ClauseTest, WhatPeopleWriteStaysAsItIs) {
  EXPECT_EQ(ClauseOf("mouth opens"), "mouth opens");
  EXPECT_EQ(ClauseOf("yellow-green patches appear"), "yellow-green patches appear");
  EXPECT_EQ(ClauseOf("attribute 41 moves to its smallest"), "attribute 41 moves to its smallest");
  EXPECT_EQ(ClauseOf(""), "");
}

TEST(ClauseTest, OtherNamesAreWhatThePictureShows) {
  EXPECT_EQ(ClauseOf("yellow-green patches"), "it shows yellow-green patches");
  EXPECT_EQ(ClauseOf("bluer green"), "it shows bluer green");
  EXPECT_EQ(ClauseOf("duller, bluish green"), "it shows duller, bluish green") << "it is one name";
}

TEST(SentenceTest, AFlipSaysWhatBecomesWhatAndWhen) {
  ExplainedPhotograph explanation = CatToDog();
  EXPECT_EQ(SentenceOf(explanation),
            "Decided cat. It becomes dog when it shows ears: 15 % → 70 %.");
  explanation.answer.mutable_applied(0)->mutable_attribute()->set_name("ears droop");
  *explanation.answer.add_applied() = explanation.answer.applied(0);
  explanation.answer.mutable_applied(1)->mutable_attribute()->set_name("fur darker");
  EXPECT_EQ(SentenceOf(explanation),
            "Decided cat. It becomes dog when ears droop and fur becomes darker: 15 % → 70 %.");
  explanation.answer.set_convincing(false);
  EXPECT_THAT(SentenceOf(explanation), HasSubstr("It becomes dog when ears droop"));
  EXPECT_THAT(SentenceOf(explanation), HasSubstr("which does not convince."));
}

TEST(SentenceTest, ManyMovesAreCounted) {
  ExplainedPhotograph explanation = CatToDog();
  for (const char* name : {"fur darker", "nose longer", "tail shorter", "eyes rounder"}) {
    *explanation.answer.add_applied() = explanation.answer.applied(0);
    explanation.answer.mutable_applied(explanation.answer.applied_size() - 1)
        ->mutable_attribute()
        ->set_name(name);
  }
  EXPECT_THAT(SentenceOf(explanation), HasSubstr(" and 2 more things change: "));
}

TEST(SentenceTest, WithoutNamesItSaysWhatBecameOfThePicture) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.answer.mutable_applied(0)->mutable_attribute()->clear_name();
  explanation.reconstruction = Bitmap::Make(16, 16, 3, 90);
  explanation.counterfactual = Bitmap::Make(16, 16, 3, 160);
  EXPECT_THAT(SentenceOf(explanation),
              testing::ContainsRegex("It becomes dog when .* becomes lighter"));
  explanation.counterfactual = explanation.reconstruction;
  EXPECT_THAT(SentenceOf(explanation), HasSubstr("when attribute 41 moves to its smallest: "));
}

TEST(SentenceTest, WhatDoesNotFlipSaysWhy) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.answer.set_flipped(false);
  explanation.answer.set_convincing(false);
  explanation.answer.set_reason("no further attribute raises it.");
  EXPECT_EQ(SentenceOf(explanation),
            "Decided cat. It does not become dog: no further attribute raises it (15 % → 70 %).");
}

TEST(SentenceTest, AnotherDecisionOnTheReconstructionIsSaid) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.answer.mutable_original_prediction()->set_label("fox");
  EXPECT_THAT(SentenceOf(explanation),
              testing::StartsWith("Decided fox (its reconstruction: cat). "));
}

TEST(WordsOfMoveTest, WithoutANameThePicturesAreMeasured) {
  ExplainedPhotograph explanation = CatToDog();
  v1::Attribute& attribute = *explanation.answer.mutable_applied(0)->mutable_attribute();
  attribute.clear_name();
  EXPECT_EQ(WordsOfMove(explanation, 0), "attribute 41 moves to its smallest");
  explanation.frames = {
      {{}, {.shift = 1, .probability = 1, .file = PngOf(Bitmap::Make(16, 16, 3, 200))}}};
  explanation.reconstruction = Bitmap::Make(16, 16, 3, 90);
  EXPECT_THAT(WordsOfMove(explanation, 0), HasSubstr("lighter"));
  attribute.set_description("dark parts redder");
  EXPECT_EQ(WordsOfMove(explanation, 0), "dark parts redder") << "measured on more pictures";
}

TEST(FidelityTest, GoesByHeldOutImagesWhereTheyAreKnown) {
  v1::ReconstructionQuality quality;
  quality.set_same_class(true);
  quality.set_ssim(0.9);
  EXPECT_EQ(FidelityText(quality), "good");
  quality.set_ssim(0.3);
  EXPECT_EQ(FidelityText(quality), "poor");
  quality.set_percentile(40);
  EXPECT_EQ(FidelityText(quality), "good") << "better than most of this model";
  quality.set_percentile(80);
  EXPECT_EQ(FidelityText(quality), "fair");
  quality.set_percentile(95);
  EXPECT_EQ(FidelityText(quality), "poor");
  EXPECT_THAT(FidelitySentence(quality), HasSubstr("worse than 95 % of the held-out images"));
  quality.set_percentile(10);
  quality.set_same_class(false);
  EXPECT_EQ(FidelityText(quality), "poor") << "decided otherwise";
}

}  // namespace
}  // namespace stylex
