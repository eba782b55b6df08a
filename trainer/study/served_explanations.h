// Explanations as a server gives them, judged on held-out images: the delivered counterfactual of a
// call that asks for nothing special, towards the runner-up.
#ifndef STYLEX_TRAINER_STUDY_SERVED_EXPLANATIONS_H_
#define STYLEX_TRAINER_STUDY_SERVED_EXPLANATIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/oracle.h"

namespace stylex {

// Random moves of one coordinate to an extreme that are tried on every image.
inline constexpr int64_t kRandomTries = 8;

// Of one image. All decisions are on images of 8 bits a sample, as their files hold them.
struct ServedExplanation {
  // Whether one attribute, chosen for the image, makes the decision the target.
  bool one_attribute = false;
  int64_t random_flips = 0;  // of kRandomTries
  // Whether the answer is convincing: the target, with kDefaultProbability, by at most
  // kDefaultMoves attributes. All below is of a convincing one.
  bool convincing = false;
  int64_t moved = 0;                  // attributes
  std::vector<bool> follows;          // of each oracle: decides it as the target
  bool after_median = false;          // still the target after a median of 3x3 pixels
  bool encoded_anew = false;          // and of the reconstruction of the counterfactual
  bool on_photograph = false;         // and of the photograph with the change (ChangeOnPhotograph)
  bool random_as_many = false;        // as many random coordinates, moved instead
  double cout = 0, changed_area = 0;  // of reconstruction and counterfactual
};

struct ServedOptions {
  int64_t images = 0;  // drawn with the seed; 0: the whole split
  uint64_t seed = 1;
  int workers = 1;
};

// Of each readable image. FAILED_PRECONDITION without an attribute index.
absl::StatusOr<std::vector<ServedExplanation>> ExplainAsServed(const Checkpoint& checkpoint,
                                                               const Dataset& dataset,
                                                               const std::vector<Oracle>& oracles,
                                                               const ServedOptions& options,
                                                               Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_SERVED_EXPLANATIONS_H_
