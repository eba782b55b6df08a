// Sheets of images, to look at while a network trains.
#ifndef STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_
#define STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_

#include <torch/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace stylex {

// One row of the sheet a tensor [N, C, R, R] in [-1, 1], each image doubled in size below 64
// pixels; a PNG, written whole or not at all.
absl::Status WriteSampleGrid(const std::vector<torch::Tensor>& rows, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_
