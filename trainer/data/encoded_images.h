// Encoded images of a split: their styles, and the classifier's logits for the photographs
// themselves. A plain StyleGAN2, which has no encoder, draws images from z instead.
#ifndef STYLEX_TRAINER_DATA_ENCODED_IMAGES_H_
#define STYLEX_TRAINER_DATA_ENCODED_IMAGES_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "models/stylex.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"

namespace stylex {

struct EncodedImages {
  torch::Tensor indices;  // [N] int64: positions in the split
  torch::Tensor labels;   // [N] int64
  torch::Tensor logits;   // [N, K] of the photographs, on the CPU
  StyleVectors styles;    // of their reconstructions, on the model's device
};

// Styles of `count` images G(f(z)) of a model without an encoder; the z depend on the seed alone.
StyleVectors SampleStyles(const Stylex& model, int64_t count, uint64_t seed);

// The images of styles [N, ...] as delivered in 8 bits, drawn kDrawBatch at a time.
std::vector<Bitmap> DrawAll(const Stylex& model, const StyleVectors& styles);

// Calls `visit` with w, [N, w_size()] on the model's device, of consecutive batches of the training
// split, at most `limit` images (0: all), and shows progress under `title`. The model must have an
// encoder.
absl::Status ForEachTrainingLatent(const Stylex& model, const Dataset& dataset, int64_t limit,
                                   const std::string& title, Progress* progress,
                                   const std::function<void(const torch::Tensor& w)>& visit);

// `count` images drawn with the seed without repetition (0 or more than exist: all, in the seed's
// order). Unreadable ones are named in warnings and left out; NOT_FOUND when none is left. Without
// an encoder: `count` images drawn from z (0: as many as the split has), which differ by split,
// seed and purpose; their logits are those of the drawn images, their labels the decisions.
absl::StatusOr<EncodedImages> EncodeImages(const Stylex& model, const Dataset& dataset, Split split,
                                           int64_t count, uint64_t seed, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_ENCODED_IMAGES_H_
