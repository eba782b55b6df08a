// One image whose decision is to be changed: evaluates moves for the counterfactual searches and
// counts the classifier calls.
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
#include "explain/decisions.h"
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
  // Logits with each set of moves, [M, K]. Results are cached for both functions, regardless of the
  // order of a set's moves. CANCELLED if it is told to stop, also below.
  absl::StatusOr<torch::Tensor> Logits(std::span<const MoveSet> sets) const;
  // Logits with all of `moves` and one of `more` in turn, [M, K]; each is computed from its own
  // layer on.
  absl::StatusOr<torch::Tensor> LogitsWithOneMore(const MoveSet& moves,
                                                  std::span<const Move> more) const;
  // Whether, given this many candidates, only a shortlist of them is tried.
  bool TriesShortlist(size_t candidates) const;
  // For each set of moves, the `candidates` whose coordinates it does not move; if TriesShortlist,
  // excluding those in its list of `tried`, and only as many as fill a shortlist together with
  // these, in the order in which gradients rank them.
  std::vector<std::vector<Coordinate>> Shortlists(
      const std::vector<const MoveSet*>& sets, const std::vector<Coordinate>& candidates,
      const std::vector<std::vector<Coordinate>>& tried) const;
  // The `count` moves, at most one per coordinate, that raise the score most on their own by exact
  // effect, strongest first, out of the 4 * `count` moves that gradients rank highest.
  absl::StatusOr<std::vector<Move>> Strongest(const std::vector<Coordinate>& candidates,
                                              int64_t count) const;

  struct DeliveredImage {
    torch::Tensor image;   // [1, C, R, R] as drawn; undefined where images are not rendered
    torch::Tensor logits;  // [K] of its file
  };
  // The image with the moves as it is delivered: drawn by the generator itself, where the functions
  // above may use faster passes that differ in the last bits, which rounding to 8 bits magnifies.
  // Remembered, too.
  absl::StatusOr<DeliveredImage> Delivered(const MoveSet& moves) const;

  // RecompressedLogits of the delivered image.
  torch::Tensor Recompressed(const DeliveredImage& delivered) const;

  // What is to be reached.
  const Goal& goal() const { return goal_; }
  void set_least_excess(double logits) { goal_.least_excess = logits; }
  // The border alone, without probability.
  Goal border() const { return {.target = goal_.target, .least_excess = goal_.least_excess}; }
  // ScoreOf. Moves are chosen by this, not by the target's logit alone as in StylEx (Lang et al.
  // 2021, §3.3): with more than two classes a move may raise the target and a third class even
  // more.
  torch::Tensor Score(const torch::Tensor& logits) const { return ScoreOf(logits, goal_); }
  bool IsTarget(const torch::Tensor& logits) const;                                   // [K]
  bool Reached(const torch::Tensor& logits) const { return Reaches(logits, goal_); }  // [K]

  const CounterfactualOptions& options() const { return options_; }
  // Classifier calls so far, including those for gradients.
  int64_t evaluations() const { return evaluations_; }

 private:
  // A set of moves in order.
  using Members = std::vector<std::tuple<int64_t, int, double>>;
  static Members MembersOf(const MoveSet& moves);

  VariantOptions Batches() const;
  // Logits with `moves` and each of `more`; `compute` gets the part of `more` that is not cached.
  absl::StatusOr<torch::Tensor> Remembered(
      const MoveSet& moves, std::span<const MoveSet> more,
      const std::function<absl::StatusOr<torch::Tensor>(std::span<const MoveSet>)>& compute) const;

  const Stylex& model_;
  const StyleRanges& ranges_;
  const CounterfactualOptions& options_;
  Goal goal_;
  const StyleVectors styles_;
  mutable int64_t evaluations_ = 0;
  const ImageVariants variants_;
  const torch::Tensor base_;
  mutable std::map<Members, torch::Tensor> known_;  // [K] each
  mutable std::map<Members, DeliveredImage> delivered_;
  // Cache for the last call's moves, which are often repeated.
  mutable MoveSet moved_;
  mutable std::optional<ImageVariants> of_moved_;
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_IMAGE_UNDER_SEARCH_H_
