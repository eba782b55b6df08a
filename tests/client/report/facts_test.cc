// What report.json and the page say of a photograph.
#include "client/report/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "image/codec.h"
#include "tests/client/report/example_explanation.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

std::vector<std::string> Texts(const Json& list) { return list.get<std::vector<std::string>>(); }

std::vector<std::string> BarLabels(const ExplainedPhotograph& explanation,
                                   const v1::Model& model = Pets()) {
  const Json facts = FactsOf(model, explanation);
  std::vector<std::string> labels;
  for (const Json& bar : facts["bars"]) {
    labels.push_back(bar["label"].get<std::string>());
  }
  return labels;
}

std::string FileOf(const Json& picture) {
  const std::string uri = picture.get<std::string>();
  std::string file;
  EXPECT_TRUE(absl::Base64Unescape(uri.substr(uri.find(',') + 1), &file));
  return file;
}

TEST(FactsTest, TellWhatWasDecidedAndMoved) {
  const Json facts = FactsOf(Pets(), CatToDog());
  EXPECT_EQ(facts["name"], "tom");
  EXPECT_EQ(facts["decided"]["label"], "cat");
  EXPECT_NEAR(facts["decided"]["probability"].get<double>(), 0.9, 1e-5);
  EXPECT_EQ(facts["target"], "dog");
  EXPECT_EQ(facts["outcome"], "convincing");
  EXPECT_NEAR(facts["probability_before"].get<double>(), 0.15, 1e-5);
  EXPECT_NEAR(facts["probability_after"].get<double>(), 0.7, 1e-5);
  ASSERT_EQ(facts["moves"].size(), 1u);
  EXPECT_EQ(facts["moves"][0]["words"], "ears");
  EXPECT_EQ(facts["moves"][0]["how_far"], "50 %");
  EXPECT_EQ(facts["moves"][0]["source"], "named by a person");
  EXPECT_TRUE(facts["flags"].empty()) << facts["flags"];
  EXPECT_TRUE(facts["notes"].empty()) << facts["notes"];
  EXPECT_EQ(facts["change"]["visible_share"], 1.0);
}

TEST(FactsTest, ADirectionHasItsEnd) {
  ExplainedPhotograph explanation = CatToDog();
  v1::Attribute* attribute = explanation.answer.mutable_applied(0)->mutable_attribute();
  attribute->clear_name();
  EXPECT_EQ(FactsOf(Pets(), explanation)["moves"][0]["how_far"], "50 % to its smallest");
  attribute->set_direction(v1::DIRECTION_TO_MAX);
  EXPECT_EQ(FactsOf(Pets(), explanation)["moves"][0]["how_far"], "50 % to its greatest");
  // Words that say what happens need no end.
  attribute->set_description("dark parts redder");
  EXPECT_EQ(FactsOf(Pets(), explanation)["moves"][0]["how_far"], "50 %");
}

// The page tells them as "over 99.9 %" and "under 0.1 %", as the sentence does.
TEST(FactsTest, AShareIsNeverRoundedToNothingOrAll) {
  ExplainedPhotograph explanation = CatToDog();
  *explanation.answer.mutable_counterfactual_prediction() =
      Believed({1e-6f, 0.999998f, 1e-6f, 0, 0}, 1);
  const Json facts = FactsOf(Pets(), explanation);
  EXPECT_LT(facts["probability_after"], 1.0);
  EXPECT_LT(facts["counterfactual"]["probability"], 1.0);
  EXPECT_EQ(facts["bars"][0]["label"], "dog");
  EXPECT_LT(facts["bars"][0]["after"], 1.0);
  EXPECT_EQ(facts["bars"][1]["label"], "cat");
  EXPECT_GT(facts["bars"][1]["after"], 0.0);
  *explanation.answer.mutable_counterfactual_prediction() = Believed({0, 1, 0, 0, 0}, 1);
  EXPECT_EQ(FactsOf(Pets(), explanation)["probability_after"], 1.0);
}

// Of five classes the three that matter most, before or after.
TEST(FactsTest, BarsAreOfTheMostProbableClasses) {
  ExplainedPhotograph explanation = CatToDog();
  *explanation.answer.mutable_counterfactual_prediction() = Believed({0.2f, 0.5f, 0, 0.3f, 0}, 1);
  EXPECT_THAT(BarLabels(explanation), ElementsAre("cat", "dog", "owl"));
}

TEST(FactsTest, TheTargetIsShownEvenIfItStaysImprobable) {
  ExplainedPhotograph explanation = CatToDog();
  *explanation.answer.mutable_reconstruction_prediction() = Believed({0.5f, 0.3f, 0.2f, 0, 0}, 0);
  *explanation.answer.mutable_counterfactual_prediction() =
      Believed({0.5f, 0.3f, 0.19f, 0, 0.01f}, 0);
  explanation.answer.set_target_class_id(4);
  EXPECT_THAT(BarLabels(explanation), ElementsAre("cat", "dog", "hen"));
}

// A server that sends fewer probabilities than labels, or a target that there is not, must not end
// the client.
TEST(FactsTest, IncompleteAnswersAreHarmless) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.answer.mutable_counterfactual_prediction()->clear_probabilities();
  explanation.answer.set_target_class_id(77);
  EXPECT_EQ(FactsOf(Pets(), explanation)["bars"][0]["after"], 0.0);
  v1::Model unlabelled = Pets();
  unlabelled.mutable_summary()->clear_labels();
  EXPECT_TRUE(BarLabels(explanation, unlabelled).empty());
}

