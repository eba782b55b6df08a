// The smallest change that flips one image (StylEx §3.3's local explanations; algorithms §5.6).
#ifndef STYLEX_EXPLAIN_COUNTERFACTUAL_H_
#define STYLEX_EXPLAIN_COUNTERFACTUAL_H_

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct CounterfactualOptions {
  int64_t target = 0;
  int64_t max_attributes = 10;
  double shift = 1;
  double target_probability = 0;  // also to be reached; 0: being the argmax is enough
  // After a flip: drop moves that are not needed, put the one last that is needed least, and bisect
  // its strength. With up to six moves every subset is tried and the smallest that flips remains;
  // with more, moves are dropped one at a time, so that none can be left out on its own.
  bool minimal = true;
  // Joint greedy (each step the best by exact effect) or the strongest single effects in order.
  bool joint = true;
  // Joint greedy: at each step only this many of the candidates are tried, those that gradients at
  // the image with all moves so far rank highest. 0: all of them, without gradients.
  int64_t shortlist = 0;
  // With a shortlist: the first few are tried before any other move, for the target's attributes in
  // the index. Gradients are only taken where none of them flips the image on its own. What goes
  // far is not always foretold by a gradient: a spot that is not there yet has none.
  std::vector<Coordinate> favourites = {};
  // Joint: where the greedy search takes three moves or more, or fails, it is repeated with this
  // many sets followed side by side instead of the best alone, for a smaller one. 1: not repeated.
  int64_t beam = 1;
  // With `minimal`, after a flip by n moves: every set of fewer than n of this many moves, those
  // that raise the margin most on their own, is tried, and the smallest that flips is taken. 0: not
  // done. The number of sets grows with two to this power.
  int64_t certificate_candidates = 0;
  int64_t batch_size = 32;
  Cancelled cancelled = nullptr;
};

enum class CounterfactualOutcome {
  kFlipped,
  kReconstructionAlreadyTarget,  // nothing was moved
  kBudgetExhausted,              // max_attributes moves were not enough
  kNoImprovement,                // no candidate left brings the target closer
  kProbabilityNotReached,        // decided as the target, but less surely than asked
};

struct AppliedMove {
  Move move;
  double single_effect = 0;  // this image's change of the target logit by this move alone
  torch::Tensor logits;      // [K] with this and all earlier moves
};

// No set of fewer moves than the result's, out of the `candidates` that raise the margin most on
// their own, reaches the target. Both are 0 after a flip by one move: nothing is smaller.
struct MinimalityCertificate {
  int64_t candidates = 0;
  int64_t subsets = 0;  // that were tried, each exactly
};

struct CounterfactualResult {
  CounterfactualOutcome outcome = CounterfactualOutcome::kNoImprovement;
  torch::Tensor base_logits;         // [K] of the reconstruction
  std::vector<AppliedMove> applied;  // the best attempt when not flipped
  torch::Tensor logits;              // [K] of the counterfactual
  int64_t evaluations = 0;           // classifier calls, those for gradients among them
  std::optional<MinimalityCertificate> certificate;  // when it was asked for, after a flip
};

// styles: one image, [1, ...]. `candidates`: what may be moved; a coordinate is moved at most once.
// Moves are chosen by what a flip needs: logit(target) - greatest other logit. With a shortlist, it
// must not be called in LibTorch's inference mode. Tensors of the
// result are on the CPU. CANCELLED when told so; not flipping is a result, not an error.
// Thread-safe.
absl::StatusOr<CounterfactualResult> FindCounterfactual(const Stylex& model,
                                                        const StyleVectors& styles,
                                                        const StyleRanges& ranges,
                                                        std::span<const Coordinate> candidates,
                                                        const CounterfactualOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_COUNTERFACTUAL_H_
