// Loads a checkpoint's version directory (NAME/VERSION: model.json, weights.safetensors,
// classifier.pt, attributes.json, truth.json, README.md) as a bundle, and writes one.
#ifndef STYLEX_MODELS_CHECKPOINT_H_
#define STYLEX_MODELS_CHECKPOINT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "models/networks/mobilenet_v2.h"
#include "models/stylex.h"
#include "stylex/v1/attribute_index.pb.h"
#include "stylex/v1/known_truth.pb.h"

namespace stylex {

// Prefix of the built-in classifier's tensor names in weights.safetensors.
inline constexpr char kClassifierPrefix[] = "classifier.";

struct Checkpoint {
  Stylex model;
  std::optional<v1::AttributeIndex> attributes;
  std::optional<v1::KnownTruth> truth = std::nullopt;
};

// Verifies every hash, builds the networks, checks that exactly the expected weights exist with the
// right shapes, that all are finite, and that the attribute index fits the generator. NOT_FOUND,
// DATA_LOSS (hash, file) or INVALID_ARGUMENT; the message names the file and the fault. Attributes
// without a positive mean effect are left out of the index; truth that is not of this index
// (TruthMatches) is left out as well.
absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& version_directory);

// Of truth.json.
inline constexpr int kKnownTruthSchemaVersion = 1;
// Whether the attributes that `truth` was measured on are the first ones of `index`.
bool TruthMatches(const v1::KnownTruth& truth, const v1::AttributeIndex& index);

// FAILED_PRECONDITION, naming the command that creates it, for a checkpoint without an attribute
// index.
absl::Status NeedAttributes(const Checkpoint& checkpoint);

struct CheckpointToWrite {
  v1::ModelConfig config;  // `files` is filled in
  Networks networks;
  MobileNetV2 classifier{nullptr};     // built-in classifier's weights, or
  std::string torchscript_classifier;  // the path of a TorchScript file to copy
  std::optional<v1::AttributeIndex> attributes;
  std::string model_card;  // README.md
};

// Writes ROOT/NAME/VERSION (version 0: the next free one) atomically; returns its path.
absl::StatusOr<std::string> WriteCheckpoint(const CheckpointToWrite& checkpoint,
                                            const std::string& root, const std::string& name,
                                            int64_t version, bool replace);

}  // namespace stylex

#endif  // STYLEX_MODELS_CHECKPOINT_H_
