#include "client/report/sentence.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/report/change.h"
#include "image/codec.h"

namespace stylex {
namespace {

constexpr size_t kMovesNamed = 3;
// Bounds of the words for fidelity, by the share of held-out images that are reconstructed better,
// and by structural similarity where a model does not know those.
constexpr double kGoodPercentile = 50, kFairPercentile = 90;
constexpr double kGoodSsim = 0.8, kFairSsim = 0.5;

// Comparatives: those of image/appearance.h, and others that people use in names. "Zipper" is none,
// so that an ending does not tell.
bool IsComparative(const std::string& word) {
  constexpr std::array kComparatives = {
      "lighter", "darker",   "redder",   "greener", "yellower", "bluer",   "larger",     "smaller",
      "rounder", "smoother", "brighter", "paler",   "warmer",   "cooler",  "bigger",     "longer",
      "shorter", "wider",    "narrower", "thicker", "thinner",  "higher",  "lower",      "rougher",
      "finer",   "coarser",  "sharper",  "softer",  "denser",   "fuller",  "rosier",     "browner",
      "whiter",  "blacker",  "greyer",   "pinker",  "older",    "younger", "straighter", "flatter",
      "deeper",  "clearer",  "stronger", "weaker",  "looser",   "tighter"};
  return std::find(kComparatives.begin(), kComparatives.end(), word) != kComparatives.end();
}

// Places of image/appearance.h, which have an article in a sentence.
bool TakesArticle(const std::string& subject) {
  constexpr std::array<const char*, 8> kPlaces = {"centre", "border", "background", "object",
                                                  "bottom", "top",    "middle",     "left"};
  return std::any_of(kPlaces.begin(), kPlaces.end(),
                     [&](const char* place) { return absl::StartsWith(subject, place); }) ||
         absl::StartsWith(subject, "right");
}

// Words that make a name a clause already.
bool IsVerb(const std::string& word) {
  constexpr std::array<const char*, 17> kVerbs = {
      "open", "close", "come", "go",    "appear", "disappear", "grow", "shrink", "vanish",
      "fade", "rise",  "fall", "droop", "widen",  "narrow",    "turn", "move"};
  return std::any_of(kVerbs.begin(), kVerbs.end(), [&](const std::string& verb) {
    return word == verb || word == verb + "s" || word == verb + "es";
  });
}

// "Parts", but neither "nucleus" nor "iris" nor "mass".
bool IsPlural(const std::string& words) {
  return absl::EndsWith(words, "s") && !absl::EndsWith(words, "us") &&
         !absl::EndsWith(words, "is") && !absl::EndsWith(words, "ss");
}

// Of a place and what it becomes, or of an amount; nothing of other words.
std::optional<std::string> ClauseOfMeasure(const std::string& words) {
  const std::vector<std::string> parts = absl::StrSplit(words, ' ', absl::SkipEmpty());
  if (parts.empty()) {
    return std::nullopt;
  }
  if (parts[0] == "more" || parts[0] == "fewer" || parts[0] == "less") {
    const bool adjective = absl::EndsWith(words, "symmetric");
    const bool many = IsPlural(words);
    return absl::StrCat(adjective ? "it becomes " : many ? "there are " : "there is ", words);
  }
  size_t described = parts.size() - 1;  // where the description begins: "darker", "less round"
  if (described > 0 && (parts[described - 1] == "less" || parts[described - 1] == "more")) {
    --described;
  } else if (!IsComparative(parts.back())) {
    return std::nullopt;
  }
  const auto middle = parts.begin() + static_cast<std::ptrdiff_t>(described);
  const std::string subject = absl::StrJoin(parts.begin(), middle, " ");
  const std::string description = absl::StrJoin(middle, parts.end(), " ");
  if (subject.empty() || subject == "overall") {
    return absl::StrCat("it becomes ", description, subject.empty() ? "" : " overall");
  }
  return absl::StrCat(TakesArticle(subject) ? "the " : "", subject,
                      IsPlural(subject) ? " become " : " becomes ", description);
}

// "a", "a and b", "a, b and c".
std::string Enumerate(const std::vector<std::string>& items) {
  if (items.size() < 2) {
    return items.empty() ? "" : items[0];
  }
  return absl::StrCat(absl::StrJoin(items.begin(), items.end() - 1, ", "), " and ", items.back());
}

bool IsTold(const v1::AppliedAttribute& applied) { return HasWords(applied.attribute()); }

// What the moves do, by their names; where one has none, what became of the whole picture, as
// several unnamed ones may do and undo the same thing.
std::string WhatIsMoved(const ExplainedPhotograph& explanation) {
  const auto& applied = explanation.answer.applied();
  if (!std::all_of(applied.begin(), applied.end(), IsTold)) {
    const std::string words = WordsOfChange(explanation.reconstruction, explanation.counterfactual);
    if (!words.empty()) {
      return ClauseOf(words);
    }
  }
  std::vector<std::string> clauses;
  for (int i = 0; i < explanation.answer.applied_size(); ++i) {
    std::string clause = ClauseOf(WordsOfMove(explanation, i));
    if (std::find(clauses.begin(), clauses.end(), clause) == clauses.end()) {
      clauses.push_back(std::move(clause));
    }
  }
  if (clauses.size() > kMovesNamed) {
    const size_t more = clauses.size() - kMovesNamed;
    clauses.resize(kMovesNamed);
    clauses.push_back(
        absl::StrCat(more, more == 1 ? " more thing changes" : " more things change"));
  }
  return clauses.empty() ? "nothing is moved" : Enumerate(clauses);
}

std::string WithoutStop(std::string text) {
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

}  // namespace

Outcome OutcomeOf(const v1::CounterfactualResponse& answer) {
  return answer.convincing() ? Outcome::kConvincing
         : answer.flipped()  ? Outcome::kJustFlipped
                             : Outcome::kNotFlipped;
}

std::string OutcomeText(Outcome outcome) {
  return outcome == Outcome::kConvincing    ? "convincing"
         : outcome == Outcome::kJustFlipped ? "just flipped"
                                            : "not flipped";
}

std::string ClauseOf(const std::string& words) {
  std::vector<std::string> clauses;
  for (const absl::string_view part : absl::StrSplit(words, ", ", absl::SkipEmpty())) {
    std::optional<std::string> clause = ClauseOfMeasure(std::string(part));
    if (!clause) {
      const std::vector<std::string> all = absl::StrSplit(words, absl::ByAnyChar(" ,"));
      return std::any_of(all.begin(), all.end(), IsVerb) ? words : absl::StrCat("it shows ", words);
    }
    clauses.push_back(*std::move(clause));
  }
  return Enumerate(clauses);
}

std::string WordsOfMove(const ExplainedPhotograph& explanation, int move) {
  const v1::AppliedAttribute& applied = explanation.answer.applied(move);
  const v1::Attribute& attribute = applied.attribute();
  if (HasWords(attribute)) {
    return AttributeText(attribute);
  }
  const auto place = static_cast<size_t>(move);
  if (place < explanation.frames.size() && !explanation.frames[place].empty()) {
    const absl::StatusOr<Bitmap> moved = DecodeImage(explanation.frames[place].back().file);
    const std::string words =
        moved.ok() ? WordsOfChange(explanation.reconstruction, *moved) : std::string();
    if (!words.empty()) {
      return words;
    }
  }
  return absl::StrCat(AttributeText(attribute), " moves to its ",
                      attribute.direction() == v1::DIRECTION_TO_MIN ? "smallest" : "greatest");
}

std::string SentenceOf(const ExplainedPhotograph& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  const std::string& decided = answer.original_prediction().label();
  const std::string& drawn = answer.reconstruction_prediction().label();
  const std::string& target = answer.target_label();
  const std::string start =
      decided == drawn ? absl::StrCat("Decided ", decided, ".")
                       : absl::StrCat("Decided ", decided, " (its reconstruction: ", drawn, ").");
  const std::string change = absl::StrCat(
      PercentText(ProbabilityOf(answer.reconstruction_prediction(), answer.target_class_id())),
      " → ",
      PercentText(ProbabilityOf(answer.counterfactual_prediction(), answer.target_class_id())));
  switch (OutcomeOf(answer)) {
    case Outcome::kConvincing:
      return absl::StrCat(start, " It becomes ", target, " when ", WhatIsMoved(explanation), ": ",
                          change, ".");
    case Outcome::kJustFlipped:
      return absl::StrCat(start, " It becomes ", target, " when ", WhatIsMoved(explanation), ": ",
                          change, ", which does not convince.");
    case Outcome::kNotFlipped:
      break;
  }
  return absl::StrCat(start, " It does not become ", target, ": ", WithoutStop(answer.reason()),
                      " (", change, ").");
}

std::string FidelityText(const v1::ReconstructionQuality& quality) {
  if (quality.unlike_training() || !quality.same_class()) {
    return "poor";
  }
  const bool good = quality.has_percentile() ? quality.percentile() <= kGoodPercentile
                                             : quality.ssim() >= kGoodSsim;
  const bool fair = quality.has_percentile() ? quality.percentile() <= kFairPercentile
                                             : quality.ssim() >= kFairSsim;
  return good ? "good" : fair ? "fair" : "poor";
}

std::string FidelitySentence(const v1::ReconstructionQuality& quality) {
  std::string text = absl::StrCat("Reconstruction: ", FidelityText(quality));
  if (quality.has_percentile()) {
    absl::StrAppend(&text, absl::StrFormat(", worse than %.0f %% of the held-out images",
                                           quality.percentile()));
  }
  return absl::StrCat(text, absl::StrFormat("; structural similarity %.2f", quality.ssim()),
                      quality.same_class() ? ", and decided like the photograph."
                                           : ", and decided otherwise than the photograph.");
}

}  // namespace stylex