TEST(FactsTest, NotesSayWhatToBeCarefulAbout) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.answer.mutable_quality()->set_same_class(false);
  *explanation.answer.mutable_original_prediction() = Believed({0.1f, 0.1f, 0.8f, 0, 0}, 2);
  Json facts = FactsOf(Pets(), explanation);
  EXPECT_THAT(Texts(facts["notes"]),
              Contains(HasSubstr("The reconstruction is decided as cat, the photograph as fox")));
  EXPECT_THAT(Texts(facts["flags"]), Contains("reconstruction decided otherwise"));
  explanation = CatToDog();
  explanation.answer.set_convincing(false);
  explanation.answer.set_reason("below the probability asked for");
  EXPECT_THAT(Texts(FactsOf(Pets(), explanation)["notes"]),
              ElementsAre("Flipped, but not convincing: below the probability asked for"));
  EXPECT_EQ(FactsOf(Pets(), explanation)["outcome"], "just flipped");
  explanation.answer.set_flipped(false);
  EXPECT_THAT(Texts(FactsOf(Pets(), explanation)["notes"]),
              ElementsAre("Not flipped: below the probability asked for"));
  EXPECT_EQ(FactsOf(Pets(), explanation)["outcome"], "not flipped");
}

TEST(FactsTest, AFlipThatCannotBeSeenSaysSo) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.counterfactual = Bitmap::Make(4, 4, 3, 91);
  const Json facts = FactsOf(Pets(), explanation);
  EXPECT_THAT(Texts(facts["flags"]), ElementsAre("cannot be seen"));
  EXPECT_THAT(Texts(facts["notes"]), ElementsAre(HasSubstr("cannot be seen")));
  EXPECT_LT(facts["change"]["mean_delta_e"], 2);
}

TEST(FactsTest, WhatAChangeIsNotCapableOfIsANote) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.local = true;
  EXPECT_TRUE(FactsOf(Pets(), explanation)["notes"].empty()) << "an older server's answer";
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  *explanation.answer.mutable_on_photograph_prediction() = Believed({0.6f, 0.4f, 0, 0, 0}, 0);
  Json facts = FactsOf(Pets(), explanation);
  EXPECT_THAT(
      Texts(facts["notes"]),
      ElementsAre("The whole change is shown: where it is greatest alone, it does not "
                  "convince.",
                  "Carried over to the photograph, the change is decided as cat, not as dog."));
  EXPECT_EQ(facts["on_photograph"]["holds"], false);
  EXPECT_THAT(Texts(facts["flags"]), ElementsAre("does not hold on the photograph"));
  explanation.answer.set_local_applied(true);
  explanation.answer.set_flipped(false);
  EXPECT_TRUE(FactsOf(Pets(), explanation)["notes"].empty())
      << "what does not flip at all holds nowhere";
}

TEST(PicturesTest, AreTheirPixelsAndDrawnOnesAreMarked) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  explanation.answer.set_holds_on_photograph(true);
  const Json pictures = PicturesOf(explanation).value();
  const std::string photograph = FileOf(pictures["photograph"]);
  EXPECT_EQ(DecodeImage(photograph).value(), explanation.photograph);
  EXPECT_THAT(photograph, Not(HasSubstr("Synthetic")));
  EXPECT_EQ(DecodeImage(FileOf(pictures["counterfactual"])).value(), explanation.counterfactual);
  for (const char* drawn : {"reconstruction", "counterfactual", "difference", "on_photograph"}) {
    const std::string file = FileOf(pictures[drawn]);
    EXPECT_THAT(file, HasSubstr("Synthetic image")) << drawn;
    EXPECT_THAT(file, HasSubstr("pets/3")) << drawn;
    EXPECT_THAT(file, HasSubstr(explanation.input_sha256)) << drawn;
  }
  EXPECT_THAT(FileOf(pictures["on_photograph"]), HasSubstr("in part"));
}

TEST(PicturesTest, FramesOfBothFormatsAreMarkedAndStayAsTheyWere) {
  ExplainedPhotograph explanation = CatToDog();
  const std::string jpeg = EncodeJpeg(Bitmap::Make(4, 4, 3, 60)).value();
  explanation.frames = {
      {{.shift = 0, .probability = 0.1, .file = ""},
       {.shift = 0.5, .probability = 0.4, .file = jpeg},
       {.shift = 1, .probability = 0.7, .file = PngOf(Bitmap::Make(4, 4, 3, 5))}}};
  const Json frames = PicturesOf(explanation).value()["frames"][0];
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_FALSE(frames[0].contains("picture")) << "it is the reconstruction";
  EXPECT_EQ(frames[1]["probability"], 0.4);
  EXPECT_EQ(DecodeImage(FileOf(frames[1]["picture"])).value(), DecodeImage(jpeg).value());
  for (const int i : {1, 2}) {
    EXPECT_THAT(FileOf(frames[i]["picture"]), HasSubstr("Synthetic image")) << i;
  }
}

TEST(PicturesTest, APictureThatCannotBeEncodedIsAnError) {
  ExplainedPhotograph explanation = CatToDog();
  explanation.photograph = Bitmap();
  EXPECT_EQ(PicturesOf(explanation).status().code(), absl::StatusCode::kInvalidArgument);
  explanation = CatToDog();
  explanation.counterfactual = Bitmap::Make(5, 5, 3);
  EXPECT_EQ(PicturesOf(explanation).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PageJsonTest, EndsNoScriptAndSurvivesWhatIsNoUtf8) {
  const Json json = {{"path", "</script><!-- & \xff"}};
  const std::string text = ToPageJson(json);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_THAT(text, Not(HasSubstr(">")));
  EXPECT_THAT(Json::parse(text)["path"].get<std::string>(), HasSubstr("</script><!-- & "));
}

}  // namespace
}  // namespace stylex
