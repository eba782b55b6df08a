// The state from which a training run resumes without any difference: networks, optimisers and
// counters, in one file that is replaced atomically.
#ifndef STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_
#define STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stylex {

// The named parts of a run; does not own what the pointers refer to.
struct TrainingState {
  // Restored in place: names, shapes and types must agree.
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, torch::optim::Optimizer*> optimizers;
  std::map<std::string, int64_t> counters;
  // Text that must be equal when resuming, e.g. the resolved config.
  std::string fingerprint;
};

// A full disk or an unwritable folder is an error and leaves the previous file intact.
absl::Status SaveTrainingState(const TrainingState& state, const std::string& path);

// NOT_FOUND when there is no file; FAILED_PRECONDITION when the fingerprint differs; DATA_LOSS when
// the file cannot be read; INVALID_ARGUMENT when a tensor is missing or has another shape.
absl::Status LoadTrainingState(const std::string& path, TrainingState* state);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_
