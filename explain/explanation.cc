#include "explain/explanation.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/gradient_candidates.h"
#include "explain/image_variants.h"
#include "explain/local_change.h"
#include "explain/side_by_side.h"

namespace stylex {
namespace {

// Strongest singles: numbers of candidates, the best of the stored index and the best of the
// image's gradients.
constexpr size_t kIndexCandidates = 96;
constexpr int64_t kImageCandidates = 96;
// Joint search: number of moves, out of all, that each step tries, ranked by gradients.
constexpr int64_t kShortlist = 32;
// Joint search: beam width, used once the greedy search took three moves or more.
constexpr int64_t kBeam = 4;
// What the mask takes away is made up for by moving the last attribute further: first by this share
// of the requested shift, then by twice as much again, and so on.
constexpr double kFirstStrengthening = 1.0 / 64;

// Computes one explanation.
class Explainer {
 public:
  Explainer(const Stylex& model, const StyleRanges& ranges, const ClassLists& index,
            const ExplanationOptions& options)
      : model_(model), ranges_(ranges), index_(index), options_(options) {}

  absl::StatusOr<Explanation> Run(const torch::Tensor& image);

 private:
  void Reconstruct(const torch::Tensor& image);
  std::vector<Coordinate> Candidates() const;
  absl::StatusOr<CounterfactualResult> Find(const Rendering& rendering);
  // The search's result in the explanation; none where nothing is to be searched.
  absl::Status Search();
  absl::Status Draw(const torch::Tensor& image);
  Picture Deliver(const torch::Tensor& image) const {
    return {image, model_.Logits(options_.search.rendering.Apply(image))};
  }

  // The image with the moves up to and including `applied`.
  Picture Redraw(const AppliedMove& applied, const std::vector<Move>& moves) const;
  // The image after each move.
  absl::Status DrawSteps(MoveSet* moves);
  // Whether all that is said of the counterfactual is true of `picture`, too.
  bool SaysTheSame(const Picture& picture);
  // Masks the counterfactual, if that can be done; `changed_` and the last of `moves` follow.
  absl::Status Localize(MoveSet* moves);
  // The last move is of another shift now, with which the image is `changed_`.
  void UpdateLastMove(const MoveSet& moves);
  bool Goes() const {
    const SearchControl& control = options_.search.control;
    return !control.give_way || control.give_way();
  }

