// What every training command does first: read the config, choose the device, open the data.
#ifndef STYLEX_TRAINER_SESSION_H_
#define STYLEX_TRAINER_SESSION_H_

#include <torch/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "models/checkpoint.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/commands.h"
#include "trainer/dataset.h"

namespace stylex {

// As ParseDevice (models/device.h), and sets LibTorch's threads; 0: all cores.
absl::StatusOr<torch::Device> ChooseDevice(const std::string& device, int threads);

// For training only: on a GPU, convolutions and products in TF32.
void PreferSpeed(const torch::Device& device);

// The resolved config of a command; data path and labels are filled in by OpenData.
absl::StatusOr<v1::TrainConfig> ReadTrainConfig(const CommonOptions& common);

// Opens the data set the config asks for and writes its labels into the config's model.
absl::StatusOr<std::unique_ptr<Dataset>> OpenData(const std::string& path, v1::TrainConfig* config);

// What a command does with a checkpoint's encoder: only kOptional takes a plain StyleGAN2.
enum class Encoding { kNeeded, kOptional };
// Loads a version folder onto the device that the command asks for. FAILED_PRECONDITION where it
// has no encoder and one is needed.
absl::StatusOr<Checkpoint> OpenCheckpoint(const CommonOptions& common, const std::string& path,
                                          Encoding encoding = Encoding::kNeeded);
// FAILED_PRECONDITION, saying which command makes it, for a checkpoint without attribute index.
absl::Status NeedAttributes(const Checkpoint& checkpoint);

// Opens a data set for a finished model; its labels must be the model's, or as many. `crop`: see
// DatasetConfig.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataOf(const v1::ModelConfig& model,
                                                    const std::string& path, int crop = 0);

}  // namespace stylex

#endif  // STYLEX_TRAINER_SESSION_H_
