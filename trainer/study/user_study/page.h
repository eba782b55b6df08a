// The questionnaire of a user study as one self-contained HTML file.
#ifndef STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_
#define STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_

#include <array>
#include <span>
#include <string>

namespace stylex {

// The animations of a question as GIF files: two examples, then choices A and B.
using QuestionGifs = std::array<std::string, 4>;

// Answers stay in the browser until they are saved as a CSV, one row per participant: Timestamp,
// Study, Question 1, Question 2, ... with A or B. The page does not contain the right answers,
// loads nothing and sends nothing. `study` is written with the answers to identify their key.
std::string StudyPage(const std::string& study, std::span<const QuestionGifs> questions);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_
