// What an explanation says, in sentences.
#ifndef STYLEX_CLIENT_REPORT_SENTENCE_H_
#define STYLEX_CLIENT_REPORT_SENTENCE_H_

#include <string>
#include <vector>

#include "client/report/explanation.h"

namespace stylex {

// How an attempt ended.
enum class Outcome { kConvincing, kJustFlipped, kNotFlipped };
Outcome OutcomeOf(const v1::CounterfactualResponse& answer);
// "convincing", "just flipped", "not flipped".
std::string OutcomeText(Outcome outcome);

// What happens when an attribute is moved, as a clause: "hair darker" -> "hair becomes darker",
// "dark parts redder" -> "dark parts become redder", "more texture" -> "there is more texture".
// What already is a clause ("mouth opens") stays as it is.
std::string ClauseOf(const std::string& words);

// What an applied attribute does: its name; what was measured of it; what it changes in this very
// picture; or "attribute 288 moves to its smallest".
std::string WordsOfMove(const ExplainedPhotograph& explanation, int move);

// "Decided healthy. It becomes sick when dark parts become redder: 5 % → 91 %." Percentages are the
// target's probability in the reconstruction and in the counterfactual.
std::string SentenceOf(const ExplainedPhotograph& explanation);

// How well the reconstruction stands for the photograph: "good", "fair" or "poor".
std::string FidelityText(const v1::ReconstructionQuality& quality);
// The same with its reasons, a sentence.
std::string FidelitySentence(const v1::ReconstructionQuality& quality);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_SENTENCE_H_
