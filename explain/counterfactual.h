// The smallest change that flips one image (local explanations; StylEx, Lang et al. 2021, §3.3).
#ifndef STYLEX_EXPLAIN_COUNTERFACTUAL_H_
#define STYLEX_EXPLAIN_COUNTERFACTUAL_H_

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/search_control.h"
#include "explain/style_space.h"
#include "models/rendering.h"
#include "models/stylex.h"

namespace stylex {

struct CounterfactualOptions {
  int64_t target = 0;
  int64_t max_attributes = 10;
  double shift = 1;
  // Required in addition, by the model's probability_temperature; 0: being the decision suffices.
  double target_probability = 0;
  // As what images are delivered. Whatever is decided here, and all logits in the result, are of
  // images so rendered; gradients, which only rank, are of images as drawn.
  Rendering rendering = {};
  // Logits by which decision and probability must be exceeded, so that the last bits of another
  // pass do not undo them.
  double least_excess = 0;
  // After a flip: drops unneeded moves, puts the least needed one last, and bisects its strength.
  // With up to six moves every subset is tried and the smallest that flips is kept; with more,
  // moves are dropped one at a time until no single one can be left out.
  bool minimal = true;
  // true: joint greedy (at each step the best move by exact effect); false: the strongest single
  // effects in order.
  bool joint = true;
  // Joint greedy: number of candidates tried at each step, those that gradients at the image with
  // all moves so far rank highest. 0: all candidates, without gradients.
  int64_t shortlist = 0;
  // With a shortlist: the first few of these moves are tried before any other; meant for the
  // target's attributes in the index. Gradients are only computed if none of them flips the image
  // on its own. Gradients do not predict all large effects: a spot that is not visible yet has
  // none.
  std::vector<Coordinate> favourites = {};
  // Joint: if the greedy search takes three moves or more, or fails, it is repeated as a beam
  // search of this width, to find a smaller set. 1: not repeated.
  int64_t beam = 1;
  // With `minimal`, after a flip by n moves: tries every set of fewer than n moves out of this many
  // moves that raise the margin most on their own, and takes the smallest that flips. 0: not done.
  // The number of sets grows as 2^certificate_candidates.
  int64_t certificate_candidates = 0;
  bool border = false;         // find just_flips
  SearchControl control = {};  // its progress is not called
};

enum class CounterfactualOutcome {
  kFlipped,                      // the goal is reached, with the requested probability
  kReconstructionAlreadyTarget,  // nothing was moved
  kBudgetExhausted,              // max_attributes moves were not enough
  kNoImprovement,                // no remaining candidate raises the margin
  kProbabilityNotReached,        // decided as the target, but below the requested probability
  kLostInCompression,            // reached, but not in a JPEG file that somebody makes of the image
};

struct AppliedMove {
  Move move;
  double single_effect = 0;  // change of the target logit by this move alone
  torch::Tensor logits;      // [K] with this and all earlier moves, as delivered
  torch::Tensor image;       // [1, C, R, R], as drawn; undefined where images are not rendered
};

// Where the decision becomes the target on the way through the applied moves.
struct BorderCrossing {
  std::vector<Move> moves;  // the first few of those applied, the last weakened
  torch::Tensor logits;     // [K] there, as delivered
};

// No set of fewer moves than the result's, out of the `candidates` that raise the margin most on
// their own, reaches the target. Both are 0 after a flip by one move, which is minimal.
struct MinimalityCertificate {
  int64_t candidates = 0;
  int64_t subsets = 0;  // number tried, each evaluated exactly
};

struct CounterfactualResult {
  CounterfactualOutcome outcome = CounterfactualOutcome::kNoImprovement;
  torch::Tensor base_logits;         // [K] of the reconstruction
  std::vector<AppliedMove> applied;  // the best attempt when not flipped
  torch::Tensor logits;              // [K] of the counterfactual, as delivered
  // Whether these decide for the target, whatever the probability.
  bool flipped = false;
  std::optional<BorderCrossing> just_flips;  // if asked for, and if moves flipped it
  int64_t evaluations = 0;                   // classifier calls, including those for gradients
  std::optional<MinimalityCertificate> certificate;  // if requested, after a flip
};

// styles: one image, [1, ...]. `candidates`: the allowed moves; a coordinate is moved at most once.
// Moves are chosen by the margin, logit(target) - greatest other logit, or where a probability is
// requested by its log-odds. An attempt that does not reach the goal is that of the greatest such
// score. With a shortlist, it must
// not be called in LibTorch's inference mode. Tensors of the result are on the CPU. CANCELLED if
// it is told to stop; a failure to flip is a result, not an error. Thread-safe.
absl::StatusOr<CounterfactualResult> FindCounterfactual(const Stylex& model,
                                                        const StyleVectors& styles,
                                                        const StyleRanges& ranges,
                                                        std::span<const Coordinate> candidates,
                                                        const CounterfactualOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_COUNTERFACTUAL_H_
