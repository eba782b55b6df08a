#include "explain/image_under_search.h"

#include <torch/types.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/status_macros.h"
#include "explain/gradient_candidates.h"
#include "explain/side_by_side.h"

namespace stylex {

ImageUnderSearch::ImageUnderSearch(const Stylex& model, const StyleVectors& styles,
                                   const StyleRanges& ranges, const CounterfactualOptions& options)
    : model_(model),
      ranges_(ranges),
      options_(options),
      goal_{.target = options.target,
            .probability = options.target_probability,
            .temperature = model.probability_temperature(),
            .least_excess = options.least_excess},
      styles_(styles),
      variants_(model, ranges, styles, Batches()),
      base_(variants_.BaseLogits()) {
  ++evaluations_;
  known_[{}] = base_;
}

VariantOptions ImageUnderSearch::Batches() const {
  return {.control = options_.control,
          .rendering = options_.rendering,
          .classified = [this](int64_t count) { evaluations_ += count; }};
}

ImageUnderSearch::Members ImageUnderSearch::MembersOf(const MoveSet& moves) {
  Members members;
  for (const Move& move : moves) {
    members.emplace_back(move.coordinate.index, move.coordinate.direction, move.shift);
  }
  std::sort(members.begin(), members.end());
  return members;
}

absl::StatusOr<torch::Tensor> ImageUnderSearch::Remembered(
    const MoveSet& moves, std::span<const MoveSet> more,
    const std::function<absl::StatusOr<torch::Tensor>(std::span<const MoveSet>)>& compute) const {
  std::vector<Members> wanted;
  std::map<Members, int64_t> places;  // position of each new set among the new ones
  std::vector<MoveSet> unknown;
  for (const MoveSet& part : more) {
    MoveSet whole = moves;
    whole.insert(whole.end(), part.begin(), part.end());
    const Members& members = wanted.emplace_back(MembersOf(whole));
    if (!known_.contains(members) &&
        places.emplace(members, static_cast<int64_t>(unknown.size())).second) {
      unknown.push_back(part);
    }
  }
  if (!unknown.empty()) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, compute(unknown));
    for (const auto& [members, place] : places) {
      known_[members] = logits[place];
    }
  }
  if (wanted.empty()) {
    return base_.new_empty({0, base_.size(0)});
  }
  std::vector<torch::Tensor> rows;
  rows.reserve(wanted.size());
  for (const Members& members : wanted) {
    rows.push_back(known_.at(members));
  }
  return torch::stack(rows);
}

absl::StatusOr<torch::Tensor> ImageUnderSearch::Logits(std::span<const MoveSet> sets) const {
  return Remembered({}, sets,
                    [&](std::span<const MoveSet> unknown) { return variants_.Logits(unknown); });
}

absl::StatusOr<torch::Tensor> ImageUnderSearch::LogitsWithOneMore(
    const MoveSet& moves, std::span<const Move> more) const {
  std::vector<MoveSet> singles;
  singles.reserve(more.size());
  for (const Move& move : more) {
    singles.push_back({move});
  }
  if (moves.empty()) {
    return Logits(singles);
  }
  return Remembered(moves, singles, [&](std::span<const MoveSet> unknown) {
    if (!of_moved_ || moved_ != moves) {
      of_moved_.emplace(model_, ranges_, ApplyMoves(styles_, ranges_, moves), Batches());
      moved_ = moves;
    }
    return of_moved_->Logits(unknown);
  });
}

bool ImageUnderSearch::TriesShortlist(size_t candidates) const {
  return options_.shortlist > 0 && candidates > static_cast<size_t>(options_.shortlist);
}

std::vector<std::vector<Coordinate>> ImageUnderSearch::Shortlists(
    const std::vector<const MoveSet*>& sets, const std::vector<Coordinate>& candidates,
    const std::vector<std::vector<Coordinate>>& tried) const {
  const bool ranked = TriesShortlist(candidates.size());
  std::vector<std::vector<Coordinate>> left(sets.size());
  std::vector<torch::Tensor> conv;
  size_t most_tried = 0;
  for (size_t i = 0; i < sets.size(); ++i) {
    const auto known = [&](const Coordinate& candidate) {
      return ranked && std::find(tried[i].begin(), tried[i].end(), candidate) != tried[i].end();
    };
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(left[i]),
                 [&](const Coordinate& candidate) {
                   return !IsMoved(candidate.index, *sets[i]) && !known(candidate);
                 });
    most_tried = std::max(most_tried, tried[i].size());
    conv.push_back(ApplyMoves(styles_, ranges_, *sets[i]).conv);
  }
  if (!ranked) {
    return left;
  }
  const int64_t count = static_cast<int64_t>(sets.size());
  evaluations_ += count;
  return RankByGradient(model_, {torch::cat(conv), styles_.rgb.expand({count, -1})}, ranges_,
                        std::move(left), goal_.target, options_.shift,
                        options_.shortlist - static_cast<int64_t>(most_tried),
                        options_.control.cores);
}

absl::StatusOr<std::vector<Move>> ImageUnderSearch::Strongest(
    const std::vector<Coordinate>& candidates, int64_t count) const {
  ++evaluations_;
  const std::vector<Move> tried =
      MovesBy(options_.shift, RankByGradient(model_, styles_, ranges_, {candidates}, goal_.target,
                                             options_.shift, 4 * count, options_.control.cores)[0]);
  std::vector<Move> strongest;
  if (tried.empty()) {
    return strongest;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, LogitsWithOneMore({}, tried));
  const torch::Tensor order = Score(logits).argsort(/*dim=*/0, /*descending=*/true);
  for (int64_t i = 0; i < order.size(0) && static_cast<int64_t>(strongest.size()) < count; ++i) {
    const Move& move = tried[static_cast<size_t>(order[i].item<int64_t>())];
    if (!IsMoved(move.coordinate.index, strongest)) {
      strongest.push_back(move);
    }
  }
  return strongest;
}

absl::StatusOr<ImageUnderSearch::DeliveredImage> ImageUnderSearch::Delivered(
    const MoveSet& moves) const {
  if (options_.rendering.exact()) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, Logits({&moves, 1}));
    return DeliveredImage{{}, logits[0]};
  }
  DeliveredImage& delivered = delivered_[MembersOf(moves)];
  if (!delivered.image.defined()) {
    OnOneCore([&] {
      delivered.image = model_.Synthesize(ApplyMoves(styles_, ranges_, moves));
      delivered.logits =
          model_.Logits(options_.rendering.Apply(delivered.image))[0].to(torch::kCPU);
    });
    ++evaluations_;
  }
  return delivered;
}

torch::Tensor ImageUnderSearch::Recompressed(const DeliveredImage& delivered) const {
  torch::Tensor logits;
  OnOneCore(
      [&] { logits = RecompressedLogits(model_, options_.rendering.Apply(delivered.image)); });
  evaluations_ += logits.size(0);
  return logits;
}

bool ImageUnderSearch::IsTarget(const torch::Tensor& logits) const {
  return logits.argmax().item<int64_t>() == goal_.target;
}

}  // namespace stylex
