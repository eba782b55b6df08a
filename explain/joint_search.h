// Joint selection of moves by exact effects: greedy, beam search, or all subsets of a few moves
// (subset selection; StylEx, Lang et al. 2021, §3.3).
#ifndef STYLEX_EXPLAIN_JOINT_SEARCH_H_
#define STYLEX_EXPLAIN_JOINT_SEARCH_H_

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/image_under_search.h"

namespace stylex {

struct JointSet {
  MoveSet moves;
  torch::Tensor logits;  // [K] on the CPU
  float score = 0;       // ImageUnderSearch::Score
};

struct Grown {
  JointSet best;  // the first that reaches the target, else that of the greatest score
  // kFlipped, kBudgetExhausted or kNoImprovement.
  CounterfactualOutcome outcome = CounterfactualOutcome::kNoImprovement;
};

// Beam search: adds one of `candidates` at a time to each of up to `width` sets and keeps the
// `width` sets with the greatest scores; width 1 is the greedy search. Sets only grow by moves
// that raise their score. Stops at the first size at which a set reaches the target; with
// shortlists, which are tried in order, the remaining sets of that size are skipped. `singles`, the
// sets of one move, do not depend on the width: they are computed if the vector is empty, else
// reused.
absl::StatusOr<Grown> GrowJointly(const ImageUnderSearch& image,
                                  const std::vector<Coordinate>& candidates, int64_t width,
                                  int64_t max_moves, std::vector<JointSet>* singles);

struct SubsetsTried {
  std::optional<JointSet> smallest;  // reaches the target; of several, with the greatest score
  int64_t subsets = 0;
};

// Every subset of `moves` with fewer than `size` members, smaller ones first, until one reaches the
// target.
absl::StatusOr<SubsetsTried> TrySmallerSubsets(const ImageUnderSearch& image,
                                               const std::vector<Move>& moves, int64_t size);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_JOINT_SEARCH_H_
