// The explained classifier between its own training and the explainer's: built-in networks in the
// folder that `stylex-train classifier` leaves, or in a checkpoint's version directory.
#ifndef STYLEX_MODELS_TRAINED_CLASSIFIER_H_
#define STYLEX_MODELS_TRAINED_CLASSIFIER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/networks/mobilenet_v2.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

struct TrainedClassifier {
  MobileNetV2 network{nullptr};
  v1::ModelConfig config;  // classifier, labels, resolution, channels, metrics
};
// Writes DIRECTORY/classifier.safetensors and DIRECTORY/classifier.json, each whole or not at all.
absl::Status WriteTrainedClassifier(const TrainedClassifier& classifier,
                                    const std::string& directory);
// Reads what WriteTrainedClassifier left, or the classifier of a checkpoint's version
// directory. INVALID_ARGUMENT where the checkpoint's is a TorchScript file.
absl::StatusOr<TrainedClassifier> LoadTrainedClassifier(const std::string& directory);
// INVALID_ARGUMENT naming `path` when the classifier there has a different number of classes than
// `model`, the same classes in another order, or a different image size.
absl::Status CheckSameTask(const std::string& path, const v1::ModelConfig& classifier,
                           const v1::ModelConfig& model);

// An untrained network as the config describes it.
MobileNetV2 MakeClassifierNetwork(const v1::ModelConfig& model);

}  // namespace stylex

#endif  // STYLEX_MODELS_TRAINED_CLASSIFIER_H_
