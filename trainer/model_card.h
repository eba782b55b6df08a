// The README.md of a checkpoint: what it is, what it was trained on and by which commands, and the
// figures that were measured.
#ifndef STYLEX_TRAINER_MODEL_CARD_H_
#define STYLEX_TRAINER_MODEL_CARD_H_

#include <optional>
#include <string>

#include "stylex/v1/attribute_index.pb.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Markdown. Says only what the config and the index hold.
std::string ModelCard(const v1::ModelConfig& config,
                      const std::optional<v1::AttributeIndex>& attributes);

}  // namespace stylex

#endif  // STYLEX_TRAINER_MODEL_CARD_H_
