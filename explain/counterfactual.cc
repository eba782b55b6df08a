#include "explain/counterfactual.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "explain/gradient_candidates.h"
#include "explain/image_under_search.h"
#include "explain/joint_search.h"

namespace stylex {
namespace {

// Up to this many moves every subset is tried; 2^kExhaustiveMoves subsets fit into one batch.
constexpr size_t kExhaustiveMoves = 6;
// The weakest move's shift is determined to this share of the requested shift.
constexpr double kShiftPrecision = 1.0 / 256;
// Linear interpolation between the ends of the bracket predicts the needed shift; two shifts, one
// kNarrow of the bracket below it and one above, are tried at once. If the needed shift lies
// between them, they are the new bracket; if not, the next two are twice as far apart, up to
// kWidest, which divides the bracket into thirds.
constexpr double kNarrow = 1.0 / 12;
constexpr double kWidest = 1.0 / 6;

// The search on one image: the request and the state.
class CounterfactualSearch {
 public:
  CounterfactualSearch(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                       const CounterfactualOptions& options)
      : options_(options), image_(model, styles, ranges, options) {}

  absl::StatusOr<CounterfactualResult> Run(const std::vector<Coordinate>& candidates);

 private:
  // Each adds to moves_ until the target is reached, and returns why it stopped.
  absl::StatusOr<CounterfactualOutcome> AddJointly(const std::vector<Coordinate>& candidates);
  absl::StatusOr<CounterfactualOutcome> AddBySingleEffect(std::span<const Coordinate> candidates);
  CounterfactualOutcome Unreached(CounterfactualOutcome why, const torch::Tensor& logits) const;

  // Reduces moves_ to the smallest subset that still reaches the target.
  absl::Status DropUnneeded();
  // Finds the subset among `subsets` that reaches the target with the fewest moves, or of several
  // the one with the greatest margin; none if none reaches it.
  absl::StatusOr<std::optional<MoveSet>> BestReaching(std::span<const MoveSet> subsets) const;
  // Replaces moves_ by a smaller set of the strongest moves if one reaches the target; returns what
  // was tried.
  absl::StatusOr<MinimalityCertificate> Certify(const std::vector<Coordinate>& candidates);
  // Puts the move whose removal costs the least margin last, and weakens it as far as possible.
  absl::Status WeakenLeastNeeded();
  absl::Status Report(CounterfactualResult* result) const;

