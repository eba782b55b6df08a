// The two presets of a training run, and the checks that a config passes before anything is
// computed.
#ifndef STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_
#define STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "stylex/v1/train_config.pb.h"

namespace stylex {

// "default": the recommended networks and losses (algorithms §4.8). "seed": the replication study's
// own choices (§4.1). INVALID_ARGUMENT for another name.
absl::StatusOr<v1::TrainConfig> PresetConfig(const std::string& preset);

// The preset that `overrides` names ("default" when it names none) with every set field of
// `overrides` over it; channel lists replace the preset's.
absl::StatusOr<v1::TrainConfig> ResolveConfig(const v1::TrainConfig& overrides);

// The plain StyleGAN2 that a resolved config's StylEx is compared with: the same generator,
// discriminator, optimisers and regularisers, without encoder, condition and the losses of both,
// and the adversarial loss of weight 1. A config without mapping network gets StyleGAN2's own of 8
// layers. Fields that no longer mean anything are cleared, so that they may change when the run is
// resumed.
v1::TrainConfig PlainStyleGan2(v1::TrainConfig config);

// INVALID_ARGUMENT naming every field that is out of range, its value and what would be right.
absl::Status ValidateTrainConfig(const v1::TrainConfig& config);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_TRAIN_CONFIG_H_
