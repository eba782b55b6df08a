// What a ModelConfig must be before networks are built from it.
#ifndef STYLEX_MODELS_MODEL_CONFIG_H_
#define STYLEX_MODELS_MODEL_CONFIG_H_

#include <string>

#include "absl/status/status.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

inline constexpr int kModelSchemaVersion = 1;

// INVALID_ARGUMENT naming every field that is out of range, its value and what would be right;
// `origin` comes first in the message.
absl::Status ValidateModelConfig(const v1::ModelConfig& config, const std::string& origin);

}  // namespace stylex

#endif  // STYLEX_MODELS_MODEL_CONFIG_H_
