// The state from which a training run resumes without any difference: networks, optimisers and
// counters, in one file that is replaced atomically.
#ifndef STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_
#define STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_

#include <torch/optim/optimizer.h>
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stylex {

// The named parts of a run; does not own what the pointers refer to.
struct TrainingState {
  // Restored in place: names, shapes and types must agree.
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, torch::optim::Optimizer*> optimizers;  // Adam or AdamW
  std::map<std::string, int64_t> counters;
  // Text that must be equal when resuming.
  std::string fingerprint;
  // Instead of a fingerprint: what determines the run, a RunRecord as JSON, which ReadStoredRun
  // reads and compares before anything is restored.
  std::string record{};
};

// OK, or FAILED_PRECONDITION naming a tensor or an optimiser whose values are not finite.
absl::Status CheckFinite(const TrainingState& state);

// A full disk or an unwritable folder is an error and leaves the previous file intact.
absl::Status SaveTrainingState(const TrainingState& state, const std::string& path);

// As SaveTrainingState; the file that was there becomes the previous one.
absl::Status SaveKeepingPrevious(const TrainingState& state, const std::string& path);
// Where SaveKeepingPrevious keeps the last state but one.
std::string PreviousStatePath(const std::string& path);

// Loads, with `load`, the state at `path` or, if `before_last` and there is one, the one before it.
// Where that is bad (`load` fails as LoadTrainingState does for damage, or as CheckFinite), the
// other one instead, with a warning. A bad state at `path` is then kept as PATH.bad and the one
// before it put in its place, so that it does not become the previous one when the next is saved.
absl::Status LoadGoodState(const std::string& path, bool before_last,
                           const std::function<absl::Status(const std::string& path)>& load,
                           const std::function<void(const std::string&)>& warn);

// NOT_FOUND when there is no file; FAILED_PRECONDITION when there is no record and the fingerprint
// differs; DATA_LOSS when the file cannot be read; INVALID_ARGUMENT when a tensor is missing or has
// another shape. A counter that the file lacks keeps its value.
absl::Status LoadTrainingState(const std::string& path, TrainingState* state);

// The texts of a state; empty where it has none.
struct StateTexts {
  std::string fingerprint;
  std::string record;
};
// NOT_FOUND or DATA_LOSS, as LoadTrainingState; of the previous state where this one is damaged.
absl::StatusOr<StateTexts> ReadStateTexts(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAINING_STATE_H_
