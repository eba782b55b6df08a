// One image whose decision is to be changed: what the searches for a counterfactual ask of it, and
// how many classifier calls that took.
#ifndef STYLEX_EXPLAIN_IMAGE_UNDER_SEARCH_H_
#define STYLEX_EXPLAIN_IMAGE_UNDER_SEARCH_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/counterfactual.h"
#include "explain/image_variants.h"

namespace stylex {

// Not thread-safe.
class ImageUnderSearch {
 public:
  // styles: one image's, [1, ...]. All must outlive this.
  ImageUnderSearch(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                   const CounterfactualOptions& options);

  ImageUnderSearch(const ImageUnderSearch&) = delete;
  ImageUnderSearch& operator=(const ImageUnderSearch&) = delete;

  // Logits of the image itself, [K] on the CPU, like all logits here.
  const torch::Tensor& base() const { return base_; }
  // Logits with each set of moves, [M, K]; of sets that were asked for before, in whatever order of
  // their moves and by either function, they are remembered. CANCELLED when told so, as below.
  absl::StatusOr<torch::Tensor> Logits(std::span<const MoveSet> sets) const;
  // Logits with all of `moves` and one more, each of `more` in turn, [M, K]; each is computed from
  // its own layer on.
  absl::StatusOr<torch::Tensor> LogitsWithOneMore(const MoveSet& moves,
                                                  std::span<const Move> more) const;
  // Whether of so many candidates a shortlist is tried, not all of them.
  bool TriesShortlist(size_t candidates) const;
  // For each set of moves, those of `candidates` whose coordinates it leaves alone; where
  // TriesShortlist, without those in its list of `tried`, and only as many as make a shortlist
  // together with these, those that gradients rank highest first.
  std::vector<std::vector<Coordinate>> Shortlists(
      const std::vector<const MoveSet*>& sets, const std::vector<Coordinate>& candidates,
      const std::vector<std::vector<Coordinate>>& tried) const;
  // The `count` moves, no two of one coordinate, that raise the margin most on their own, exactly,
  // strongest first; among the four times as many that gradients rank highest.
  absl::StatusOr<std::vector<Move>> Strongest(const std::vector<Coordinate>& candidates,
                                              int64_t count) const;

  // logit(target) - greatest other logit, [..., K] -> [...]. The decision is the argmax, so this,
  // not the target's logit alone as in algorithms §5.6, is what a flip needs: with more than two
  // classes a move may raise the target and a third class still more.
  torch::Tensor Margin(const torch::Tensor& logits) const;
  bool IsTarget(const torch::Tensor& logits) const;  // [K]
  // How far beyond the target, 0 or more where it is reached, in logits: the margin, or where a
  // probability is asked for what that lacks if it is less. logits: [K].
  double Excess(const torch::Tensor& logits) const;
  // Decided as the target, with the probability asked for. logits: [K].
  bool Reached(const torch::Tensor& logits) const;

  const CounterfactualOptions& options() const { return options_; }
  // Classifier calls so far, those for gradients among them.
  int64_t evaluations() const { return evaluations_; }

 private:
  // A set of moves in order.
  using Members = std::vector<std::tuple<int64_t, int, double>>;
  static Members MembersOf(const MoveSet& moves);

  VariantOptions Batches() const;
  // Logits with `moves` and each of `more`; those that are not known yet by `compute`, which gets
  // their parts of `more`.
  absl::StatusOr<torch::Tensor> Remembered(
      const MoveSet& moves, std::span<const MoveSet> more,
      const std::function<absl::StatusOr<torch::Tensor>(std::span<const MoveSet>)>& compute) const;

  const Stylex& model_;
  const StyleRanges& ranges_;
  const CounterfactualOptions& options_;
  const StyleVectors styles_;
  mutable int64_t evaluations_ = 0;
  const ImageVariants variants_;
  const torch::Tensor base_;
  mutable std::map<Members, torch::Tensor> known_;  // [K] each
  // Of the last call with moves: the next is often for the same ones.
  mutable MoveSet moved_;
  mutable std::optional<ImageVariants> of_moved_;
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_IMAGE_UNDER_SEARCH_H_
