#include "trainer/study/user_study/questions.h"

#include <gif_lib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/explain/tiny_model.h"
#include "trainer/study/user_study/page.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::AttributeIndex Index(const std::vector<std::vector<std::pair<int, double>>>& classes) {
  v1::AttributeIndex index;
  for (size_t k = 0; k < classes.size(); ++k) {
    v1::ClassAttributes* of_class = index.add_classes();
    of_class->set_class_id(static_cast<int>(k));
    for (const auto& [coordinate, effect] : classes[k]) {
      v1::Attribute* attribute = of_class->add_attributes();
      attribute->set_index(coordinate);
      attribute->set_mean_effect(effect);
      attribute->set_direction(k == 0 ? v1::DIRECTION_TO_MIN : v1::DIRECTION_TO_MAX);
    }
  }
  return index;
}

TEST(StudyTest, TakesTheStrongestAttributesOnce) {
  const v1::AttributeIndex index = Index({{{5, 3.0}, {9, 1.0}}, {{5, 4.0}, {7, 2.0}}});
  const auto chosen = ChooseStudyAttributes(index, 3, std::nullopt).value();
  EXPECT_EQ(chosen[0].coordinate, (Coordinate{5, 1}));
  EXPECT_EQ(chosen[0].target, 1);
  EXPECT_EQ(chosen[1].coordinate, (Coordinate{7, 1}));
  EXPECT_EQ(chosen[2].coordinate, (Coordinate{9, 0}));
  const auto of_first = ChooseStudyAttributes(index, 2, 0).value();
  EXPECT_EQ(of_first[0].coordinate, (Coordinate{5, 0}));
  EXPECT_THAT(std::string(ChooseStudyAttributes(index, 4, std::nullopt).status().message()),
              HasSubstr("3 different"));
}

class PlanTest : public testing::Test {
 protected:
  static constexpr int64_t kImages = 60;
  static constexpr int64_t kClasses = 3;

  PlanTest() {
    torch::manual_seed(4);
    for (int64_t a = 0; a < 6; ++a) {
      attributes_.push_back({{10 + a, static_cast<int>(a % 2)}, a % kClasses});
    }
    pictures_ = {torch::arange(kImages) % kClasses, torch::rand({kImages, 6, 2})};
  }
  std::vector<StudyQuestion> Plan(uint64_t seed, int64_t classes = kClasses) const {
    return PlanStudy(attributes_, pictures_, classes, 3, seed).value();
  }
  int64_t Decided(int64_t picture) const { return pictures_.decided[picture].item<int64_t>(); }

  std::vector<StudyAttribute> attributes_;
  StudyPictures pictures_;
};

TEST_F(PlanTest, OnlyTheChangeTellsTheChoicesApart) {
  for (const uint64_t seed : {1, 2, 3}) {
    std::map<size_t, int> asked;
    int a_is_right = 0;
    for (const StudyQuestion& question : Plan(seed)) {
      ++asked[question.attribute];
      a_is_right += question.answer == 'A' ? 1 : 0;
      const StudyAttribute& attribute = attributes_[question.attribute];
      ASSERT_NE(question.attribute, question.distractor);
      const StudyClip& right = question.choices[question.answer == 'A' ? 0 : 1];
      const StudyClip& wrong = question.choices[question.answer == 'A' ? 1 : 0];
      std::set<int64_t> pictures;
      for (const StudyClip& clip : {question.examples[0], question.examples[1], right, wrong}) {
        pictures.insert(clip.picture);
        EXPECT_NE(Decided(clip.picture), attribute.target);
        EXPECT_EQ(Decided(clip.picture), Decided(right.picture));
      }
      EXPECT_EQ(pictures.size(), 4);
      EXPECT_EQ(question.examples[0].coordinate, attribute.coordinate);
      EXPECT_EQ(question.examples[1].coordinate, attribute.coordinate);
      EXPECT_EQ(right.coordinate, attribute.coordinate);
      EXPECT_EQ(wrong.coordinate, attributes_[question.distractor].coordinate);
    }
    EXPECT_EQ(asked.size(), 6);
    for (const auto& [attribute, times] : asked) {
      EXPECT_EQ(times, 3) << attribute;
    }
    EXPECT_EQ(a_is_right, 9);
  }
}

TEST_F(PlanTest, PicturesShowTheChange) {
  // Attribute 0 shows in the pictures of class 1 above number 30 alone.
  pictures_.change.select(1, 0).zero_();
  for (int64_t n = 30; n < kImages; ++n) {
    pictures_.change[n][0][attributes_[0].coordinate.direction] = 1 + 0.01 * n;
  }
  for (const StudyQuestion& question : Plan(5)) {
    if (question.attribute == 0) {
      EXPECT_GE(question.examples[0].picture, 30);
      EXPECT_GE(question.examples[1].picture, 30);
      EXPECT_GE(question.choices[question.answer == 'A' ? 0 : 1].picture, 30);
    }
  }
}

