// The two presets of a training run, and the validation of a config before anything is computed.
#ifndef STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_
#define STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "stylex/v1/train_config.pb.h"

namespace stylex {

// "default": the recommended networks and losses (docs/results/ablation.md). "seed": those of the
// replication study's code (Bosch et al. 2022). INVALID_ARGUMENT for another name.
absl::StatusOr<v1::TrainConfig> PresetConfig(const std::string& preset);

// The preset that `overrides` names ("default" when it names none) with every set field of
// `overrides` over it; channel lists replace the preset's.
absl::StatusOr<v1::TrainConfig> ResolveConfig(const v1::TrainConfig& overrides);

// The plain StyleGAN2 that a resolved config's StylEx is compared with: the same generator,
// discriminator, optimisers and regularisers, without encoder, condition and their losses, and with
// adversarial weight 1. A config without a mapping network gets StyleGAN2's 8 layers. Fields
// without meaning are cleared, so that they may change when the run is resumed.
v1::TrainConfig PlainStyleGan2(v1::TrainConfig config);

// INVALID_ARGUMENT naming every field that is out of range, its value and the valid range.
absl::Status ValidateTrainConfig(const v1::TrainConfig& config);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_
