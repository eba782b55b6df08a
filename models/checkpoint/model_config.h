// What a ModelConfig must be before networks are built from it.
#ifndef STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_
#define STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/config_faults.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

inline constexpr int kModelSchemaVersion = 1;

// The ranges that training and loading share: sizes of images and networks, condition, classifier.
// `prefix` comes before the fields' names.
void CheckNetworks(const v1::ModelConfig& config, absl::string_view prefix, ConfigFaults* faults);
// One entry for each of 4, 8, ..., resolution, which must be a power of two.
void CheckChannels(const google::protobuf::RepeatedField<int32_t>& channels,
                   absl::string_view network, int resolution, ConfigFaults* faults);
bool IsResolution(int resolution);
// False for a plain StyleGAN2.
bool HasEncoder(const v1::ModelConfig& config);
// FAILED_PRECONDITION, saying what it is and what it is good for, where there is none.
absl::Status NeedEncoder(const v1::ModelConfig& config, const std::string& origin);

// INVALID_ARGUMENT naming every field that is out of range, its value and what would be right;
// `origin` comes first in the message.
absl::Status ValidateModelConfig(const v1::ModelConfig& config, const std::string& origin);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_
