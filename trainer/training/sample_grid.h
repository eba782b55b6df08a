// Sheets of sample images for inspection during training.
#ifndef STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_
#define STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_

#include <torch/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace stylex {

// Each tensor [N, C, R, R] in [-1, 1] is one row of the sheet (DrawPictureSheet). A PNG, written
// atomically.
absl::Status WriteSampleGrid(const std::vector<torch::Tensor>& rows, const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_SAMPLE_GRID_H_
