// Quality of counterfactuals: sparsity, proximity, SSIM (Wang et al. 2004), COUT (Khorram and Fuxin
// 2022) and monotonicity, which need no outside network, and transfer to other classifiers.
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

// A pixel has changed from this difference on: a twentieth of [-1, 1].
inline constexpr double kVisibleChange = 0.1;

// One found counterfactual x' of a reconstruction r.
struct CounterfactualFigures {
  double attributes = 0;    // moved
  double distance = 0;      // sum of |change| / (max - min) over the moved coordinates
  double changed_area = 0;  // share of pixels that change by more than a twentieth of the range
  double l1 = 0, ssim = 0;  // between x' and r, pixels in [-1, 1]
  double gain = 0;          // in the target's probability
  double cout = 0;
  // Spearman correlation of the moves' common strength, 0 to 1 in steps of 0.1, with the target's
  // probability.
  std::optional<double> monotonicity;
};

struct OracleFigures {
  std::string name;
  int64_t agreeing = 0;      // photographs on which it agrees with the explained classifier
  int64_t convinced = 0;     // found counterfactuals that it classifies as the target
  int64_t by_the_image = 0;  // those whose reconstruction it already classifies as the target
};

struct QualityFigures {
  int64_t images = 0;
  std::vector<CounterfactualFigures> found;  // in the order of the images
  std::vector<OracleFigures> oracles;
};

// Searches jointly, as EvaluateFlips does, on validation images; the target is the runner-up of the
// decision on the reconstruction, and each move goes to its extreme. FAILED_PRECONDITION without an
// attribute index.
absl::StatusOr<QualityFigures> EvaluateQuality(const Checkpoint& checkpoint, const Dataset& dataset,
                                               const std::vector<Oracle>& oracles,
                                               const FlipOptions& options, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_COUNTERFACTUAL_QUALITY_H_
