// Converts bitmaps to the networks' tensors and back.
#ifndef STYLEX_MODELS_PIXELS_H_
#define STYLEX_MODELS_PIXELS_H_

#include <torch/types.h>

#include <span>
#include <vector>

#include "image/bitmap.h"
#include "image/resize.h"
#include "stylex/v1/model_config.pb.h"

namespace stylex {

// [N, C, H, W] float32, byte / 127.5 - 1. CHECKs that there is at least one bitmap and that all
// have one size.
torch::Tensor BitmapsToTensor(std::span<const Bitmap> bitmaps);
torch::Tensor BitmapToTensor(const Bitmap& bitmap);  // [1, C, H, W]

// One image [C, H, W] or [1, C, H, W], clamped to [-1, 1], rounded to the nearest byte.
Bitmap TensorToBitmap(const torch::Tensor& image);
// [N, C, H, W] -> N bitmaps.
std::vector<Bitmap> TensorToBitmaps(const torch::Tensor& images);

// How photographs are prepared for the model.
Preparation PreparationFor(const v1::ModelConfig& config);

}  // namespace stylex

#endif  // STYLEX_MODELS_PIXELS_H_
