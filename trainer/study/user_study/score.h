// Scores the answers to a user study (coherence; StylEx, Lang et al. 2021, §4.3).
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
  std::string study;                    // questionnaire; empty: unknown
  std::vector<char> answers;            // 'A' or 'B', question by question
  std::vector<std::string> attributes;  // per question
};

// Parses a key.csv of `stylex-train study` (columns question, answer, attribute and optionally
// study), or lines "NUMBER: LETTER", of which each `questions_per_attribute` consecutive ones ask
// about one attribute. INVALID_ARGUMENT names the file, the line or question and the fault.
absl::StatusOr<StudyKey> ParseStudyKey(const std::string& text, const std::string& origin,
                                       int64_t questions_per_attribute);

struct StudyItem {
  std::string name;
  int64_t right = 0;
  int64_t answered = 0;
  // Right answers of all; 0 without answers.
  double share() const {
    return answered == 0 ? 0 : static_cast<double>(right) / static_cast<double>(answered);
  }
};

struct StudyScore {
  int64_t participants = 0;
  int64_t unanswered = 0;  // blank answers; not counted elsewhere
  // Mean and population standard deviation of the questions' shares of right answers.
  double mean = 0;
  double deviation = 0;
  std::vector<StudyItem> questions;
  std::vector<StudyItem> attributes;  // in the order in which the key first names them
};

// One row per participant, with columns "Question 1", "Question 2", ... that hold A, B or nothing,
// and optionally "Study". INVALID_ARGUMENT names the sheet, the row and the question: an invalid
// answer, a missing column, a study other than the key's, no rows at all.
absl::StatusOr<StudyScore> ScoreStudy(const StudyKey& key, std::span<const CsvTable> sheets);

// The score as plain text for printing.
std::string StudyScoreText(const StudyScore& score);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_SCORE_H_