  const CounterfactualOptions& options_;
  const ImageUnderSearch image_;
  MoveSet moves_;
};

CounterfactualOutcome CounterfactualSearch::Unreached(CounterfactualOutcome why,
                                                      const torch::Tensor& logits) const {
  return image_.IsTarget(logits) ? CounterfactualOutcome::kProbabilityNotReached : why;
}

absl::StatusOr<CounterfactualOutcome> CounterfactualSearch::AddJointly(
    const std::vector<Coordinate>& candidates) {
  std::vector<JointSet> singles;
  STYLEX_ASSIGN_OR_RETURN(Grown grown,
                          GrowJointly(image_, candidates, 1, options_.max_attributes, &singles));
  const bool flipped = grown.outcome == CounterfactualOutcome::kFlipped;
  const int64_t greedy = static_cast<int64_t>(grown.best.moves.size());
  // A beam tries the same single moves as the greedy search, so it cannot improve on a flip by one
  // or two moves.
  if (options_.beam > 1 && (!flipped || greedy > 2)) {
    STYLEX_ASSIGN_OR_RETURN(Grown wider,
                            GrowJointly(image_, candidates, options_.beam,
                                        flipped ? greedy - 1 : options_.max_attributes, &singles));
    if (wider.outcome == CounterfactualOutcome::kFlipped ||
        (!flipped && wider.best.margin > grown.best.margin)) {
      grown = std::move(wider);
    }
  }
  moves_ = std::move(grown.best.moves);
  return grown.outcome == CounterfactualOutcome::kFlipped
             ? grown.outcome
             : Unreached(grown.outcome, grown.best.logits);
}

absl::StatusOr<CounterfactualOutcome> CounterfactualSearch::AddBySingleEffect(
    std::span<const Coordinate> candidates) {
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor singles,
                          image_.LogitsWithOneMore({}, MovesBy(options_.shift, candidates)));
  const auto [gains, order] =
      (image_.Margin(singles) - image_.Margin(image_.base())).sort(/*dim=*/0, /*descending=*/true);
  MoveSet ranked;
  for (int64_t i = 0; i < gains.size(0) && gains[i].item<float>() > 0 &&
                      static_cast<int64_t>(ranked.size()) < options_.max_attributes;
       ++i) {
    const Coordinate coordinate = candidates[order[i].item<int64_t>()];
    if (!IsMoved(coordinate.index, ranked)) {
      ranked.push_back({coordinate, options_.shift});
    }
  }
  std::vector<MoveSet> prefixes;
  for (size_t k = 1; k <= ranked.size(); ++k) {
    prefixes.emplace_back(ranked.begin(), ranked.begin() + static_cast<int64_t>(k));
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.Logits(prefixes));
  for (size_t k = 0; k < prefixes.size(); ++k) {
    moves_ = prefixes[k];
    if (image_.Reached(logits[static_cast<int64_t>(k)])) {
      return CounterfactualOutcome::kFlipped;
    }
  }
  const bool spent = static_cast<int64_t>(ranked.size()) == options_.max_attributes;
  return Unreached(
      spent ? CounterfactualOutcome::kBudgetExhausted : CounterfactualOutcome::kNoImprovement,
      ranked.empty() ? image_.base() : logits[-1]);
}

absl::StatusOr<std::optional<MoveSet>> CounterfactualSearch::BestReaching(
    std::span<const MoveSet> subsets) const {
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.Logits(subsets));
  const torch::Tensor margins = image_.Margin(logits);
  std::optional<int64_t> best;
  const auto better = [&](int64_t a, int64_t b) {
    return std::pair(-static_cast<int64_t>(subsets[a].size()), margins[a].item<float>()) >
           std::pair(-static_cast<int64_t>(subsets[b].size()), margins[b].item<float>());
  };
  for (int64_t i = 0; i < logits.size(0); ++i) {
    if (image_.Reached(logits[i]) && (!best || better(i, *best))) {
      best = i;
    }
  }
  return best ? std::optional<MoveSet>(subsets[*best]) : std::nullopt;
}

std::vector<MoveSet> WithoutOne(const MoveSet& moves) {
  std::vector<MoveSet> subsets(moves.size(), moves);
  for (size_t i = 0; i < moves.size(); ++i) {
    subsets[i].erase(subsets[i].begin() + static_cast<int64_t>(i));
  }
  return subsets;
}

// All subsets but the empty one and the whole set.
std::vector<MoveSet> ProperSubsets(const MoveSet& moves) {
  std::vector<MoveSet> subsets;
  for (size_t mask = 1; mask + 1 < size_t{1} << moves.size(); ++mask) {
    MoveSet& subset = subsets.emplace_back();
    for (size_t i = 0; i < moves.size(); ++i) {
      if (mask >> i & 1) {
        subset.push_back(moves[i]);
      }
    }
  }
  return subsets;
}

absl::Status CounterfactualSearch::DropUnneeded() {
  while (moves_.size() > 1) {
    const bool exhaustive = moves_.size() <= kExhaustiveMoves;
    STYLEX_ASSIGN_OR_RETURN(std::optional<MoveSet> smaller,
                            BestReaching(exhaustive ? ProperSubsets(moves_) : WithoutOne(moves_)));
    if (smaller) {
      moves_ = *std::move(smaller);
    }
    if (!smaller || exhaustive) {
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status CounterfactualSearch::WeakenLeastNeeded() {
  if (moves_.size() > 1) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.Logits(WithoutOne(moves_)));
    const int64_t weakest = image_.Margin(logits).argmax().item<int64_t>();
    std::rotate(moves_.begin() + weakest, moves_.begin() + weakest + 1, moves_.end());
  }
  Move& last = moves_.back();
  const MoveSet rest(moves_.begin(), moves_.end() - 1);
  const MoveSet whole = moves_;
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor ends,
                          image_.Logits(std::vector<MoveSet>{rest, whole}));
  // The target is not reached without the move; otherwise it would have been dropped.
  double failing = 0;
  double lacking = image_.Excess(ends[0]);
  double beyond = image_.Excess(ends[1]);
  double apart = kNarrow;
  while (last.shift - failing > kShiftPrecision * options_.shift) {
    const double width = last.shift - failing;
    const double ascent = beyond - lacking;
    const double share = std::isfinite(ascent) && ascent > 0 ? -lacking / ascent : 0.5;
    const double between = failing + width * std::clamp(share, apart, 1 - apart);
    const std::vector<Move> tried = {{last.coordinate, between - 0.99 * apart * width},
                                     {last.coordinate, between + 0.99 * apart * width}};
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.LogitsWithOneMore(rest, tried));
    const bool below = image_.Reached(logits[0]);
    const bool above = image_.Reached(logits[1]);
    apart = !below && above ? kNarrow : std::min(2 * apart, kWidest);
    if (below || above) {
      last.shift = tried[below ? 0 : 1].shift;
      beyond = image_.Excess(logits[below ? 0 : 1]);
    }
    if (!below) {
      failing = tried[above ? 0 : 1].shift;
      lacking = image_.Excess(logits[above ? 0 : 1]);
    }
  }
  return absl::OkStatus();
}

