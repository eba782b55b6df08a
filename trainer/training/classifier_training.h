// Training of the explained classifier: MobileNetV2 by cross-entropy, the best validation epoch
// kept.
#ifndef STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_
#define STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_

#include <torch/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/networks/mobilenet_v2.h"
#include "stylex/v1/run_record.pb.h"
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

// Images [n, ...] with Gaussian noise, whose standard deviation is drawn for each image from 0 to
// `most`; the images themselves, and no random number drawn, if that is 0. Draws from the device's
// default generator.
torch::Tensor WithNoise(const torch::Tensor& images, double most);

// Scores a split (0: all images).
absl::StatusOr<ClassifierScore> ScoreClassifier(MobileNetV2 network, const Dataset& dataset,
                                                Split split, const torch::Device& device,
                                                WorkDirectory* run);

// Trains in run.path(), and leaves the best epoch in WORK/classifier.safetensors beside
// WORK/classifier.json (architecture, labels, scores). Computes nothing if that file exists and the
// run is complete. Saves its state after each epoch and on SIGTERM or SIGINT (returns CANCELLED),
// and goes back, once, when it diverges, as RunStylexTraining.
absl::Status TrainClassifier(const v1::RunRecord& record, const Dataset& dataset,
                             const torch::Device& device, WorkDirectory* run);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_CLASSIFIER_TRAINING_H_