  const Stylex& model_;
  const StyleRanges& ranges_;
  const ClassLists& index_;
  const ExplanationOptions& options_;
  StyleVectors styles_;  // of the reconstruction
  Picture changed_;      // the counterfactual without a mask
  Explanation explanation_;
};

void Explainer::Reconstruct(const torch::Tensor& image) {
  explanation_.logits = model_.Logits(image);
  explanation_.target = options_.target.value_or(RunnerUp(explanation_.logits));
  styles_ = model_.Styles(model_.Encode(image, explanation_.logits));
  explanation_.reconstruction = Deliver(model_.Synthesize(styles_));
  explanation_.counterfactual = explanation_.reconstruction;
  explanation_.evaluations = 2;
}

std::vector<Coordinate> Explainer::Candidates() const {
  if (!options_.attributes.empty()) {
    return options_.attributes;
  }
  if (options_.search.joint) {
    return AllMoves(ranges_.size());  // each step tries a shortlist
  }
  std::vector<Coordinate> candidates = index_[static_cast<size_t>(explanation_.target)];
  candidates.resize(std::min(candidates.size(), kIndexCandidates));
  for (const Coordinate& coordinate :
       GradientCandidates(model_, styles_, ranges_, explanation_.target, options_.search.shift,
                          kImageCandidates, options_.search.control.cores)) {
    if (std::find(candidates.begin(), candidates.end(), coordinate) == candidates.end()) {
      candidates.push_back(coordinate);
    }
  }
  return candidates;
}

absl::StatusOr<CounterfactualResult> Explainer::Find(const Rendering& rendering) {
  CounterfactualOptions search = options_.search;
  search.target = explanation_.target;
  search.rendering = rendering;
  search.border = true;
  search.favourites = index_[static_cast<size_t>(explanation_.target)];
  search.shortlist = options_.attributes.empty() ? kShortlist : 0;
  search.beam = options_.attributes.empty() ? kBeam : 1;
  STYLEX_ASSIGN_OR_RETURN(CounterfactualResult result,
                          FindCounterfactual(model_, styles_, ranges_, Candidates(), search));
  explanation_.evaluations += result.evaluations;
  return result;
}

ExplanationOutcome OutcomeOf(const CounterfactualResult& result) {
  switch (result.outcome) {
    case CounterfactualOutcome::kFlipped:
      return ExplanationOutcome::kConvincing;
    case CounterfactualOutcome::kReconstructionAlreadyTarget:
      return ExplanationOutcome::kReconstructionAlreadyTarget;
    case CounterfactualOutcome::kBudgetExhausted:
      return ExplanationOutcome::kBudgetExhausted;
    case CounterfactualOutcome::kNoImprovement:
      return ExplanationOutcome::kNoImprovement;
    case CounterfactualOutcome::kProbabilityNotReached:
      return ExplanationOutcome::kProbabilityNotReached;
    case CounterfactualOutcome::kLostInCompression:
      return ExplanationOutcome::kLostInCompression;
  }
  return ExplanationOutcome::kNoImprovement;
}

absl::Status Explainer::Search() {
  if (explanation_.logits.argmax(1).item<int64_t>() == explanation_.target) {
    explanation_.outcome = ExplanationOutcome::kImageAlreadyTarget;
    return absl::OkStatus();
  }
  if (explanation_.reconstruction.logits.argmax(1).item<int64_t>() == explanation_.target) {
    explanation_.outcome = ExplanationOutcome::kReconstructionAlreadyTarget;
    return absl::OkStatus();
  }
  STYLEX_ASSIGN_OR_RETURN(CounterfactualResult result, Find(options_.search.rendering));
  explanation_.outcome = OutcomeOf(result);
  explanation_.flipped = result.flipped && !result.applied.empty();
  if (options_.search.rendering.lossy() && !result.flipped) {
    STYLEX_ASSIGN_OR_RETURN(CounterfactualResult as_png, Find(Rendering::Png()));
    if (as_png.flipped) {
      explanation_.outcome = ExplanationOutcome::kLostInJpeg;
      result.applied = std::move(as_png.applied);
    }
  }
  for (AppliedMove& applied : result.applied) {
    explanation_.moved.push_back({.applied = std::move(applied)});
  }
  explanation_.just_flips = std::move(result.just_flips);
  explanation_.certificate = result.certificate;
  return absl::OkStatus();
}

Picture Explainer::Redraw(const AppliedMove& applied, const std::vector<Move>& moves) const {
  // Of an attempt that JPEG undid, the search's logits are of PNG files.
  if (applied.image.defined() && explanation_.outcome != ExplanationOutcome::kLostInJpeg) {
    return {applied.image, applied.logits.unsqueeze(0)};
  }
  return Deliver(model_.Synthesize(ApplyMoves(styles_, ranges_, moves)));
}

absl::Status Explainer::DrawSteps(MoveSet* moves) {
  for (size_t k = 0; k < explanation_.moved.size(); ++k) {
    MovedAttribute& moved = explanation_.moved[k];
    moves->push_back(moved.applied.move);
    const bool last = k + 1 == explanation_.moved.size();
    // Of an attempt that JPEG undid, the search told what is true of the drawn images.
    if (!last && !options_.steps && explanation_.outcome != ExplanationOutcome::kLostInJpeg) {
      continue;
    }
    if (!last && !Goes()) {
      return absl::CancelledError("the search was cancelled");
    }
    const Picture picture = Redraw(moved.applied, *moves);
    moved.applied.logits = picture.logits[0].to(torch::kCPU);
    if (options_.steps) {
      explanation_.steps.push_back(picture);
    }
    if (last) {
      explanation_.counterfactual = picture;
    }
  }
  return absl::OkStatus();
}

bool Explainer::SaysTheSame(const Picture& picture) {
  const torch::Tensor logits = picture.logits[0].to(torch::kCPU);
  const CounterfactualOptions& search = options_.search;
  Goal goal = {.target = explanation_.target,
               .temperature = model_.probability_temperature(),
               .least_excess = search.least_excess};
  if (!explanation_.flipped) {
    return logits.argmax().item<int64_t>() != goal.target;
  }
  const bool convincing = explanation_.outcome == ExplanationOutcome::kConvincing;
  if (!convincing && explanation_.outcome != ExplanationOutcome::kLostInCompression) {
    const bool decided = Reaches(logits, goal);
    goal.probability = search.target_probability;
    goal.least_excess = 0;
    return decided && !Reaches(logits, goal);
  }
  goal.probability = search.target_probability;
  if (!Reaches(logits, goal)) {
    return false;
  }
  if (goal.probability <= 0) {
    return true;
  }
  const double margin =
      LeastMargin(RecompressedLogits(model_, search.rendering.Apply(picture.image)), goal.target);
  explanation_.evaluations += 2;
  return convincing ? margin >= kSurvivingMargin : margin <= 0;
}

absl::Status Explainer::Localize(MoveSet* moves) {
  MoveSet stronger = *moves;
  double& shift = stronger.back().shift;
  const double most = options_.search.shift;
  Picture whole = changed_;
  for (double step = kFirstStrengthening * most;; step *= 2) {
    const Picture local = Deliver(LocalChange(explanation_.reconstruction.image, whole.image));
    ++explanation_.evaluations;
    if (SaysTheSame(local)) {
      changed_ = whole;
      explanation_.counterfactual = local;
      explanation_.local = true;
      break;
    }
    if (!explanation_.flipped || shift >= most) {
      return absl::OkStatus();
    }
    if (!Goes()) {
      return absl::CancelledError("the search was cancelled");
    }
    shift = std::min(most, shift + step);
    whole = Deliver(model_.Synthesize(ApplyMoves(styles_, ranges_, stronger)));
    ++explanation_.evaluations;
  }
  if (*moves != stronger) {
    *moves = stronger;
    UpdateLastMove(stronger);
  }
  return absl::OkStatus();
}

void Explainer::UpdateLastMove(const MoveSet& moves) {
  AppliedMove& applied = explanation_.moved.back().applied;
  applied.move = moves.back();
  applied.logits = changed_.logits[0].to(torch::kCPU);
  applied.image = changed_.image;
  if (!explanation_.steps.empty()) {
    explanation_.steps.back() = changed_;
  }
  const Picture alone =
      Deliver(model_.Synthesize(ApplyMoves(styles_, ranges_, {&applied.move, 1})));
  ++explanation_.evaluations;
  applied.single_effect =
      (alone.logits - explanation_.reconstruction.logits)[0][explanation_.target].item<double>();
}

absl::Status Explainer::Draw(const torch::Tensor& image) {
  MoveSet moves;
  STYLEX_RETURN_IF_ERROR(DrawSteps(&moves));
  changed_ = explanation_.counterfactual;
  if (options_.local && !moves.empty()) {
    STYLEX_RETURN_IF_ERROR(Localize(&moves));
  }
  if (options_.on_photograph) {
    explanation_.on_photograph =
        Deliver(ChangeOnPhotograph(image, explanation_.reconstruction.image, changed_.image));
    ++explanation_.evaluations;
  }
  const torch::Tensor before = styles_.conv.to(torch::kCPU);
  const torch::Tensor after = ApplyMoves(styles_, ranges_, moves).conv.to(torch::kCPU);
  for (MovedAttribute& moved : explanation_.moved) {
    const int64_t index = moved.applied.move.coordinate.index;
    moved.before = before[0][index].item<double>();
    moved.after = after[0][index].item<double>();
  }
  return absl::OkStatus();
}

absl::StatusOr<Explanation> Explainer::Run(const torch::Tensor& image) {
  if (!Goes()) {
    return absl::CancelledError("the search was cancelled");
  }
  OnOneCore([&] { Reconstruct(image); });
  STYLEX_RETURN_IF_ERROR(Search());
  absl::Status drawn;
  OnOneCore([&] { drawn = Draw(image); });
  STYLEX_RETURN_IF_ERROR(drawn);
  return std::move(explanation_);
}

}  // namespace

absl::StatusOr<Explanation> Explain(const Stylex& model, const StyleRanges& ranges,
                                    const ClassLists& index, const torch::Tensor& image,
                                    const ExplanationOptions& options) {
  const torch::NoGradGuard no_grad;
  return Explainer(model, ranges, index, options).Run(image);
}

}  // namespace stylex
