// AttFind's choice (StylEx §3.2, Algorithm 1; §3.3, subset selection): which style coordinates move
// the classifier's decision, over a set of images. Thread-safe.
#ifndef STYLEX_EXPLAIN_SELECTION_H_
#define STYLEX_EXPLAIN_SELECTION_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/effects.h"
#include "explain/search_control.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct SelectionOptions {
  int64_t max_attributes = 10;
  // An image counts as explained once the effects chosen for it add up to this many logits (T in
  // the released code); 0: never, i.e. a plain ranking by mean effect.
  double explained_at = 2.5;
  // true: Algorithm 1 (signed mean; an image is removed once a single chosen coordinate changes it
  // by more than explained_at); false: the authors' released code (increases only, added up).
  bool paper = false;
  // Asked before a coordinate is chosen; what it refuses is left out. Unset: nothing is refused.
  std::function<bool(int64_t index)> accepts = nullptr;
};

struct SelectedAttribute {
  Coordinate coordinate;
  double mean_effect = 0;  // mean over all images of the set, target logit
  double flip_rate = 0;    // share of images that this move alone flips to the target
};

// STRATEGY_INDEPENDENT over a set of images decided otherwise than `target`: base [N, K], effect
// [N, 2, S, K]. A coordinate is chosen at most once, in one direction, and only
// if its mean effect over all images is positive: what raises some images and lowers others more
// raises no class. Stops early when every image
// is explained or no move raises the target any more, whereas the released code continues with
// spurious entries.
std::vector<SelectedAttribute> SelectAttributes(const StyleEffects& effects, int64_t target,
                                                const SelectionOptions& options);

// An image is unstable when more than this share of its effects, over coordinates, directions and
// classes, is large. The released code allows 750 of 5760 x 2 x 2.
inline constexpr double kUnstableShare = 750.0 / (5760 * 2 * 2);
// The images whose effects may be trusted to be those of single attributes, [N] bool: not unstable,
// where an effect of more than `large` logits is large (2 in the released code). The released code
// sets the effects of the others to 0; here whoever calls leaves these images out, which selects
// the same and does not lower the means that are told.
torch::Tensor StableImages(const StyleEffects& effects, double large);

struct SubsetOptions {
  int64_t max_attributes = 10;
  double shift = 1;  // with which the effects were computed
  // Number of candidates: the strongest single effects by mean over the images.
  int64_t candidates = 96;
  // Stop when the best joint gain in mean target logit is below this.
  double threshold = 0;
  // Progress counts evaluations (image x candidate); a search that stops early ends below its
  // total.
  SearchControl control = {};
};

// STRATEGY_SUBSET over a set of images: joint greedy, the exact mean effect of each candidate
// together with all chosen before is computed at every step. mean_effect is the attribute's single
// effect.
absl::StatusOr<std::vector<SelectedAttribute>> SelectAttributesJointly(
    const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
    const StyleEffects& effects, int64_t target, const SubsetOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SELECTION_H_
