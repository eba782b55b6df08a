#include "explain/counterfactual.h"

#include <torch/torch.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "explain/image_variants.h"

namespace stylex {
namespace {

// Up to this many moves every subset is tried; two to this power still is one batch.
constexpr size_t kExhaustiveMoves = 6;
// The weakest move's shift is found to 1 / kGridSteps^kGridRounds of itself: bisection, but several
// halvings at once, because a batch of a few images takes hardly longer than one image.
constexpr int kGridSteps = 7;
constexpr int kGridRounds = 3;

// One image's search: what is asked, and what is known so far.
class Search {
 public:
  Search(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
         const CounterfactualOptions& options)
      : model_(model),
        ranges_(ranges),
        options_(options),
        styles_(styles),
        variants_(model, ranges, styles, Batches()) {}

  absl::StatusOr<CounterfactualResult> Run(std::vector<Coordinate> candidates);

 private:
  VariantOptions Batches() {
    return {options_.batch_size, options_.cancelled,
            [this](int64_t count) { evaluations_ += count; }};
  }

  // logit(target) - greatest other logit, [..., K] -> [...]. The decision is the argmax, so this,
  // not the target's logit alone as in algorithms §5.6, is what a flip needs: with more than two
  // classes a move may raise the target and a third class still more.
  torch::Tensor Margin(const torch::Tensor& logits) const;
  bool IsTarget(const torch::Tensor& logits) const;
  // Decided as the target, with the probability asked for. logits: [K].
  bool Reached(const torch::Tensor& logits) const;

  // What is tried next, the image standing at `styles`.
  std::vector<Coordinate> Shortlist(const StyleVectors& styles,
                                    const std::vector<Coordinate>& candidates);
  // Each fills moves_ until the target is reached; returns why it stopped.
  absl::StatusOr<CounterfactualOutcome> AddJointly(std::vector<Coordinate> candidates);
  absl::StatusOr<CounterfactualOutcome> AddBySingleEffect(std::span<const Coordinate> candidates);
  CounterfactualOutcome Unreached(CounterfactualOutcome why, const torch::Tensor& logits) const;

  // Leaves the smallest subset of moves_ that still reaches the target.
  absl::Status DropUnneeded();
  // Finds the subset among `subsets` that reaches the target with the fewest moves, then the
  // greatest margin; none when none does.
  absl::StatusOr<std::optional<MoveSet>> BestReaching(std::span<const MoveSet> subsets) const;
  // Puts the move last without which the margin stays greatest, and weakens it as far as it goes.
  absl::Status WeakenLeastNeeded();
  absl::Status Report(CounterfactualResult* result) const;

  const Stylex& model_;
  const StyleRanges& ranges_;
  const CounterfactualOptions& options_;
  const StyleVectors styles_;
  int64_t evaluations_ = 0;
  ImageVariants variants_;
  torch::Tensor base_;  // [K]
  MoveSet moves_;
};

torch::Tensor Search::Margin(const torch::Tensor& logits) const {
  return MarginOf(logits, options_.target);
}

bool Search::IsTarget(const torch::Tensor& logits) const {
  return logits.argmax().item<int64_t>() == options_.target;
}

bool Search::Reached(const torch::Tensor& logits) const {
  return IsTarget(logits) &&
         torch::softmax(logits, 0)[options_.target].item<double>() >= options_.target_probability;
}

CounterfactualOutcome Search::Unreached(CounterfactualOutcome why,
                                        const torch::Tensor& logits) const {
  return IsTarget(logits) ? CounterfactualOutcome::kProbabilityNotReached : why;
}

std::vector<Coordinate> Search::Shortlist(const StyleVectors& styles,
                                          const std::vector<Coordinate>& candidates) {
  if (options_.shortlist <= 0 || static_cast<int64_t>(candidates.size()) <= options_.shortlist) {
    return candidates;
  }
  ++evaluations_;
  return RankByGradient(model_, styles, ranges_, candidates, options_.target, options_.shift,
                        options_.shortlist);
}

absl::StatusOr<CounterfactualOutcome> Search::AddJointly(std::vector<Coordinate> candidates) {
  torch::Tensor logits = base_;
  while (static_cast<int64_t>(moves_.size()) < options_.max_attributes) {
    if (candidates.empty()) {
      return Unreached(CounterfactualOutcome::kNoImprovement, logits);
    }
    // A trace of the image with all moves so far: each candidate is computed from its own layer on.
    const StyleVectors styles = ApplyMoves(styles_, ranges_, moves_);
    std::optional<ImageVariants> moved;
    if (!moves_.empty()) {
      moved.emplace(model_, ranges_, styles, Batches());
    }
    const std::vector<Coordinate> tried = Shortlist(styles, candidates);
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor joint,
                            (moved ? *moved : variants_).LogitsOfSingles(tried, options_.shift));
    const torch::Tensor margins = Margin(joint);
    const int64_t best = margins.argmax().item<int64_t>();
    if (margins[best].item<float>() <= Margin(logits).item<float>()) {
      return Unreached(CounterfactualOutcome::kNoImprovement, logits);
    }
    const Coordinate chosen = tried[static_cast<size_t>(best)];
    moves_.push_back({chosen, options_.shift});
    logits = joint[best];
    if (Reached(logits)) {
      return CounterfactualOutcome::kFlipped;
    }
    std::erase_if(candidates, [&](Coordinate c) { return c.index == chosen.index; });
  }
  return Unreached(CounterfactualOutcome::kBudgetExhausted, logits);
}

absl::StatusOr<CounterfactualOutcome> Search::AddBySingleEffect(
    std::span<const Coordinate> candidates) {
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor singles,
                          variants_.LogitsOfSingles(candidates, options_.shift));
  const auto [gains, order] =
      (Margin(singles) - Margin(base_)).sort(/*dim=*/0, /*descending=*/true);
  MoveSet ranked;
  for (int64_t i = 0; i < gains.size(0) && gains[i].item<float>() > 0 &&
                      static_cast<int64_t>(ranked.size()) < options_.max_attributes;
       ++i) {
    const Coordinate coordinate = candidates[order[i].item<int64_t>()];
    if (std::none_of(ranked.begin(), ranked.end(),
                     [&](const Move& move) { return move.coordinate.index == coordinate.index; })) {
      ranked.push_back({coordinate, options_.shift});
    }
  }
  std::vector<MoveSet> prefixes;
  for (size_t k = 1; k <= ranked.size(); ++k) {
    prefixes.emplace_back(ranked.begin(), ranked.begin() + static_cast<int64_t>(k));
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants_.Logits(prefixes));
  for (size_t k = 0; k < prefixes.size(); ++k) {
    moves_ = prefixes[k];
    if (Reached(logits[static_cast<int64_t>(k)])) {
      return CounterfactualOutcome::kFlipped;
    }
  }
  const bool spent = static_cast<int64_t>(ranked.size()) == options_.max_attributes;
  return Unreached(
      spent ? CounterfactualOutcome::kBudgetExhausted : CounterfactualOutcome::kNoImprovement,
      ranked.empty() ? base_ : logits[-1]);
}

