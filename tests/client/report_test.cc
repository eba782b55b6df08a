// The page as a string: what is said, in which order, and that whatever comes from outside is
// escaped.
#include "client/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "image/codec.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Model Pets() {
  v1::Model model;
  model.mutable_summary()->set_name("pets");
  model.mutable_summary()->set_version(3);
  for (const char* label : {"cat", "dog", "fox", "owl", "hen"}) {
    model.mutable_summary()->add_labels(label);
  }
  model.set_num_styles(64);
  return model;
}

v1::Prediction Believed(const std::vector<float>& probabilities, int decided) {
  v1::Prediction prediction;
  prediction.mutable_probabilities()->Assign(probabilities.begin(), probabilities.end());
  prediction.set_class_id(decided);
  prediction.set_label(Pets().summary().labels(decided));
  return prediction;
}

// A cat that becomes a dog by one attribute.
Explanation CatToDog() {
  Explanation explanation;
  explanation.stem = "tom";
  for (Bitmap* picture : {&explanation.photograph, &explanation.reconstruction,
                          &explanation.counterfactual, &explanation.difference}) {
    *picture = Bitmap::Make(4, 4, 3, 90);
  }
  v1::CounterfactualResponse& answer = explanation.answer;
  *answer.mutable_original_prediction() = Believed({0.9f, 0.1f, 0, 0, 0}, 0);
  *answer.mutable_reconstruction_prediction() = Believed({0.8f, 0.15f, 0.05f, 0, 0}, 0);
  *answer.mutable_counterfactual_prediction() = Believed({0.25f, 0.7f, 0.05f, 0, 0}, 1);
  answer.set_target_class_id(1);
  answer.set_target_label("dog");
  answer.set_flipped(true);
  answer.set_convincing(true);
  answer.mutable_quality()->set_same_class(true);
  v1::AppliedAttribute& applied = *answer.add_applied();
  applied.mutable_attribute()->set_index(41);
  applied.mutable_attribute()->set_name("ears");
  applied.mutable_attribute()->set_direction(v1::DIRECTION_TO_MIN);
  applied.set_shift(0.5);
  applied.set_target_probability(0.7);
  return explanation;
}

std::string Page(const std::vector<Explanation>& explanations, const v1::Model& model = Pets()) {
  absl::StatusOr<std::string> page = RenderReport(model, explanations);
  EXPECT_TRUE(page.ok()) << page.status();
  return page.value_or("");
}

size_t Times(const std::string& text, const std::string& part) {
  size_t times = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++times;
  }
  return times;
}

std::string FactOf(int value, const std::string& meaning) {
  return absl::StrCat("<b>", value, "</b><span>", meaning, "</span>");
}

TEST(ReportTest, TellsWhatWasDecidedAndMoved) {
  const std::string page = Page({CatToDog()});
  EXPECT_THAT(page, HasSubstr("<h2>tom: cat &rarr; dog</h2>"));
  EXPECT_THAT(page, HasSubstr("photograph<b>cat 90.0 %</b>"));
  EXPECT_THAT(page, HasSubstr("reconstruction<b>cat 80.0 %</b>"));
  EXPECT_THAT(page, HasSubstr("counterfactual<b>dog 70.0 %</b>"));
  EXPECT_THAT(page, HasSubstr("then dog at"));
  EXPECT_THAT(page, HasSubstr("ears <span title=\"style coordinate\">(41)</span></td>"
                              "<td>50 %</td><td>70.0 %</td>"));
  EXPECT_THAT(page, Not(HasSubstr("class=\"note\"")));
  EXPECT_THAT(page, Not(HasSubstr("Attribute by attribute"))) << "there are no steps";
}

TEST(ReportTest, ADirectionHasItsEnd) {
  Explanation explanation = CatToDog();
  explanation.answer.mutable_applied(0)->mutable_attribute()->set_direction(v1::DIRECTION_TO_MAX);
  v1::Attribute* attribute = explanation.answer.mutable_applied(0)->mutable_attribute();
  attribute->clear_name();
  EXPECT_THAT(Page({explanation}), HasSubstr("50 % to its greatest"));
  attribute->set_direction(v1::DIRECTION_TO_MIN);
  EXPECT_THAT(Page({explanation}), HasSubstr("50 % to its smallest"));
  // Words that say what happens need no end.
  attribute->set_description("dark parts redder");
  EXPECT_THAT(Page({explanation}),
              testing::AllOf(HasSubstr("dark parts redder"), Not(HasSubstr("to its"))));
}

