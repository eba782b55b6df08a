// The questionnaire of a user study as one HTML file that needs nothing else.
#ifndef STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_
#define STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_

#include <array>
#include <span>
#include <string>

namespace stylex {

// The animations of a question as GIF files: two examples, then choices A and B.
using QuestionGifs = std::array<std::string, 4>;

// Answers stay in the browser until they are saved as a CSV, one row a participant: Timestamp,
// Study, Question 1, Question 2, ... with A or B. Nothing in the page tells the right answers; it
// loads nothing and sends nothing. `study` goes into the answers, so that they find their key.
std::string StudyPage(const std::string& study, std::span<const QuestionGifs> questions);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_PAGE_H_
