// The first steps of every training command: reads the config, chooses the device, opens the data.
#ifndef STYLEX_TRAINER_COMMANDS_OPENING_H_
#define STYLEX_TRAINER_COMMANDS_OPENING_H_

#include <torch/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/checkpoint.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/commands/commands.h"
#include "trainer/data/dataset.h"

namespace stylex {

// The resolved config of a command; data path and labels are filled in by OpenData.
absl::StatusOr<v1::TrainConfig> ReadTrainConfig(const CommonOptions& common);

// Opens the config's data set and writes its labels into the config's model.
absl::StatusOr<std::unique_ptr<Dataset>> OpenData(const std::string& path, v1::TrainConfig* config);

// Whether a command needs the checkpoint's encoder; kOptional also accepts a plain StyleGAN2.
enum class Encoding { kNeeded, kOptional };
// Loads a version folder onto the command's device. FAILED_PRECONDITION if it has no encoder but
// one is needed.
absl::StatusOr<Checkpoint> OpenCheckpoint(const CommonOptions& common, const std::string& path,
                                          Encoding encoding = Encoding::kNeeded);
// Opens a data set for a finished model; it must have the model's labels, or the same number of
// them. `crop`: see DatasetConfig.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataOf(const v1::ModelConfig& model,
                                                    const std::string& path, int crop = 0);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_OPENING_H_
