// `stylex-train stylex` and `stylegan2`: the training loop around StylexTraining, with its log,
// samples and state.
#ifndef STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_
#define STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/classifier.h"
#include "models/networks/discriminator.h"
#include "stylex/v1/run_record.pb.h"
#include "trainer/data/dataset.h"
#include "trainer/training/stylex_training.h"
#include "trainer/work_directory.h"

namespace stylex {

// The run's name in its log: "stylex", or "stylegan2" without an encoder.
std::string StylexRunName(const v1::ModelConfig& model);
// The name of the run's state file in its work directory.
std::string StylexStateFile(const v1::ModelConfig& model);

// Trains to the record's config.stylex().images, saving the state at intervals and on SIGTERM or
// SIGINT (returns CANCELLED; --resume continues). `training` holds the averaged networks
// afterwards.
//
// Only finite states whose losses have not exploded are saved, and the last two are kept. When the
// training diverges, it goes back to the older one, once, with half the learning rates, and warns;
// FAILED_PRECONDITION with what to do when it diverges again. INVALID_ARGUMENT names images that
// the classifier answers with values that are not finite.
absl::Status RunStylexTraining(const v1::RunRecord& record, const Dataset& dataset,
                               StylexTraining* training, WorkDirectory* run);

// Fills `training` from the state at `path` or, if `before_last` and there is one, from the one
// before it; from the other one, with a warning, if that is damaged or not finite
// (LoadGoodState). FAILED_PRECONDITION if neither is.
absl::Status LoadLastState(const v1::RunRecord& record, const std::string& path, bool before_last,
                           StylexTraining* training,
                           const std::function<void(const std::string&)>& warn);

// Restores the run's last saved state into `training`, or the one before if that is not finite.
absl::Status RestoreStylexTraining(const v1::RunRecord& record, const Dataset& dataset,
                                   StylexTraining* training, WorkDirectory* run);

// The discriminator of the run in this work directory that trained `model`: checkpoints have none.
// NOT_FOUND without a run; FAILED_PRECONDITION where its images or classes are others than the
// model's.
absl::StatusOr<Discriminator> LoadDiscriminator(const std::string& work_directory,
                                                const v1::ModelConfig& model);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAINING_LOOP_H_
