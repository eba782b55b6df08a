// Scores the answers to a user study (StylEx §4.3's coherence; algorithms §6).
#ifndef STYLEX_TRAINER_STUDY_USER_STUDY_SCORE_H_
#define STYLEX_TRAINER_STUDY_USER_STUDY_SCORE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/csv.h"

namespace stylex {

struct StudyKey {
  std::string study;                    // which questionnaire; empty: not said
  std::vector<char> answers;            // 'A' or 'B', question by question
  std::vector<std::string> attributes;  // what each question is about
};

// A key.csv of `stylex-train study` (columns question, answer, attribute and, if any, study), or
// lines "NUMBER: LETTER", where each `questions_per_attribute` consecutive ones ask about one
// attribute. INVALID_ARGUMENT names the file, the line or question and what is wrong.
absl::StatusOr<StudyKey> ParseStudyKey(const std::string& text, const std::string& origin,
                                       int64_t questions_per_attribute);

struct StudyItem {
  std::string name;
  int64_t right = 0;
  int64_t answered = 0;
  double share() const {
    return answered == 0 ? 0 : static_cast<double>(right) / static_cast<double>(answered);
  }
};

struct StudyScore {
  int64_t participants = 0;
  int64_t unanswered = 0;  // blank answers; they count nowhere else
  // Of the questions' shares of right answers; the deviation is the population's.
  double mean = 0;
  double deviation = 0;
  std::vector<StudyItem> questions;
  std::vector<StudyItem> attributes;  // in the order in which the key first names them
};

// One row a participant, with columns "Question 1", "Question 2", ... that hold A, B or nothing,
// and perhaps "Study". INVALID_ARGUMENT names the sheet, the row and the question: another answer,
// a missing column, another study than the key's, no rows at all.
absl::StatusOr<StudyScore> ScoreStudy(const StudyKey& key, std::span<const CsvTable> sheets);

// Plain text, as it is printed.
std::string StudyScoreText(const StudyScore& score);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_SCORE_H_
