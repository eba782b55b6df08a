// AttFind (StylEx §3.2, Algorithm 1; algorithms §5): which style coordinates move the classifier's
// decision, over a set of images.
//
// Effects are changes of the *logits* of clamped images drawn with fixed noise. Batched over
// coordinates against one image, starting from the cached activations below the coordinate's layer;
// exact up to rounding whatever the batch. Thread-safe.
#ifndef STYLEX_EXPLAIN_ATTFIND_H_
#define STYLEX_EXPLAIN_ATTFIND_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct EffectOptions {
  double shift = 1;
  // Images (variants) a generator batch.
  int64_t batch_size = 32;
  Cancelled cancelled = nullptr;  // may be empty
  // Called after each batch with evaluations done (image x coordinate x direction) and their total.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;  // may be empty
};

// What moving each coordinate of each image does. On the CPU, wherever the model is.
struct StyleEffects {
  torch::Tensor base;    // [N, K] logits of the images themselves
  torch::Tensor effect;  // [N, 2, S, K]: change of logits, direction 0 towards min, 1 towards max
};

// Every coordinate, both directions. styles: [N, ...]. CANCELLED when told so.
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

struct SelectionOptions {
  int64_t max_attributes = 10;
  // An image is explained once the effects chosen for it add up to this many logits (the released
  // code's T); 0: never, i.e. a plain ranking by mean effect.
  double explained_at = 2.5;
  // true: Algorithm 1 (signed mean, an image leaves once one chosen coordinate alone moves it by
  // more than explained_at); false: the authors' released code (increases only, added up).
  bool paper = false;
};

struct SelectedAttribute {
  Coordinate coordinate;
  double mean_effect = 0;  // mean over all images of the set, target logit
  double flip_rate = 0;    // share whose argmax becomes the target by this move alone
};

// STRATEGY_INDEPENDENT over a set of images decided otherwise than `target`: base [N, K], effect
// [N, 2, S, K]. A coordinate is chosen at most once, in one direction. Stops early when every image
// is explained or nothing raises the target any more, where the released code goes on with spurious
// entries.
std::vector<SelectedAttribute> SelectAttributes(const StyleEffects& effects, int64_t target,
                                                const SelectionOptions& options);

struct SubsetOptions {
  int64_t max_attributes = 10;
  double shift = 1;  // the one that the effects were computed with
  // Candidates: the strongest this many single effects by mean over the images.
  int64_t candidates = 96;
  // Stop when the best joint gain in mean target logit is below this.
  double threshold = 0;
  int64_t batch_size = 32;
  Cancelled cancelled = nullptr;
  std::function<void(int64_t done, int64_t total)> progress = nullptr;
};

// STRATEGY_SUBSET over a set of images: joint greedy, the exact mean effect of each candidate
// together with all chosen before, at every step. mean_effect is the single effect of the
// attribute. Progress counts evaluations (image x candidate); a search that stops early ends below
// its total.
absl::StatusOr<std::vector<SelectedAttribute>> SelectAttributesJointly(
    const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
    const StyleEffects& effects, int64_t target, const SubsetOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_ATTFIND_H_