absl::StatusOr<std::optional<MoveSet>> Search::BestReaching(
    std::span<const MoveSet> subsets) const {
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants_.Logits(subsets));
  const torch::Tensor margins = Margin(logits);
  std::optional<int64_t> best;
  const auto better = [&](int64_t a, int64_t b) {
    return std::pair(-static_cast<int64_t>(subsets[a].size()), margins[a].item<float>()) >
           std::pair(-static_cast<int64_t>(subsets[b].size()), margins[b].item<float>());
  };
  for (int64_t i = 0; i < logits.size(0); ++i) {
    if (Reached(logits[i]) && (!best || better(i, *best))) {
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

// Without the empty one and the whole.
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

absl::Status Search::DropUnneeded() {
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

absl::Status Search::WeakenLeastNeeded() {
  if (moves_.size() > 1) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants_.Logits(WithoutOne(moves_)));
    const int64_t weakest = Margin(logits).argmax().item<int64_t>();
    std::rotate(moves_.begin() + weakest, moves_.begin() + weakest + 1, moves_.end());
  }
  Move& last = moves_.back();
  const ImageVariants rest(model_, ranges_,
                           ApplyMoves(styles_, ranges_, std::span(moves_).first(moves_.size() - 1)),
                           Batches());
  double failing = 0;  // without the move the target is not reached, or it would have been dropped
  for (int round = 0; round < kGridRounds; ++round) {
    const double step = (last.shift - failing) / kGridSteps;
    std::vector<MoveSet> grid;
    for (int i = 1; i < kGridSteps; ++i) {
      grid.push_back({{last.coordinate, failing + i * step}});
    }
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, rest.Logits(grid));
    for (int i = 0; i < kGridSteps - 1; ++i) {
      if (Reached(logits[i])) {
        last.shift = grid[i][0].shift;
        break;
      }
      failing = grid[i][0].shift;
    }
  }
  return absl::OkStatus();
}

absl::Status Search::Report(CounterfactualResult* result) const {
  result->base_logits = base_;
  result->logits = base_;
  const int64_t count = static_cast<int64_t>(moves_.size());
  std::vector<MoveSet> asked;  // all prefixes, then all singles
  for (int64_t k = 1; k <= count; ++k) {
    asked.emplace_back(moves_.begin(), moves_.begin() + k);
  }
  for (const Move& move : moves_) {
    asked.push_back({move});
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants_.Logits(asked));
  for (int64_t k = 0; k < count; ++k) {
    const torch::Tensor change = logits[count + k] - base_;
    result->applied.push_back(
        {moves_[k], change[options_.target].item<double>(), logits[k].clone()});
    result->logits = result->applied.back().logits;
  }
  return absl::OkStatus();
}

absl::StatusOr<CounterfactualResult> Search::Run(std::vector<Coordinate> candidates) {
  CounterfactualResult result;
  base_ = variants_.BaseLogits();
  ++evaluations_;
  if (Reached(base_)) {
    result.outcome = CounterfactualOutcome::kReconstructionAlreadyTarget;
  } else {
    STYLEX_ASSIGN_OR_RETURN(result.outcome, options_.joint ? AddJointly(std::move(candidates))
                                                           : AddBySingleEffect(candidates));
  }
  if (result.outcome == CounterfactualOutcome::kFlipped && options_.minimal) {
    STYLEX_RETURN_IF_ERROR(DropUnneeded());
    STYLEX_RETURN_IF_ERROR(WeakenLeastNeeded());
  }
  STYLEX_RETURN_IF_ERROR(Report(&result));
  result.evaluations = evaluations_;
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
  return Search(model, styles, ranges, options).Run({candidates.begin(), candidates.end()});
}

}  // namespace stylex
