// The README.md of a checkpoint: what it is, the data and commands it was trained with, and its
// measured figures.
#ifndef STYLEX_TRAINER_TRAINING_MODEL_CARD_H_
#define STYLEX_TRAINER_TRAINING_MODEL_CARD_H_

#include <optional>
#include <string>

#include "stylex/v1/attribute_index.pb.h"
#include "stylex/v1/known_truth.pb.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Markdown. Contains only what the config, the index and the truth hold.
std::string ModelCard(const v1::ModelConfig& config,
                      const std::optional<v1::AttributeIndex>& attributes,
                      const std::optional<v1::KnownTruth>& truth = std::nullopt);

// The same for a version whose folder already has a card: sections (## TITLE) that people added,
// e.g. on its limits, are kept, before the figures.
std::string RenewedModelCard(const std::string& version_folder, const v1::ModelConfig& config,
                             const std::optional<v1::AttributeIndex>& attributes,
                             const std::optional<v1::KnownTruth>& truth = std::nullopt);
// The sections that people added to a card, each with its heading; empty when there are none.
std::string OwnSections(const std::string& card);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_MODEL_CARD_H_
