// A look at a user's own classifier before hours are spent on explaining it: whether it can be
// explained at all, and whether it sees the images as it was trained to.
#ifndef STYLEX_TRAINER_TRAINING_CLASSIFIER_CHECK_H_
#define STYLEX_TRAINER_TRAINING_CLASSIFIER_CHECK_H_

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/classifier.h"
#include "trainer/data/dataset.h"

namespace stylex {

struct ClassifierReport {
  std::string accuracy;             // one line on the validation images; empty without labels
  std::vector<std::string> faults;  // each says what is wrong and what to do; empty: usable
};

// On at most 1000 images of the validation split, drawn with the seed: logits of one image and of a
// batch agree and are the same again, they are no probabilities, gradients of the image exist, are
// finite and not zero everywhere, and, where labels are known, the accuracy is above that of always
// answering one class and not surely better for images in another range (0..1, 0..255, ImageNet's
// normalisation), for blue, green, red, or with the labels in another order. An exception of the
// network is a fault as well. DATA_LOSS when no image can be read.
absl::StatusOr<ClassifierReport> CheckClassifier(
    const Classifier& classifier, const Dataset& dataset, const torch::Device& device,
    uint64_t seed, const std::function<void(const std::string&)>& warn);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_CLASSIFIER_CHECK_H_
