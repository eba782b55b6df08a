#include "client/report/explanation.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "image/gif.h"

namespace stylex {
namespace {

constexpr int kGifFrameMs = 600;

}  // namespace

SyntheticMark MarkOf(const ExplainedPhotograph& explanation, bool in_part) {
  SyntheticMark mark = MakeMark(explanation.answer.model(), explanation.input_sha256);
  mark.in_part = in_part;
  return mark;
}

std::string PercentText(double share) {
  const double percent = 100 * share;
  if (percent > 0 && percent < 0.1) {
    return "under 0.1 %";
  }
  if (percent < 100 && percent > 99.9) {
    return "over 99.9 %";
  }
  const bool rounded_too_far = percent > 0 && percent < 100 && (percent < 1 || percent > 99);
  return absl::StrFormat(rounded_too_far ? "%.1f %%" : "%.0f %%", percent);
}

double ProbabilityOf(const v1::Prediction& prediction, int class_id) {
  return class_id >= 0 && class_id < prediction.probabilities_size()
             ? prediction.probabilities(class_id)
             : 0;
}

std::string DecisionText(const v1::Prediction& prediction) {
  return absl::StrFormat("%s %.1f %%", prediction.label(),
                         100 * ProbabilityOf(prediction, prediction.class_id()));
}

std::string UnlikeTrainingText(const v1::ReconstructionQuality& quality) {
  return absl::StrFormat(
      "reconstructed worse than %.1f %% of the held-out images: do not trust what explains it",
      quality.percentile());
}

bool HoldsOnPhotograph(const ExplainedPhotograph& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  return !explanation.on_photograph.data.empty() && answer.applied_size() > 0 &&
         answer.holds_on_photograph();
}

std::vector<std::string> LimitsOfChange(const ExplainedPhotograph& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  std::vector<std::string> limits;
  if (explanation.on_photograph.data.empty() || answer.applied_size() == 0) {
    return limits;  // an older server, which knows neither, or nothing was moved
  }
  if (explanation.local && !answer.local_applied()) {
    limits.push_back(absl::StrCat(
        "The whole change is shown: where it is greatest alone, it ",
        answer.convincing() ? "does not convince." : "is not decided in the same way."));
  }
  if (answer.flipped() && !answer.holds_on_photograph()) {
    limits.push_back(absl::StrCat("Carried over to the photograph, the change is decided as ",
                                  answer.on_photograph_prediction().label(), ", not as ",
                                  answer.target_label(), "."));
  }
  return limits;
}

std::string AttributeText(const v1::Attribute& attribute) {
  if (!attribute.name().empty()) {
    return attribute.name();
  }
  return attribute.description().empty() ? absl::StrCat("attribute ", attribute.index())
                                         : attribute.description();
}

bool HasWords(const v1::Attribute& attribute) {
  return !attribute.name().empty() || !attribute.description().empty();
}

std::string SourceOfWords(const v1::Attribute& attribute, const std::string& otherwise) {
  return !attribute.name().empty()          ? "named by a person"
         : !attribute.description().empty() ? "measured on held-out pictures"
                                            : otherwise;
}

std::string HowFarText(const v1::AppliedAttribute& applied) {
  const v1::Attribute& attribute = applied.attribute();
  const bool told = HasWords(attribute);
  return absl::StrCat(absl::StrFormat("%.0f %%", 100 * applied.shift()), told ? "" : " to its ",
                      told                                            ? ""
                      : attribute.direction() == v1::DIRECTION_TO_MIN ? "smallest"
                                                                      : "greatest");
}

absl::StatusOr<std::string> BeforeAndAfterGif(const ExplainedPhotograph& explanation) {
  const std::array<Bitmap, 2> frames = {explanation.reconstruction, explanation.counterfactual};
  return EncodeGif(frames, kGifFrameMs, MarkOf(explanation).Comment());
}

}  // namespace stylex
