// One photograph and the server's decoded answer, as shown in the report and the sheet.
#ifndef STYLEX_CLIENT_REPORT_EXPLANATION_H_
#define STYLEX_CLIENT_REPORT_EXPLANATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/report/synthetic_mark.h"
#include "image/bitmap.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// The picture after an attribute was moved by itself.
struct Frame {
  double shift = 0;        // 1: to the attribute's extreme
  double probability = 0;  // of the target class
  std::string file;        // PNG or JPEG, as the server delivered it
};

struct ExplainedPhotograph {
  std::string path;          // of the photograph
  std::string stem;          // unique within a report; base name of its files
  std::string folder_label;  // the class that its folder is named after; empty: of none
  std::string input_sha256;  // of the photograph's file, hexadecimal
  Bitmap photograph;         // as the model sees it: square, at the model's resolution
  Bitmap reconstruction;
  Bitmap counterfactual;
  Bitmap on_photograph;  // the photograph with the change; empty if the server does not draw it
  std::vector<Bitmap> steps;
  // Of each applied attribute, from where it stands in the reconstruction (the first frame, without
  // a file of its own) to where it was moved; may be empty.
  std::vector<std::vector<Frame>> frames;
  bool local = false;                 // asked for: the change only where it is greatest
  v1::CounterfactualResponse answer;  // without its images
};

// What its drawn pictures are marked with.
SyntheticMark MarkOf(const ExplainedPhotograph& explanation, bool in_part = false);
// "97.2 %"; with one digit more only where rounding would say too much: never "0 %" or "100 %"
// unless it is exactly that.
std::string PercentText(double share);
// "Shirt 97.2 %".
std::string DecisionText(const v1::Prediction& prediction);
// The probability of a class; 0 for one that the prediction does not have.
double ProbabilityOf(const v1::Prediction& prediction, int class_id);
// "reconstructed worse than 99.7 % of the held-out images".
std::string UnlikeTrainingText(const v1::ReconstructionQuality& quality);
// Its name, "ears"; else what was measured, "dark parts redder"; else "attribute 288".
std::string AttributeText(const v1::Attribute& attribute);
// Whether there are words for what it does: a name, or what was measured.
bool HasWords(const v1::Attribute& attribute);
// The source of its words, a person or a measurement; `otherwise` where there are none.
std::string SourceOfWords(const v1::Attribute& attribute, const std::string& otherwise);
// Whether something was moved, and the photograph with that change is decided as the target.
bool HoldsOnPhotograph(const ExplainedPhotograph& explanation);
// Why the change could not be confined to where it is greatest, and why it does not hold on the
// photograph; a sentence each, none where it could.
std::vector<std::string> LimitsOfChange(const ExplainedPhotograph& explanation);
// How far it was moved: "44 %" where its text says what happens, else "44 % to its greatest".
std::string HowFarText(const v1::AppliedAttribute& applied);
// A looping animation of reconstruction and counterfactual.
absl::StatusOr<std::string> BeforeAndAfterGif(const ExplainedPhotograph& explanation);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_EXPLANATION_H_