TEST_F(PlanTest, FollowsFromTheSeed) {
  const auto same = [](const std::vector<StudyQuestion>& a, const std::vector<StudyQuestion>& b) {
    for (size_t q = 0; q < a.size(); ++q) {
      if (a[q].attribute != b[q].attribute || a[q].answer != b[q].answer ||
          a[q].examples[0].picture != b[q].examples[0].picture) {
        return false;
      }
    }
    return true;
  };
  EXPECT_TRUE(same(Plan(1), Plan(1)));
  EXPECT_FALSE(same(Plan(1), Plan(2)));
}

TEST_F(PlanTest, OfTwoClassesBothChoicesRaiseTheTarget) {
  pictures_.decided = torch::arange(kImages) % 2;
  for (size_t a = 0; a < attributes_.size(); ++a) {
    attributes_[a].target = static_cast<int64_t>(a) % 2;
  }
  int turned = 0;
  for (const StudyQuestion& question : Plan(1, /*classes=*/2)) {
    const StudyAttribute& distractor = attributes_[question.distractor];
    const bool turn = distractor.target != attributes_[question.attribute].target;
    const StudyClip& wrong = question.choices[question.answer == 'A' ? 1 : 0];
    EXPECT_EQ(wrong.coordinate.direction,
              turn ? 1 - distractor.coordinate.direction : distractor.coordinate.direction);
    turned += turn ? 1 : 0;
  }
  EXPECT_GT(turned, 0);
}

TEST_F(PlanTest, SaysWhereThereAreTooFewPictures) {
  pictures_ = {torch::arange(9) % kClasses, torch::rand({9, 6, 2})};
  const auto plan = PlanStudy(attributes_, pictures_, kClasses, 3, 1);
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr("style coordinate 10"));
  attributes_.resize(1);
  EXPECT_THAT(std::string(PlanStudy(attributes_, pictures_, kClasses, 3, 1).status().message()),
              HasSubstr("two attributes"));
}

TEST(StudyDrawingTest, MeasuresWhatAMoveChanges) {
  const TinyModel tiny = MakeTinyModel(3, /*images=*/5);
  const std::vector<StudyAttribute> attributes = {{{4, 1}, 0}, {{33, 0}, 1}};
  const StudyPictures pictures =
      MeasureStudyPictures(tiny.stylex, tiny.styles, tiny.ranges, attributes, 0.5);
  for (int64_t n = 0; n < 5; ++n) {
    const StyleVectors styles = tiny.styles.Narrow(n, 1);
    const torch::Tensor before = tiny.stylex.Synthesize(styles);
    EXPECT_EQ(pictures.decided[n].item<int64_t>(),
              tiny.stylex.Logits(before).argmax().item<int64_t>());
    for (int64_t a = 0; a < 2; ++a) {
      for (int direction = 0; direction < 2; ++direction) {
        const Move move{{attributes[static_cast<size_t>(a)].coordinate.index, direction}, 0.5};
        const torch::Tensor after =
            tiny.stylex.Synthesize(ApplyMoves(styles, tiny.ranges, {&move, 1}));
        EXPECT_NEAR(pictures.change[n][a][direction].item<double>(),
                    (after - before).abs().mean().item<double>(), 1e-5);
      }
    }
  }
}

TEST(StudyDrawingTest, AClipTurnsBetweenBeforeAndAfter) {
  const TinyModel tiny = MakeTinyModel(3, /*images=*/2);
  const std::string gif =
      DrawStudyClip(tiny.stylex, tiny.styles, tiny.ranges, {1, {4, 1}}, 1, 64).value();
  std::string_view rest = gif;
  int error = 0;
  GifFileType* file = DGifOpen(
      &rest,
      [](GifFileType* open, GifByteType* out, int count) {
        std::string_view& left = *static_cast<std::string_view*>(open->UserData);
        const size_t taken = left.copy(reinterpret_cast<char*>(out), static_cast<size_t>(count));
        left.remove_prefix(taken);
        return static_cast<int>(taken);
      },
      &error);
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(DGifSlurp(file), GIF_OK);
  EXPECT_EQ(file->ImageCount, 2);
  EXPECT_EQ(file->SWidth, 64);
  DGifCloseFile(file, &error);
}

TEST(StudyPageTest, HoldsAllAndTellsNothing) {
  const std::vector<QuestionGifs> questions = {{"one", "two", "three", "four"},
                                               {"five", "six", "seven", "eight"}};
  const std::string page = StudyPage("0123abcd", questions);
  for (const QuestionGifs& gifs : questions) {
    size_t at = 0;
    for (const std::string& gif : gifs) {
      const size_t found = page.find(absl::Base64Escape(gif), at);
      EXPECT_NE(found, std::string::npos) << gif << " missing, or before its neighbour";
      at = found;
    }
  }
  EXPECT_THAT(page, HasSubstr("data-study=\"0123abcd\" data-questions=\"2\""));
  EXPECT_THAT(page, HasSubstr("name=\"q2\" value=\"B\""));
  EXPECT_THAT(page, Not(HasSubstr("name=\"q3\"")));
  EXPECT_THAT(page, Not(HasSubstr("http")));  // it loads nothing and sends nothing
}

}  // namespace
}  // namespace stylex
