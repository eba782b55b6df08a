#include "client/sheet.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "image/canvas.h"
#include "image/gif.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kTile = 96;
constexpr int kGap = 8;
constexpr int kColumns = 4;
constexpr int kTextWidth = 380;
constexpr int kHeader = 24;
constexpr int kGifFrameMs = 600;
constexpr Rgb kInk = {30, 30, 40};
constexpr Rgb kMuted = {110, 110, 120};
constexpr Rgb kWarning = {180, 60, 20};

void DrawWords(const Explanation& explanation, int x, int y, Canvas* canvas) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  const auto line = [&](const std::string& text, Rgb color) {
    canvas->Text(text, x, y, color);
    y += Canvas::kLineHeight + 2;
  };
  line(explanation.stem, kMuted);
  line(absl::StrCat("decided: ", DecisionText(answer.original_prediction())), kInk);
  line(absl::StrCat(answer.flipped() ? "flipped: " : "not flipped: ",
                    DecisionText(answer.counterfactual_prediction())),
       answer.convincing() ? kInk : kWarning);
  if (answer.quality().unlike_training()) {
    line("unlike the training images", kWarning);
  }
  if (!answer.quality().same_class()) {
    line(absl::StrCat("reconstruction decided as ", answer.reconstruction_prediction().label()),
         kWarning);
  }
  constexpr int kLinesLeft = 3;
  for (int i = 0; i < std::min(kLinesLeft, answer.applied_size()); ++i) {
    const v1::AppliedAttribute& applied = answer.applied(i);
    line(absl::StrFormat("%d. %s, %s -> %.1f %%", i + 1, AttributeText(applied.attribute()),
                         HowFarText(applied), 100 * applied.target_probability()),
         kInk);
  }
  if (answer.applied_size() > kLinesLeft) {
    line(absl::StrCat("and ", answer.applied_size() - kLinesLeft, " more"), kMuted);
  }
}

}  // namespace

std::string DecisionText(const v1::Prediction& prediction) {
  const int k = prediction.class_id();
  const double probability =
      k >= 0 && k < prediction.probabilities_size() ? prediction.probabilities(k) : 0;
  return absl::StrFormat("%s %.1f %%", prediction.label(), 100 * probability);
}

std::string UnlikeTrainingText(const v1::ReconstructionQuality& quality) {
  return absl::StrFormat(
      "reconstructed worse than %.1f %% of the held-out images: do not trust what explains it",
      quality.percentile());
}

bool HoldsOnPhotograph(const Explanation& explanation) {
  const v1::CounterfactualResponse& answer = explanation.answer;
  return !explanation.on_photograph.data.empty() && answer.applied_size() > 0 &&
         answer.holds_on_photograph();
}

std::vector<std::string> LimitsOfChange(const Explanation& explanation) {
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
  return attribute.description().empty()
             ? absl::StrFormat("layer %d, channel %d", attribute.layer(), attribute.channel())
             : attribute.description();
}

std::string HowFarText(const v1::AppliedAttribute& applied) {
  const v1::Attribute& attribute = applied.attribute();
  const bool told = !attribute.name().empty() || !attribute.description().empty();
  return absl::StrCat(absl::StrFormat("%.0f %%", 100 * applied.shift()), told ? "" : " to its ",
                      told                                            ? ""
                      : attribute.direction() == v1::DIRECTION_TO_MIN ? "smallest"
                                                                      : "greatest");
}

absl::StatusOr<std::string> BeforeAndAfterGif(const Explanation& explanation) {
  const std::array<Bitmap, 2> frames = {explanation.reconstruction, explanation.counterfactual};
  return EncodeGif(frames, kGifFrameMs);
}

Bitmap DrawContactSheet(const std::vector<Explanation>& explanations) {
  const int row_height = kTile + kGap;
  Canvas canvas(kGap + kColumns * (kTile + kGap) + kTextWidth,
                kHeader + static_cast<int>(explanations.size()) * row_height);
  const char* titles[kColumns] = {"photograph", "reconstruction", "counterfactual", "difference"};
  for (int c = 0; c < kColumns; ++c) {
    canvas.Text(titles[c], kGap + c * (kTile + kGap), kGap, kMuted);
  }
  int y = kHeader;
  for (const Explanation& explanation : explanations) {
    int x = kGap;
    for (const Bitmap* bitmap : {&explanation.photograph, &explanation.reconstruction,
                                 &explanation.counterfactual, &explanation.difference}) {
      if (!bitmap->data.empty()) {
        canvas.Draw(ResizeNearest(*bitmap, kTile, kTile), x, y);
      }
      x += kTile + kGap;
    }
    DrawWords(explanation, x, y + 2, &canvas);
    y += row_height;
  }
  return canvas.bitmap();
}

}  // namespace stylex