// Of five classes the three that matter most, before or after.
TEST(ReportTest, BarsAreOfTheMostProbableClasses) {
  Explanation explanation = CatToDog();
  *explanation.answer.mutable_counterfactual_prediction() = Believed({0.2f, 0.5f, 0, 0.3f, 0}, 1);
  const std::string page = Page({explanation});
  for (const char* shown : {"<span>cat</span>", "<span>dog</span>", "<span>owl</span>"}) {
    EXPECT_THAT(page, HasSubstr(shown));
  }
  EXPECT_THAT(page, Not(HasSubstr("<span>fox</span>")));
  EXPECT_THAT(page, Not(HasSubstr("<span>hen</span>")));
  EXPECT_THAT(page, HasSubstr("<span>15.0 &rarr; 50.0 %</span>"));
  EXPECT_LT(page.find("<span>cat</span>"), page.find("<span>dog</span>"));
}

TEST(ReportTest, TheTargetIsShownEvenIfItStaysImprobable) {
  Explanation explanation = CatToDog();
  *explanation.answer.mutable_reconstruction_prediction() = Believed({0.5f, 0.3f, 0.2f, 0, 0}, 0);
  *explanation.answer.mutable_counterfactual_prediction() =
      Believed({0.5f, 0.3f, 0.19f, 0, 0.01f}, 0);
  explanation.answer.set_target_class_id(4);
  const std::string page = Page({explanation});
  EXPECT_THAT(page, HasSubstr("<span>hen</span>"));
  EXPECT_THAT(page, HasSubstr("<span>cat</span>"));
  EXPECT_EQ(Times(page, "<div class=\"bar\">"), 3);
}

// A server that sends fewer probabilities than labels, or a target that there is not, must not end
// the client.
TEST(ReportTest, IncompleteAnswersAreHarmless) {
  Explanation explanation = CatToDog();
  explanation.answer.mutable_counterfactual_prediction()->clear_probabilities();
  explanation.answer.set_target_class_id(77);
  const std::string page = Page({explanation});
  EXPECT_THAT(page, HasSubstr("80.0 &rarr; 0.0 %"));
  v1::Model unlabelled = Pets();
  unlabelled.mutable_summary()->clear_labels();
  EXPECT_EQ(Times(Page({explanation}, unlabelled), "<div class=\"bar\">"), 0);
}

TEST(ReportTest, NotesSayWhatToBeCarefulAbout) {
  Explanation explanation = CatToDog();
  explanation.answer.mutable_quality()->set_same_class(false);
  *explanation.answer.mutable_original_prediction() = Believed({0.1f, 0.1f, 0.8f, 0, 0}, 2);
  EXPECT_THAT(Page({explanation}),
              HasSubstr("The reconstruction is decided as cat, the photograph as fox"));
  explanation = CatToDog();
  explanation.answer.set_convincing(false);
  explanation.answer.set_reason("below the probability asked for");
  EXPECT_THAT(Page({explanation}),
              HasSubstr("Flipped, but not convincing: below the probability asked for"));
  explanation.answer.set_flipped(false);
  EXPECT_THAT(Page({explanation}), HasSubstr("Not flipped: below the probability asked for"));
}

TEST(ReportTest, AChangeThatHoldsOnThePhotographIsShown) {
  Explanation explanation = CatToDog();
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  *explanation.answer.mutable_on_photograph_prediction() = Believed({0.35f, 0.65f, 0, 0, 0}, 1);
  explanation.answer.set_holds_on_photograph(true);
  EXPECT_THAT(Page({explanation}), HasSubstr("the change on the photograph<b>dog 65.0 %</b>"));
  explanation.answer.clear_applied();
  EXPECT_THAT(Page({explanation}), Not(HasSubstr("the change on the photograph")))
      << "nothing was changed";
}

TEST(ReportTest, WhatAChangeIsNotCapableOfIsANote) {
  Explanation explanation = CatToDog();
  explanation.local = true;
  EXPECT_THAT(Page({explanation}), Not(HasSubstr("class=\"note\""))) << "an older server's answer";
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  *explanation.answer.mutable_on_photograph_prediction() = Believed({0.6f, 0.4f, 0, 0, 0}, 0);
  const std::string page = Page({explanation});
  EXPECT_THAT(page, HasSubstr("Carried over to the photograph, the change is decided as cat, "
                              "not as dog."));
  EXPECT_THAT(page, HasSubstr("The whole change is shown: where it is greatest alone, it does not "
                              "convince."));
  EXPECT_THAT(page, Not(HasSubstr("the change on the photograph")));
  explanation.answer.set_local_applied(true);
  explanation.answer.set_flipped(false);
  EXPECT_EQ(Times(Page({explanation}), "class=\"note\""), 0)
      << "what does not flip at all holds nowhere";
}

