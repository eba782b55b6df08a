#include "explain/counterfactual.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <iterator>
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
// Moves of a beam search towards a probability, whose cost grows with each: it is only there to
// find smaller sets.
constexpr int64_t kMostInBeam = 4;
// Searches until the delivered image keeps what was found, each with this many times the excess.
constexpr int kAttempts = 4;
constexpr double kExcessGrowth = 8;
constexpr double kFirstExcess = 1e-3;

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
  // the one with the greatest score; none if none reaches it.
  absl::StatusOr<std::optional<MoveSet>> BestReaching(std::span<const MoveSet> subsets) const;
  // Replaces moves_ by a smaller set of the strongest moves if one reaches the target; returns what
  // was tried.
  absl::StatusOr<MinimalityCertificate> Certify(const std::vector<Coordinate>& candidates);
  // Puts the move whose removal costs the least score last, and weakens it as far as possible.
  absl::Status WeakenLeastNeeded();
  // Weakens the last of `moves`, with which `goal` is reached, as far as possible.
  absl::Status WeakenLast(const Goal& goal, MoveSet* moves) const;
  // Strengthens the last of `moves`, up to `most`, until the delivered image reaches `goal`, and
  // with a probability also survives another compression; returns its logits, none if it does not.
  absl::StatusOr<std::optional<torch::Tensor>> Confirm(const Goal& goal, double most,
                                                       MoveSet* moves) const;
  // Searches moves_ and returns what came of it, by the passes of the search.
  absl::StatusOr<CounterfactualOutcome> Search(const std::vector<Coordinate>& candidates,
                                               CounterfactualResult* result);
  absl::Status Report(CounterfactualResult* result) const;
  // Finds just_flips from the applied moves.
  absl::Status FindBorder(CounterfactualResult* result) const;

  const CounterfactualOptions& options_;
  ImageUnderSearch image_;
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
  // Where the decision is reached but not the probability, it would take long for little.
  const bool short_of_probability =
      !flipped && image_.goal().probability > 0 && image_.IsTarget(grown.best.logits);
  if (options_.beam > 1 && (!flipped || greedy > 2) && !short_of_probability) {
    const int64_t most = flipped ? greedy - 1 : options_.max_attributes;
    STYLEX_ASSIGN_OR_RETURN(
        Grown wider,
        GrowJointly(image_, candidates, options_.beam,
                    image_.goal().probability > 0 ? std::min(most, kMostInBeam) : most, &singles));
    if (wider.outcome == CounterfactualOutcome::kFlipped ||
        (!flipped && wider.best.score > grown.best.score)) {
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
      (image_.Score(singles) - image_.Score(image_.base())).sort(/*dim=*/0, /*descending=*/true);
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
  const torch::Tensor scores = image_.Score(logits);
  std::optional<int64_t> best;
  const auto better = [&](int64_t a, int64_t b) {
    return std::pair(-static_cast<int64_t>(subsets[a].size()), scores[a].item<float>()) >
           std::pair(-static_cast<int64_t>(subsets[b].size()), scores[b].item<float>());
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
    if (!smaller) {
      break;
    }
    moves_ = *std::move(smaller);
    if (exhaustive) {
      break;
    }
  }
  return absl::OkStatus();
}

absl::Status CounterfactualSearch::WeakenLeastNeeded() {
  if (moves_.size() > 1) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.Logits(WithoutOne(moves_)));
    const int64_t weakest = image_.Score(logits).argmax().item<int64_t>();
    std::rotate(moves_.begin() + weakest, moves_.begin() + weakest + 1, moves_.end());
  }
  return WeakenLast(image_.goal(), &moves_);
}

