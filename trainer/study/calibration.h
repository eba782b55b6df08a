// Whether a classifier's probabilities mean what they say (Guo et al. 2017, "On Calibration of
// Modern Neural Networks").
#ifndef STYLEX_TRAINER_STUDY_CALIBRATION_H_
#define STYLEX_TRAINER_STUDY_CALIBRATION_H_

#include <torch/types.h>

#include <cstdint>

namespace stylex {

// Expected calibration error: mean over the images of |confidence - accuracy| of their bin, of 15
// equally wide bins of the greatest probability. logits: [N, K]; labels: [N]. 0 for no images.
double CalibrationError(const torch::Tensor& logits, const torch::Tensor& labels,
                        double temperature);

// The temperature, 0.05 to 20, with the least mean negative log-likelihood of the labels.
double FitTemperature(const torch::Tensor& logits, const torch::Tensor& labels);

struct Calibration {
  double temperature = 1;   // fitted on every second image, the first among them
  int64_t images = 0;       // the others, of which the following are
  double error_before = 0;  // at temperature 1
  double error = 0;         // at the fitted temperature
};

// N > 1.
Calibration Calibrate(const torch::Tensor& logits, const torch::Tensor& labels);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_CALIBRATION_H_
