// Sets of moves chosen together, every step by exact effects: greedy, with a beam, or all subsets
// of a few (StylEx §3.3, subset selection; algorithms §5.6).
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
  float margin = 0;
};

struct Grown {
  JointSet best;  // the greatest margin; the first that reaches the target if one does
  // kFlipped, kBudgetExhausted or kNoImprovement.
  CounterfactualOutcome outcome = CounterfactualOutcome::kNoImprovement;
};

// Adds one move at a time, of `candidates`, to each of up to `width` sets, and goes on with the
// `width` sets of the greatest margins; 1 is the greedy search. Sets only grow by moves that raise
// their margin. Ends with the first size at which a set reaches the target; with shortlists, which
// are tried in their order, the remaining sets of that size are not tried any more. `singles`, the
// sets of one move, are the same for every width: they are computed where the vector is empty, else
// read.
absl::StatusOr<Grown> GrowJointly(const ImageUnderSearch& image,
                                  const std::vector<Coordinate>& candidates, int64_t width,
                                  int64_t max_moves, std::vector<JointSet>* singles);

struct SubsetsTried {
  std::optional<JointSet> smallest;  // that reaches the target; of several the greatest margin
  int64_t subsets = 0;
};

// Every subset of `moves` with fewer than `size` members, smaller ones first, until one reaches the
// target.
absl::StatusOr<SubsetsTried> TrySmallerSubsets(const ImageUnderSearch& image,
                                               const std::vector<Move>& moves, int64_t size);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_JOINT_SEARCH_H_
