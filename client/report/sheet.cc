#include "client/report/sheet.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/report/change.h"
#include "client/report/sentence.h"
#include "image/canvas.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kTile = 96;
constexpr int kGap = 8;
constexpr int kColumns = 4;
constexpr int kTextWidth = 380;
constexpr int kHeader = 24;
constexpr int kWidth = kGap + kColumns * (kTile + kGap) + kTextWidth;
constexpr int kRowHeight = kTile + kGap;
constexpr Rgb kInk = {30, 30, 40};
constexpr Rgb kMuted = {110, 110, 120};
constexpr Rgb kWarning = {180, 60, 20};

void DrawWords(const ExplainedPhotograph& explanation, int x, int y, Canvas* canvas) {
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
    line(absl::StrFormat("%d. %s, %s -> %.1f %%", i + 1, WordsOfMove(explanation, i),
                         HowFarText(applied), 100 * applied.target_probability()),
         kInk);
  }
  if (answer.applied_size() > kLinesLeft) {
    line(absl::StrCat("and ", answer.applied_size() - kLinesLeft, " more"), kMuted);
  }
}

}  // namespace

Bitmap DrawSheetRow(const ExplainedPhotograph& explanation) {
  Canvas canvas(kWidth, kRowHeight);
  const Bitmap map =
      explanation.reconstruction.data.size() == explanation.counterfactual.data.size()
          ? DrawChangeMap(explanation.reconstruction, explanation.counterfactual)
          : Bitmap();
  int x = kGap;
  for (const Bitmap* bitmap :
       {&explanation.photograph, &explanation.reconstruction, &explanation.counterfactual, &map}) {
    if (!bitmap->data.empty()) {
      canvas.Draw(ResizeNearest(*bitmap, kTile, kTile), x, 0);
    }
    x += kTile + kGap;
  }
  DrawWords(explanation, x, 2, &canvas);
  return canvas.bitmap();
}

Bitmap JoinSheetRows(const std::vector<Bitmap>& rows) {
  Canvas canvas(kWidth, kHeader + static_cast<int>(rows.size()) * kRowHeight);
  const char* titles[kColumns] = {"photograph", "reconstruction", "counterfactual", "difference"};
  for (int c = 0; c < kColumns; ++c) {
    canvas.Text(titles[c], kGap + c * (kTile + kGap), kGap, kMuted);
  }
  int y = kHeader;
  for (const Bitmap& row : rows) {
    canvas.Draw(row, 0, y);
    y += kRowHeight;
  }
  return canvas.bitmap();
}

}  // namespace stylex