absl::Status CounterfactualSearch::WeakenLast(const Goal& goal, MoveSet* moves) const {
  Move& last = moves->back();
  const MoveSet rest(moves->begin(), moves->end() - 1);
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor ends,
                          image_.Logits(std::vector<MoveSet>{rest, *moves}));
  // The goal is not reached without the move; otherwise it would have been dropped.
  double failing = 0;
  double lacking = ExcessOf(ends[0], goal);
  double beyond = ExcessOf(ends[1], goal);
  double apart = kNarrow;
  while (last.shift - failing > kShiftPrecision * options_.shift) {
    const double width = last.shift - failing;
    const double ascent = beyond - lacking;
    const double share = std::isfinite(ascent) && ascent > 0 ? -lacking / ascent : 0.5;
    const double between = failing + width * std::clamp(share, apart, 1 - apart);
    const std::vector<Move> tried = {{last.coordinate, between - 0.99 * apart * width},
                                     {last.coordinate, between + 0.99 * apart * width}};
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, image_.LogitsWithOneMore(rest, tried));
    const bool below = Reaches(logits[0], goal);
    const bool above = Reaches(logits[1], goal);
    apart = !below && above ? kNarrow : std::min(2 * apart, kWidest);
    if (below || above) {
      last.shift = tried[below ? 0 : 1].shift;
      beyond = ExcessOf(logits[below ? 0 : 1], goal);
    }
    if (!below) {
      failing = tried[above ? 0 : 1].shift;
      lacking = ExcessOf(logits[above ? 0 : 1], goal);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<torch::Tensor>> CounterfactualSearch::Confirm(const Goal& goal,
                                                                           double most,
                                                                           MoveSet* moves) const {
  double& shift = moves->back().shift;
  for (double step = kShiftPrecision * options_.shift;; step *= 2) {
    STYLEX_ASSIGN_OR_RETURN(const ImageUnderSearch::DeliveredImage delivered,
                            image_.Delivered(*moves));
    if (Reaches(delivered.logits, goal) &&
        (goal.probability <= 0 ||
         LeastMargin(image_.Recompressed(delivered), goal.target) >= kSurvivingMargin)) {
      return std::optional<torch::Tensor>(delivered.logits);
    }
    if (shift >= most) {
      return std::optional<torch::Tensor>();
    }
    shift = std::min(most, shift + step);
  }
}

absl::Status CounterfactualSearch::Report(CounterfactualResult* result) const {
  result->base_logits = image_.base();
  result->logits = image_.base();
  std::vector<MoveSet> singles;
  for (const Move& move : moves_) {
    singles.push_back({move});
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor alone, image_.Logits(singles));
  MoveSet prefix;
  for (size_t k = 0; k < moves_.size(); ++k) {
    prefix.push_back(moves_[k]);
    STYLEX_ASSIGN_OR_RETURN(const ImageUnderSearch::DeliveredImage delivered,
                            image_.Delivered(prefix));
    const torch::Tensor change = alone[static_cast<int64_t>(k)] - image_.base();
    result->applied.push_back({moves_[k], change[options_.target].item<double>(),
                               delivered.logits.clone(), delivered.image});
    result->logits = result->applied.back().logits;
  }
  result->flipped = image_.IsTarget(result->logits);
  return absl::OkStatus();
}

absl::Status CounterfactualSearch::FindBorder(CounterfactualResult* result) const {
  if (!options_.border || !result->flipped || image_.IsTarget(image_.base())) {
    return absl::OkStatus();
  }
  const Goal border = image_.border();
  BorderCrossing crossing;
  for (const AppliedMove& applied : result->applied) {
    crossing.moves.push_back(applied.move);
    crossing.logits = applied.logits;
    if (Reaches(applied.logits, border)) {
      break;
    }
  }
  const bool weakened = options_.minimal && image_.goal().probability <= 0 &&
                        crossing.moves.size() == result->applied.size();
  if (!weakened && Reaches(crossing.logits, border)) {
    const double most = crossing.moves.back().shift;
    STYLEX_RETURN_IF_ERROR(WeakenLast(border, &crossing.moves));
    STYLEX_ASSIGN_OR_RETURN(const std::optional<torch::Tensor> logits,
                            Confirm(border, most, &crossing.moves));
    crossing.logits = logits.value_or(crossing.logits);
  }
  result->just_flips = std::move(crossing);
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

absl::StatusOr<CounterfactualOutcome> CounterfactualSearch::Search(
    const std::vector<Coordinate>& candidates, CounterfactualResult* result) {
  moves_.clear();
  result->certificate.reset();
  if (image_.Reached(image_.base())) {
    return CounterfactualOutcome::kReconstructionAlreadyTarget;
  }
  STYLEX_ASSIGN_OR_RETURN(const CounterfactualOutcome outcome,
                          options_.joint ? AddJointly(candidates) : AddBySingleEffect(candidates));
  if (outcome == CounterfactualOutcome::kFlipped && options_.minimal) {
    STYLEX_RETURN_IF_ERROR(DropUnneeded());
    if (options_.certificate_candidates > 0) {
      STYLEX_ASSIGN_OR_RETURN(result->certificate, Certify(candidates));
    }
    STYLEX_RETURN_IF_ERROR(WeakenLeastNeeded());
  }
  return outcome;
}

absl::StatusOr<CounterfactualResult> CounterfactualSearch::Run(
    const std::vector<Coordinate>& candidates) {
  CounterfactualResult result;
  int attempt = 1;
  for (;; ++attempt) {
    STYLEX_ASSIGN_OR_RETURN(result.outcome, Search(candidates, &result));
    if (result.outcome != CounterfactualOutcome::kFlipped || options_.rendering.exact()) {
      break;
    }
    STYLEX_ASSIGN_OR_RETURN(const std::optional<torch::Tensor> confirmed,
                            Confirm(image_.goal(), options_.shift, &moves_));
    if (confirmed) {
      break;
    }
    // Nearly reached, but lost in the last bits or by compression: once more, further from the
    // border. What was computed is remembered.
    if (attempt == kAttempts) {
      STYLEX_ASSIGN_OR_RETURN(const ImageUnderSearch::DeliveredImage delivered,
                              image_.Delivered(moves_));
      if (!image_.Reached(delivered.logits)) {
        result.outcome = Unreached(CounterfactualOutcome::kNoImprovement, delivered.logits);
      } else if (image_.goal().probability > 0 &&
                 LeastMargin(image_.Recompressed(delivered), image_.goal().target) <= 0) {
        result.outcome = CounterfactualOutcome::kLostInCompression;
      }
      break;
    }
    image_.set_least_excess(kExcessGrowth * std::max(image_.goal().least_excess, kFirstExcess));
  }
  if (attempt > 1) {
    result.certificate.reset();  // it is of what had to exceed the goal
    image_.set_least_excess(options_.least_excess);
  }
  STYLEX_RETURN_IF_ERROR(Report(&result));
  STYLEX_RETURN_IF_ERROR(FindBorder(&result));
  result.evaluations = image_.evaluations();
  return result;
}

}  // namespace

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