absl::Status CounterfactualSearch::Report(CounterfactualResult* result) const {
  result->base_logits = image_.base();
  result->logits = image_.base();
  const int64_t count = static_cast<int64_t>(moves_.size());
  std::vector<MoveSet> asked;  // all singles, then all prefixes of two or more
  for (const Move& move : moves_) {
    asked.push_back({move});
  }
  for (int64_t k = 2; k <= count; ++k) {
    asked.emplace_back(moves_.begin(), moves_.begin() + k);
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.Logits(asked));
  for (int64_t k = 0; k < count; ++k) {
    const torch::Tensor change = logits[k] - image_.base();
    result->applied.push_back({moves_[k], change[options_.target].item<double>(),
                               logits[k == 0 ? 0 : count + k - 1].clone()});
    result->logits = result->applied.back().logits;
  }
  return absl::OkStatus();
}

absl::StatusOr<MinimalityCertificate> CounterfactualSearch::Certify(
    const std::vector<Coordinate>& candidates) {
  if (moves_.size() == 1) {
    return MinimalityCertificate{};  // no smaller set exists
  }
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Move> strongest,
                          image_.Strongest(candidates, options_.certificate_candidates));
  STYLEX_ASSIGN_OR_RETURN(
      SubsetsTried tried,
      TrySmallerSubsets(image_, strongest, static_cast<int64_t>(moves_.size())));
  if (tried.smallest) {
    moves_ = std::move(tried.smallest->moves);
  }
  return MinimalityCertificate{static_cast<int64_t>(strongest.size()), tried.subsets};
}

absl::StatusOr<CounterfactualResult> CounterfactualSearch::Run(
    const std::vector<Coordinate>& candidates) {
  CounterfactualResult result;
  if (image_.Reached(image_.base())) {
    result.outcome = CounterfactualOutcome::kReconstructionAlreadyTarget;
  } else {
    STYLEX_ASSIGN_OR_RETURN(
        result.outcome, options_.joint ? AddJointly(candidates) : AddBySingleEffect(candidates));
  }
  if (result.outcome == CounterfactualOutcome::kFlipped && options_.minimal) {
    STYLEX_RETURN_IF_ERROR(DropUnneeded());
    if (options_.certificate_candidates > 0) {
      STYLEX_ASSIGN_OR_RETURN(result.certificate, Certify(candidates));
    }
    STYLEX_RETURN_IF_ERROR(WeakenLeastNeeded());
  }
  STYLEX_RETURN_IF_ERROR(Report(&result));
  result.evaluations = image_.evaluations();
  return result;
}

}  // namespace

torch::Tensor MarginOf(const torch::Tensor& logits, int64_t target) {
  torch::Tensor is_target = torch::zeros({logits.size(-1)}, logits.options().dtype(torch::kBool));
  is_target[target] = true;
  const torch::Tensor others =
      logits.masked_fill(is_target, -std::numeric_limits<float>::infinity());
  return logits.select(-1, target) - others.amax(-1);
}

absl::StatusOr<CounterfactualResult> FindCounterfactual(const Stylex& model,
                                                        const StyleVectors& styles,
                                                        const StyleRanges& ranges,
                                                        std::span<const Coordinate> candidates,
                                                        const CounterfactualOptions& options) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(options.target >= 0 && options.target < model.num_classes(), "class ", options.target,
              " of ", model.num_classes());
  return CounterfactualSearch(model, styles, ranges, options)
      .Run({candidates.begin(), candidates.end()});
}

}  // namespace stylex