TEST(ReportTest, TheSummaryCountsPhotographs) {
  Explanation stays = CatToDog(), weak = CatToDog(), other = CatToDog();
  stays.answer.set_flipped(false);
  stays.answer.set_convincing(false);
  weak.answer.set_convincing(false);
  other.answer.mutable_quality()->set_same_class(false);
  for (int i = 0; i < 4; ++i) {
    *other.answer.add_applied() = other.answer.applied(0);
    *stays.answer.add_applied() = stays.answer.applied(0);
  }
  const std::string page = Page({CatToDog(), stays, weak, other});
  EXPECT_THAT(page, HasSubstr(FactOf(4, "photographs")));
  EXPECT_THAT(page, HasSubstr(FactOf(3, "decisions flipped")));
  EXPECT_THAT(page, HasSubstr(FactOf(2, "convincingly")));
  EXPECT_THAT(page, HasSubstr(FactOf(1, "attributes moved, median")))
      << "of those flipped: 1, 1, 5";
  EXPECT_THAT(page, HasSubstr(FactOf(3, "reconstructions decided like the photograph")));
  EXPECT_EQ(Times(page, "<section"), 4);
}

TEST(ReportTest, WithoutPhotographsThereIsAPageAllTheSame) {
  const std::string page = Page({});
  EXPECT_THAT(page, HasSubstr(FactOf(0, "photographs")));
  EXPECT_THAT(page, HasSubstr("&ndash;</b><span>attributes moved, median"));
  EXPECT_THAT(page, testing::EndsWith("</body></html>\n"));
}

TEST(ReportTest, StepsAreAFilm) {
  Explanation explanation = CatToDog();
  explanation.steps = {Bitmap::Make(4, 4, 3, 1), Bitmap::Make(4, 4, 3, 2)};
  const std::string page = Page({explanation});
  EXPECT_THAT(page, HasSubstr("Attribute by attribute"));
  EXPECT_LT(page.find("after 1<"), page.find("after 2<"));
}

// The pictures in the page are the pictures.
TEST(ReportTest, PicturesAreDataUrisOfTheirPixels) {
  Explanation explanation = CatToDog();
  explanation.photograph = Bitmap::Make(3, 3, 3, 17);
  const std::string page = Page({explanation});
  const std::string start = "alt=\"photograph\" src=\"data:image/png;base64,";
  const size_t begin = page.find(start) + start.size();
  ASSERT_GT(begin, start.size());
  std::string png;
  ASSERT_TRUE(absl::Base64Unescape(page.substr(begin, page.find('"', begin) - begin), &png));
  EXPECT_EQ(DecodeImage(png).value(), explanation.photograph);
}

TEST(ReportTest, APictureThatCannotBeEncodedIsAnError) {
  Explanation explanation = CatToDog();
  explanation.difference = Bitmap();
  EXPECT_EQ(RenderReport(Pets(), {explanation}).status().code(),
            absl::StatusCode::kInvalidArgument);
  explanation = CatToDog();
  explanation.counterfactual = Bitmap::Make(5, 5, 3);  // the animation needs one size
  EXPECT_EQ(RenderReport(Pets(), {explanation}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(ReportTest, TheFooterNamesTheModelAndItsFigures) {
  v1::Model model = Pets();
  model.mutable_provenance()->set_dataset("Oxford <Pets>");
  model.mutable_provenance()->set_code_version("1&2");
  (*model.mutable_metrics())["flip_rate_joint_10"] = 0.875;
  (*model.mutable_metrics())["something_else"] = 0.123;
  const std::string page = Page({}, model);
  EXPECT_THAT(
      page,
      HasSubstr(
          "Model pets/3, 64 style coordinates, trained on Oxford &lt;Pets&gt;, code 1&amp;2."));
  EXPECT_THAT(page, HasSubstr("87.5 % flipped with at most 10 attributes"));
  EXPECT_THAT(page, Not(HasSubstr("12.3 %")));
}

// Every field of text that a server or a file name can fill.
TEST(ReportTest, NothingFromOutsideIsReadAsHtml) {
  const std::string nasty = "<script>\"'&";
  v1::Model model = Pets();
  model.mutable_summary()->set_name(nasty);
  for (std::string& label : *model.mutable_summary()->mutable_labels()) {
    label = nasty;
  }
  model.mutable_provenance()->set_dataset(nasty);
  model.mutable_provenance()->set_code_version(nasty);
  Explanation explanation = CatToDog();
  explanation.on_photograph = Bitmap::Make(4, 4, 3, 70);
  explanation.stem = nasty;
  v1::CounterfactualResponse& answer = explanation.answer;
  for (v1::Prediction* prediction :
       {answer.mutable_original_prediction(), answer.mutable_reconstruction_prediction(),
        answer.mutable_counterfactual_prediction(), answer.mutable_on_photograph_prediction()}) {
    prediction->set_label(nasty);
  }
  answer.set_target_label(nasty);
  answer.set_reason(nasty);
  answer.set_convincing(false);
  answer.mutable_quality()->set_same_class(false);
  answer.mutable_applied(0)->mutable_attribute()->set_name(nasty);
  const std::string page = Page({explanation}, model);
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
  EXPECT_GE(Times(page, "&lt;script&gt;&quot;&#39;&amp;"), 15);
}

}  // namespace
}  // namespace stylex
