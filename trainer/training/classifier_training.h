// Training of the explained classifier: MobileNetV2 by cross-entropy, the best validation epoch
// kept.
#ifndef STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_
#define STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_

#include <torch/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/networks/mobilenet_v2.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/data/dataset.h"
#include "trainer/work_directory.h"

namespace stylex {

inline constexpr char kClassifierStateFile[] = "classifier_state.pt";

struct ClassifierScore {
  double accuracy = 0;
  double cross_entropy = 0;               // nats
  double expected_calibration_error = 0;  // 15 equal bins of the top probability
  int64_t images = 0;
};

// Scores a split (0: all images).
absl::StatusOr<ClassifierScore> ScoreClassifier(MobileNetV2 network, const Dataset& dataset,
                                                Split split, const torch::Device& device, Run* run);

// Trains in run.work_directory(), resumable after each epoch, and leaves the best epoch in
// WORK/classifier.safetensors beside WORK/classifier.json (architecture, labels, scores). When that
// file is there and the run is done, nothing is computed.
absl::Status TrainClassifier(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                             const torch::Device& device, Run* run);

struct TrainedClassifier {
  MobileNetV2 network{nullptr};
  v1::ModelConfig config;  // classifier, labels, resolution, channels, metrics
};
// Reads what TrainClassifier left in a work directory, or the classifier of a checkpoint's version
// directory. INVALID_ARGUMENT where the checkpoint's is a TorchScript file.
absl::StatusOr<TrainedClassifier> LoadTrainedClassifier(const std::string& directory);
// INVALID_ARGUMENT naming `path` when the classifier that lies there has other classes than
// `model`, as far as their number goes, or another size of images.
absl::Status CheckSameTask(const std::string& path, const v1::ModelConfig& classifier,
                           const v1::ModelConfig& model);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_
