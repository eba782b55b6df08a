// What moving each style coordinate does to the classifier's logits (AttFind's effects: StylEx
// §3.2, Algorithm 1).
//
// Effects are changes of the *logits* of clamped images synthesized with fixed noise. Coordinates
// of one image are batched and start from the cached activations below their layer; exact up to
// rounding for any batch size. Thread-safe.
#ifndef STYLEX_EXPLAIN_EFFECTS_H_
#define STYLEX_EXPLAIN_EFFECTS_H_

#include <torch/types.h>

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "explain/search_control.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct EffectOptions {
  double shift = 1;
  SearchControl control = {};  // progress counts image x coordinate x direction
};

// The effect of moving each coordinate of each image. On the CPU, whatever the model's device.
struct StyleEffects {
  torch::Tensor base;    // [N, K] logits of the images themselves
  torch::Tensor effect;  // [N, 2, S, K]: change of logits, direction 0 towards min, 1 towards max
};

// All coordinates, both directions. styles: [N, ...]. CANCELLED if it is told to stop.
absl::StatusOr<StyleEffects> ComputeEffects(const Stylex& model, const StyleVectors& styles,
                                            const StyleRanges& ranges,
                                            const EffectOptions& options);

// The same for chosen coordinates of ONE image: [M, K] logits after each single move (not changes),
// in the order of `coordinates`, on the CPU.
absl::StatusOr<torch::Tensor> LogitsAfterSingleMoves(const Stylex& model,
                                                     const StyleVectors& styles,
                                                     const StyleRanges& ranges,
                                                     std::span<const Coordinate> coordinates,
                                                     const EffectOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_EFFECTS_H_
