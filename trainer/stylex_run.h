// `stylex-train stylex`: the training loop around StylexTraining, with its log, samples and state.
#ifndef STYLEX_TRAINER_STYLEX_RUN_H_
#define STYLEX_TRAINER_STYLEX_RUN_H_

#include <torch/types.h>

#include <memory>

#include "absl/status/status.h"
#include "models/classifier.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/dataset.h"
#include "trainer/run.h"
#include "trainer/stylex_training.h"

namespace stylex {

inline constexpr char kStylexStateFile[] = "stylex_state.pt";

// Trains to config.stylex().images, saving the state at intervals and on SIGTERM or SIGINT (then it
// returns CANCELLED; --resume goes on). `training` holds the averaged networks afterwards.
absl::Status RunStylexTraining(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                               StylexTraining* training, Run* run);

// Restores the run's last saved state into `training`.
absl::Status RestoreStylexTraining(StylexTraining* training, Run* run);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STYLEX_RUN_H_
