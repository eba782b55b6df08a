// What a training run needs to go on as if it had never stopped: networks, optimisers, counters, in
// one file that is replaced whole.
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

// Names the parts of a run; the pointers stay the caller's.
struct TrainingState {
  // Restored in place: names, shapes and types must agree.
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, torch::optim::Optimizer*> optimizers;
  std::map<std::string, int64_t> counters;
  // Any text that must be the same when resuming, e.g. the resolved config.
  std::string fingerprint;
};

// A full disk or an unwritable folder is an error; the previous file then still stands.
absl::Status SaveTrainingState(const TrainingState& state, const std::string& path);

// NOT_FOUND when there is no file; FAILED_PRECONDITION when the fingerprint differs; DATA_LOSS when
// the file cannot be read; INVALID_ARGUMENT when a tensor is missing or has another shape.
absl::Status LoadTrainingState(const std::string& path, TrainingState* state);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_
