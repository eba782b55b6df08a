#include "trainer/study/user_study/score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kKey[] =
    "study,question,answer,attribute,distractor\n"
    "abc,1,A,288 to min (Coat),7\n"
    "abc,2,B,12 to max (Bag),7\n"
    "abc,3,B,288 to min (Coat),12\n";

CsvTable Sheet(const std::string& text) { return ParseCsv(text, "answers.csv").value(); }

absl::StatusOr<StudyScore> Score(const std::string& sheet, const std::string& key = kKey) {
  return ScoreStudy(ParseStudyKey(key, "key.csv", 3).value(), std::vector<CsvTable>{Sheet(sheet)});
}

std::string FaultOf(const absl::Status& status) {
  return status.ok() ? "no fault" : std::string(status.message());
}

TEST(StudyScoreTest, CountsByQuestionAndAttribute) {
  // Shares right: 3/4, 2/4, 1/4.
  const StudyScore score = Score(
                               "Question 1,Timestamp,Question 2,Question 3\n"
                               "A,x,B,A\n"
                               " a ,x,B,A\n"
                               "A,x,A,A\n"
                               "B,x,A,B\n")
                               .value();
  EXPECT_EQ(score.participants, 4);
  EXPECT_EQ(score.unanswered, 0);
  EXPECT_DOUBLE_EQ(score.mean, 0.5);
  EXPECT_DOUBLE_EQ(score.deviation, std::sqrt((0.0625 + 0 + 0.0625) / 3));
  ASSERT_EQ(score.questions.size(), 3);
  EXPECT_EQ(score.questions[0].right, 3);
  EXPECT_EQ(score.questions[2].right, 1);
  ASSERT_EQ(score.attributes.size(), 2);
  EXPECT_EQ(score.attributes[0].name, "288 to min (Coat)");
  EXPECT_EQ(score.attributes[0].right, 4);
  EXPECT_EQ(score.attributes[0].answered, 8);
  EXPECT_EQ(score.attributes[1].right, 2);
  EXPECT_THAT(StudyScoreText(score),
              AllOf(HasSubstr("0.5000 +- 0.2041"), HasSubstr("4 participants"), HasSubstr("4 of 8"),
                    HasSubstr("Question 3")));
}

TEST(StudyScoreTest, BlankAnswersCountNowhere) {
  const StudyScore score = Score("Question 1,Question 2,Question 3\nA,,B\nA,,A\n").value();
  EXPECT_EQ(score.unanswered, 2);
  EXPECT_DOUBLE_EQ(score.mean, 0.75);
  EXPECT_DOUBLE_EQ(score.deviation, 0.25);
  EXPECT_EQ(score.questions[1].answered, 0);
  EXPECT_THAT(FaultOf(Score("Question 1,Question 2,Question 3\n,,\n").status()),
              HasSubstr("every answer is blank"));
}

TEST(StudyScoreTest, SheetsOfSeveralPeopleAddUp) {
  const StudyKey key = ParseStudyKey(kKey, "key.csv", 3).value();
  const std::vector<CsvTable> sheets = {
      Sheet("Study,Question 1,Question 2,Question 3\nabc,A,B,B\n"),
      Sheet("Question 1,Question 2,Question 3\nB,B,B\n")};
  const StudyScore score = ScoreStudy(key, sheets).value();
  EXPECT_EQ(score.participants, 2);
  EXPECT_EQ(score.questions[0].right, 1);
  EXPECT_EQ(score.questions[1].right, 2);
}

TEST(StudyScoreTest, ReadsAKeyOfLines) {
  const StudyKey key = ParseStudyKey("1: A\r\n2: b\n\n3: B\n4: A", "answers.txt", 2).value();
  EXPECT_THAT(key.answers, ElementsAre('A', 'B', 'B', 'A'));
  EXPECT_THAT(key.attributes, ElementsAre("1", "1", "2", "2"));
  EXPECT_EQ(key.study, "");
}

TEST(StudyScoreTest, NamesWhatIsWrongWithAKey) {
  const auto fault = [](const std::string& key) {
    return FaultOf(ParseStudyKey(key, "key.csv", 3).status());
  };
  EXPECT_THAT(fault("1: A\n3: B\n"), AllOf(HasSubstr("key.csv"), HasSubstr("question 2")));
  EXPECT_THAT(fault("1: A\n2: C\n"), AllOf(HasSubstr("question 2"), HasSubstr("\"C\"")));
  EXPECT_THAT(fault("one\n"), HasSubstr("\"one\""));
  EXPECT_THAT(fault("question,answer\n1,A\n"), HasSubstr("attribute"));
  EXPECT_THAT(fault("question,answer,attribute\n"), HasSubstr("without questions"));
}

TEST(StudyScoreTest, NamesWhatIsWrongWithASheet) {
  const auto fault = [](const std::string& sheet) { return FaultOf(Score(sheet).status()); };
  EXPECT_THAT(fault("Question 1,Question 2,Question 3\nA,B,B\nA,maybe,B\n"),
              AllOf(HasSubstr("answers.csv"), HasSubstr("row 2"), HasSubstr("question 2"),
                    HasSubstr("\"maybe\"")));
  EXPECT_THAT(fault("Question 1,Question 2\nA,B\n"), HasSubstr("\"Question 3\""));
  EXPECT_THAT(fault("Question 1,Question 2,Question 3,Question 4\nA,B,B,A\n"),
              HasSubstr("more questions than the 3"));
  EXPECT_THAT(fault("Study,Question 1,Question 2,Question 3\nxyz,A,B,B\n"),
              AllOf(HasSubstr("xyz"), HasSubstr("abc")));
  EXPECT_THAT(fault("Question 1,Question 2,Question 3\n"), HasSubstr("nothing to score"));
}

}  // namespace
}  // namespace stylex
