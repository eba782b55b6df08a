// `stylex-train stylex` and `stylegan2`: the training loop around StylexTraining, with its log,
// samples and state.
#ifndef STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_
#define STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_

#include <torch/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "models/classifier.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/data/dataset.h"
#include "trainer/training/stylex_training.h"
#include "trainer/work_directory.h"

namespace stylex {

// The run's name in its log: "stylex", or "stylegan2" without an encoder.
std::string StylexRunName(const v1::ModelConfig& model);
// The name of the run's state file in its work directory.
std::string StylexStateFile(const v1::ModelConfig& model);

// Trains to config.stylex().images, saving the state at intervals and on SIGTERM or SIGINT (returns
// CANCELLED; --resume continues). `training` holds the averaged networks afterwards.
absl::Status RunStylexTraining(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                               StylexTraining* training, WorkDirectory* run);

// Restores the run's last saved state into `training`.
absl::Status RestoreStylexTraining(const v1::TrainConfig& config, StylexTraining* training,
                                   WorkDirectory* run);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_
