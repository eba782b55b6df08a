#include "explain/image_under_search.h"

#include <torch/types.h>

#include <algorithm>

#include "base/status_macros.h"

namespace stylex {
ImageUnderSearch::ImageUnderSearch(const Stylex& model, const StyleVectors& styles,
                                   const StyleRanges& ranges, const CounterfactualOptions& options)
    : model_(model),
      ranges_(ranges),
      options_(options),
      styles_(styles),
      variants_(model, ranges, styles, Batches()),
      base_(variants_.BaseLogits()) {
  ++evaluations_;
}

VariantOptions ImageUnderSearch::Batches() const {
  return {options_.batch_size, options_.cancelled,
          [this](int64_t count) { evaluations_ += count; }};
}

absl::StatusOr<torch::Tensor> ImageUnderSearch::Logits(std::span<const MoveSet> sets) const {
  return variants_.Logits(sets);
}

absl::StatusOr<torch::Tensor> ImageUnderSearch::LogitsWithOneMore(
    const MoveSet& moves, std::span<const Move> more) const {
  std::vector<MoveSet> singles;
  singles.reserve(more.size());
  for (const Move& move : more) {
    singles.push_back({move});
  }
  if (moves.empty()) {
    return variants_.Logits(singles);
  }
  return ImageVariants(model_, ranges_, ApplyMoves(styles_, ranges_, moves), Batches())
      .Logits(singles);
}

std::vector<Coordinate> ImageUnderSearch::RankByGradient(const MoveSet& moves,
                                                         std::span<const Coordinate> among,
                                                         int64_t count) const {
  ++evaluations_;
  return stylex::RankByGradient(model_, ApplyMoves(styles_, ranges_, moves), ranges_, among,
                                options_.target, options_.shift, count);
}

std::vector<Coordinate> ImageUnderSearch::Shortlist(
    const MoveSet& moves, const std::vector<Coordinate>& candidates) const {
  std::vector<Coordinate> left;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(left),
               [&](const Coordinate& candidate) { return !IsMoved(candidate.index, moves); });
  if (options_.shortlist <= 0 || static_cast<int64_t>(left.size()) <= options_.shortlist) {
    return left;
  }
  return RankByGradient(moves, left, options_.shortlist);
}

absl::StatusOr<std::vector<Move>> ImageUnderSearch::Strongest(
    const std::vector<Coordinate>& candidates, int64_t count) const {
  const std::vector<Move> tried =
      MovesBy(options_.shift, RankByGradient({}, candidates, 4 * count));
  std::vector<Move> strongest;
  if (tried.empty()) {
    return strongest;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, LogitsWithOneMore({}, tried));
  const torch::Tensor order = Margin(logits).argsort(/*dim=*/0, /*descending=*/true);
  for (int64_t i = 0; i < order.size(0) && static_cast<int64_t>(strongest.size()) < count; ++i) {
    const Move& move = tried[static_cast<size_t>(order[i].item<int64_t>())];
    if (!IsMoved(move.coordinate.index, strongest)) {
      strongest.push_back(move);
    }
  }
  return strongest;
}

torch::Tensor ImageUnderSearch::Margin(const torch::Tensor& logits) const {
  return MarginOf(logits, options_.target);
}

bool ImageUnderSearch::IsTarget(const torch::Tensor& logits) const {
  return logits.argmax().item<int64_t>() == options_.target;
}

bool ImageUnderSearch::Reached(const torch::Tensor& logits) const {
  return IsTarget(logits) &&
         torch::softmax(logits, 0)[options_.target].item<double>() >= options_.target_probability;
}

}  // namespace stylex
