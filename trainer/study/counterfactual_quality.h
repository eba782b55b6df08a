// How good counterfactuals are: field §2's figures that need no outside network, and whether other
// classifiers are convinced, too.
#ifndef STYLEX_TRAINER_STUDY_COUNTERFACTUAL_QUALITY_H_
#define STYLEX_TRAINER_STUDY_COUNTERFACTUAL_QUALITY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/oracle.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {

// One found counterfactual x' of a reconstruction r.
struct CounterfactualFigures {
  double attributes = 0;    // moved
  double distance = 0;      // sum of |change| / (max - min) over the moved coordinates
  double changed_area = 0;  // share of pixels that change by more than a twentieth of the range
  double l1 = 0, ssim = 0;  // of x' and r, pixels in [-1, 1]
  double gain = 0;          // of the target's probability
  double cout = 0;
  // Spearman of the moves' common strength, 0 to 1 in tenths, and the target's probability.
  std::optional<double> monotonicity;
};

struct OracleFigures {
  std::string name;
  int64_t agreeing = 0;      // photographs that it decides as the explained classifier does
  int64_t convinced = 0;     // found counterfactuals that it decides as the target
  int64_t by_the_image = 0;  // their reconstructions that it decides as the target already
};

struct QualityFigures {
  int64_t images = 0;
  std::vector<CounterfactualFigures> found;  // in the order of the images
  std::vector<OracleFigures> oracles;
};

// Validation images, the target being the runner-up to the decision on the reconstruction; the
// joint search of EvaluateFlips, each move to its extreme. FAILED_PRECONDITION without an attribute
// index.
absl::StatusOr<QualityFigures> EvaluateQuality(const Checkpoint& checkpoint, const Dataset& dataset,
                                               const std::vector<Oracle>& oracles,
                                               const FlipOptions& options, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_COUNTERFACTUAL_QUALITY_H_
