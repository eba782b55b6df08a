// Validation of a ModelConfig before networks are built from it.
#ifndef STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_
#define STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/checkpoint/config_faults.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

inline constexpr int kModelSchemaVersion = 1;

// Checks the ranges that training and loading have in common: sizes of images and networks,
// condition, classifier. `prefix` is put before the fields' names.
void CheckNetworks(const v1::ModelConfig& config, absl::string_view prefix, ConfigFaults* faults);
// Checks that there is one entry for each of 4, 8, ..., resolution, which must be a power of two.
void CheckChannels(const google::protobuf::RepeatedField<int32_t>& channels,
                   absl::string_view network, int resolution, ConfigFaults* faults);
// A power of two from 16 to 512.
bool IsResolution(int resolution);
// False for a plain StyleGAN2.
bool HasEncoder(const v1::ModelConfig& config);
// FAILED_PRECONDITION for a model without an encoder, explaining what such a model can be used for.
absl::Status NeedEncoder(const v1::ModelConfig& config, const std::string& origin);

// INVALID_ARGUMENT naming every field that is out of range, its value and the valid range; the
// message starts with `origin`.
absl::Status ValidateModelConfig(const v1::ModelConfig& config, const std::string& origin);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_MODEL_CONFIG_H_
