// One photograph and the server's decoded answer, as shown in the report and the sheet.
#ifndef STYLEX_CLIENT_EXPLANATION_H_
#define STYLEX_CLIENT_EXPLANATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

struct Explanation {
  std::string path;   // of the photograph
  std::string stem;   // unique within a report; base name of its files
  Bitmap photograph;  // as the model sees it: square, at the model's resolution
  Bitmap reconstruction;
  Bitmap counterfactual;
  Bitmap difference;
  Bitmap on_photograph;  // the photograph with the change; empty if the server does not draw it
  std::vector<Bitmap> steps;
  bool local = false;                 // asked for: the change only where it is greatest
  v1::CounterfactualResponse answer;  // without its images
};

// "Shirt 97.2 %".
std::string DecisionText(const v1::Prediction& prediction);
// "reconstructed worse than 99.7 % of the held-out images".
std::string UnlikeTrainingText(const v1::ReconstructionQuality& quality);
// Its name, "ears"; else what was measured, "dark parts redder"; else "layer 4, channel 17".
std::string AttributeText(const v1::Attribute& attribute);
// Whether something was moved, and the photograph with that change is decided as the target.
bool HoldsOnPhotograph(const Explanation& explanation);
// What the change is not capable of: to be confined to where it is greatest, and to be carried over
// to the photograph. A sentence each.
std::vector<std::string> LimitsOfChange(const Explanation& explanation);
// How far it was moved: "44 %" where its text says what happens, else "44 % to its greatest".
std::string HowFarText(const v1::AppliedAttribute& applied);
// A looping animation of reconstruction and counterfactual.
absl::StatusOr<std::string> BeforeAndAfterGif(const Explanation& explanation);

}  // namespace stylex

#endif  // STYLEX_CLIENT_EXPLANATION_H_
