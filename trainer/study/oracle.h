// Other classifiers, asked whether what convinces the explained one convinces them, too (field §2).
#ifndef STYLEX_TRAINER_STUDY_ORACLE_H_
#define STYLEX_TRAINER_STUDY_ORACLE_H_

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/classifier.h"

namespace stylex {

// Another classifier of the same classes, which neither explainer nor search has seen.
struct Oracle {
  std::string name;  // its path
  std::shared_ptr<Classifier> classifier;
};

// Each path the work directory of `stylex-train classifier`, or a TorchScript file (.pt).
// INVALID_ARGUMENT for one of other classes or another size of images than `model` has.
absl::StatusOr<std::vector<Oracle>> OpenOracles(const std::vector<std::string>& paths,
                                                const v1::ModelConfig& model,
                                                const torch::Device& device);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_ORACLE_H_
