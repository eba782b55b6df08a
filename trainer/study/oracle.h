// Oracles: other classifiers, which tell whether a counterfactual transfers beyond the explained
// one.
#ifndef STYLEX_TRAINER_STUDY_ORACLE_H_
#define STYLEX_TRAINER_STUDY_ORACLE_H_

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/classifier.h"

namespace stylex {

// Another classifier of the same classes, used by neither explainer nor search.
struct Oracle {
  std::string name;  // its path
  std::shared_ptr<Classifier> classifier;
};

// Each path the work directory of `stylex-train classifier`, or a TorchScript file (.pt).
// INVALID_ARGUMENT if the number of classes or the image size differs from `model`.
absl::StatusOr<std::vector<Oracle>> OpenOracles(const std::vector<std::string>& paths,
                                                const v1::ModelConfig& model,
                                                const torch::Device& device);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_ORACLE_H_
