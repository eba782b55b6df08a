#include "explain/counterfactual.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/gradient_candidates.h"
#include "explain/side_by_side.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/style_messages.h"
#include "server/repository/served_model.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {
namespace {

constexpr int kDefaultMoves = 10;
constexpr int kMaxMoves = 64;
// Strongest singles: default numbers of candidates, the best of the stored index and the best of
// the image's gradients.
constexpr int kIndexCandidates = 96;
constexpr int64_t kImageCandidates = 96;
// Joint search: number of moves, out of all, that each step tries, ranked by gradients.
constexpr int64_t kShortlist = 32;
// Joint search: beam width, used once the greedy search took three moves or more.
constexpr int64_t kBeam = 4;
// A certificate may take up to 2^kMaxCertificateCandidates evaluations.
constexpr int kMaxCertificateCandidates = 16;
// Greatest amplification of the difference picture.
constexpr double kMaxDifferenceGain = 8;

// The validated request.
struct ExplanationPlan {
  std::optional<int64_t> target;  // none: the runner-up
  CounterfactualOptions options;
};

absl::StatusOr<ExplanationPlan> MakeExplanationPlan(const v1::CounterfactualRequest& request,
                                                    const ServedModel& model) {
  RequestChecks checks(model.shape());
  ExplanationPlan plan;
  checks.Image("image", request.has_image(), request.image());
  plan.target = checks.Class("target_class", request.has_target_class(), request.target_class());
  checks.Attributes("attributes", request.attributes());
  plan.options.max_attributes =
      checks.Count("max_attributes", request.max_attributes(), 1, kMaxMoves, kDefaultMoves);
  plan.options.shift = checks.SearchShift("shift", request.shift());
  plan.options.target_probability =
      checks.Number("target_probability", request.target_probability(), 0, 1);
  plan.options.minimal = !request.has_minimal() || request.minimal();
  checks.OutputFormat("output_format", request.output_format());
  checks.Enum("strategy", v1::Strategy_IsValid(request.strategy()), request.strategy());
  plan.options.joint = request.strategy() != v1::STRATEGY_INDEPENDENT;
  plan.options.shortlist = request.attributes().empty() ? kShortlist : 0;
  plan.options.beam = request.attributes().empty() ? kBeam : 1;
  plan.options.certificate_candidates = checks.Count(
      "certificate_candidates", request.certificate_candidates(), 0, kMaxCertificateCandidates, 0);
  plan.options.batch_size = model.explanation_batch();
  checks.NeedsRanges();
  STYLEX_RETURN_IF_ERROR(checks.Status());
  return plan;
}

// Computes the answer of one call from its image.
class Explanation {
 public:
  Explanation(const ServedModel& served, const v1::CounterfactualRequest& request,
              const ExplanationPlan& plan, const Cancellation& cancellation,
              v1::CounterfactualResponse* response)
      : served_(served),
        model_(served.model()),
        request_(request),
        plan_(plan),
        cancellation_(cancellation),
        writer_(request.output_format(), served.id()),
        response_(*response) {}

  absl::Status Run(const HandlerContext& context) {
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor image,
                            ReadPicture(request_.image(), "image", served_, context.decode_limits));
    turn_.emplace(context.device, [this] { return !cancellation_.stopped(); });
    STYLEX_RETURN_IF_ERROR(NextChunk());
    OnOneCore([&] { Reconstruct(image.to(model_.device())); });
    STYLEX_RETURN_IF_ERROR(Search());
    absl::Status drawn;
    OnOneCore([&] { drawn = Draw(); });
    STYLEX_RETURN_IF_ERROR(drawn);
    turn_->End();
    return Write();
  }

 private:
  // Lets waiting calls compute first.
  absl::Status NextChunk() {
    return turn_->Yield() ? absl::OkStatus() : absl::CancelledError("the search was cancelled");
  }
  void Reconstruct(const torch::Tensor& image);
  // The target class: the request's, or the runner-up.
  int64_t Target() const;
  std::vector<Coordinate> Candidates() const;
  absl::Status Search();
  void Tell(const CounterfactualResult& result);
  absl::Status Draw();
  // Writes the images into the answer.
  absl::Status Write();
  void SetReason(v1::CounterfactualReason code);
  std::string ReasonText(v1::CounterfactualReason code) const;

  const ServedModel& served_;
  const Stylex& model_;
  const v1::CounterfactualRequest& request_;
  const ExplanationPlan& plan_;
  const Cancellation& cancellation_;
  std::optional<DeviceScheduler::Turn> turn_;  // while it computes
  const PictureWriter writer_;
  v1::CounterfactualResponse& response_;

  int64_t target_ = 0;
  torch::Tensor logits_;                 // [1, K] of the image
  StyleVectors styles_;                  // of the reconstruction
  torch::Tensor reconstruction_;         // [1, C, R, R]
  torch::Tensor reconstruction_logits_;  // [1, K]
  std::vector<Move> moves_;
  torch::Tensor changed_;             // [1, C, R, R]
  std::vector<torch::Tensor> steps_;  // with the first 1, 2, ... of the moves
};

void Explanation::Reconstruct(const torch::Tensor& image) {
  logits_ = model_.Logits(image);
  target_ = Target();
  styles_ = model_.Styles(model_.Encode(image, logits_));
  reconstruction_ = model_.Synthesize(styles_);
  reconstruction_logits_ = model_.Logits(reconstruction_);
  response_.set_model(served_.id());
  response_.set_target_class_id(static_cast<int32_t>(target_));
  response_.set_target_label(served_.shape().labels[target_]);
  *response_.mutable_original_prediction() = ToPrediction(logits_, served_);
  *response_.mutable_reconstruction_prediction() = ToPrediction(reconstruction_logits_, served_);
  *response_.mutable_quality() =
      CompareImages(image, reconstruction_, logits_, reconstruction_logits_);
  response_.set_evaluations(2);
}

int64_t Explanation::Target() const {
  return plan_.target.has_value() ? *plan_.target
                                  : std::get<1>(logits_.topk(2, 1))[0][1].item<int64_t>();
}

std::vector<Coordinate> Explanation::Candidates() const {
  std::vector<Coordinate> candidates;
  for (const v1::Attribute& attribute : request_.attributes()) {
    candidates.push_back(ToCoordinate(attribute));
  }
  if (!candidates.empty()) {
    return candidates;
  }
  if (plan_.options.joint) {
    return AllMoves(served_.shape().num_styles);  // each step tries a shortlist
  }
  if (const v1::ClassAttributes* stored = served_.AttributesOf(target_)) {
    for (int i = 0; i < std::min(stored->attributes_size(), kIndexCandidates); ++i) {
      candidates.push_back(ToCoordinate(stored->attributes(i)));
    }
  }
  for (const Coordinate& coordinate : GradientCandidates(model_, styles_, served_.ranges(), target_,
                                                         plan_.options.shift, kImageCandidates)) {
    if (std::find(candidates.begin(), candidates.end(), coordinate) == candidates.end()) {
      candidates.push_back(coordinate);
    }
  }
  return candidates;
}

absl::Status Explanation::Search() {
  if (response_.original_prediction().class_id() == target_) {
    SetReason(v1::COUNTERFACTUAL_REASON_IMAGE_ALREADY_TARGET);
    return absl::OkStatus();
  }
  CounterfactualOptions options = plan_.options;
  options.target = target_;
  if (const v1::ClassAttributes* stored = served_.AttributesOf(target_)) {
    for (const v1::Attribute& attribute : stored->attributes()) {
      options.favourites.push_back(ToCoordinate(attribute));
    }
  }
  options.cancelled = [this] { return !turn_->Yield(); };
  STYLEX_ASSIGN_OR_RETURN(
      const CounterfactualResult result,
      FindCounterfactual(model_, styles_, served_.ranges(), Candidates(), options));
  Tell(result);
  return absl::OkStatus();
}

void Explanation::Tell(const CounterfactualResult& result) {
  response_.set_evaluations(response_.evaluations() + result.evaluations);
  response_.set_flipped(result.outcome == CounterfactualOutcome::kFlipped);
  if (result.certificate) {
    response_.mutable_certificate()->set_candidates(
        static_cast<int32_t>(result.certificate->candidates));
    response_.mutable_certificate()->set_subsets(result.certificate->subsets);
  }
  switch (result.outcome) {
    case CounterfactualOutcome::kFlipped:
      break;
    case CounterfactualOutcome::kReconstructionAlreadyTarget:
      SetReason(v1::COUNTERFACTUAL_REASON_RECONSTRUCTION_ALREADY_TARGET);
      break;
    case CounterfactualOutcome::kBudgetExhausted:
      SetReason(v1::COUNTERFACTUAL_REASON_BUDGET_EXHAUSTED);
      break;
    case CounterfactualOutcome::kNoImprovement:
      SetReason(v1::COUNTERFACTUAL_REASON_NO_IMPROVEMENT);
      break;
    case CounterfactualOutcome::kProbabilityNotReached:
      SetReason(v1::COUNTERFACTUAL_REASON_PROBABILITY_NOT_REACHED);
      break;
  }
  for (const AppliedMove& applied : result.applied) {
    const v1::Prediction prediction = ToPrediction(applied.logits, served_);
    v1::AppliedAttribute* out = response_.add_applied();
    *out->mutable_attribute() = served_.DescribeAttribute(applied.move.coordinate, target_);
    out->mutable_attribute()->set_mean_effect(applied.single_effect);
    out->set_shift(applied.move.shift);
    out->set_target_probability(prediction.probabilities(static_cast<int>(target_)));
    out->set_class_id(prediction.class_id());
    moves_.push_back(applied.move);
  }
}

absl::Status Explanation::Draw() {
  const StyleVectors changed_styles = ApplyMoves(styles_, served_.ranges(), moves_);
  changed_ = model_.Synthesize(changed_styles);
  const torch::Tensor changed_logits = model_.Logits(changed_);
  STYLEX_RETURN_IF_ERROR(CheckDrawable(changed_, changed_logits, "shift"));
  *response_.mutable_counterfactual_prediction() = ToPrediction(changed_logits, served_);
  for (v1::AppliedAttribute& applied : *response_.mutable_applied()) {
    const int64_t index = applied.attribute().index();
    applied.set_value_before(styles_.conv[0][index].item<float>());
    applied.set_value_after(changed_styles.conv[0][index].item<float>());
  }
  for (size_t count = 1; request_.include_steps() && count <= moves_.size(); ++count) {
    STYLEX_RETURN_IF_ERROR(NextChunk());
    steps_.push_back(model_.Synthesize(
        ApplyMoves(styles_, served_.ranges(), std::span<const Move>(moves_).first(count))));
  }
  return absl::OkStatus();
}

absl::Status Explanation::Write() {
  STYLEX_ASSIGN_OR_RETURN(*response_.mutable_reconstruction(), writer_.Write(reconstruction_));
  STYLEX_ASSIGN_OR_RETURN(*response_.mutable_counterfactual(), writer_.Write(changed_));
  for (const torch::Tensor& step : steps_) {
    STYLEX_ASSIGN_OR_RETURN(*response_.add_steps(), writer_.Write(step));
  }
  if (!request_.include_difference()) {
    return absl::OkStatus();
  }
  const torch::Tensor difference = changed_ - reconstruction_;
  const double greatest = difference.abs().max().item<double>();
  const double gain = greatest > 0 ? std::min(kMaxDifferenceGain, 1 / greatest) : 1;
  STYLEX_ASSIGN_OR_RETURN(*response_.mutable_difference(), writer_.Write(difference * gain));
  return absl::OkStatus();
}

void Explanation::SetReason(v1::CounterfactualReason code) {
  response_.set_reason_code(code);
  response_.set_reason(ReasonText(code));
}

std::string Explanation::ReasonText(v1::CounterfactualReason code) const {
  const std::string target = Quoted(response_.target_label());
  switch (code) {
    case v1::COUNTERFACTUAL_REASON_RECONSTRUCTION_ALREADY_TARGET:
      return absl::StrCat("the reconstruction is already decided as ", target,
                          ", unlike the image: the generator does not stand for the image here");
    case v1::COUNTERFACTUAL_REASON_IMAGE_ALREADY_TARGET:
      return absl::StrCat("the image is already decided as ", target);
    case v1::COUNTERFACTUAL_REASON_BUDGET_EXHAUSTED:
      return absl::StrCat("with ", plan_.options.max_attributes,
                          " attributes moved the decision is not yet ", target);
    case v1::COUNTERFACTUAL_REASON_NO_IMPROVEMENT:
      return absl::StrCat("no further attribute raises ", target);
    case v1::COUNTERFACTUAL_REASON_PROBABILITY_NOT_REACHED:
      return absl::StrCat("the decision became ", target, ", but its probability stayed below ",
                          plan_.options.target_probability);
    default:
      return "";
  }
}

}  // namespace

UnaryWork<v1::CounterfactualResponse> Counterfactual(const HandlerContext& context,
                                                     const v1::CounterfactualRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_ASSIGN_OR_RETURN(const ExplanationPlan plan, MakeExplanationPlan(request, *model));
  auto run = [model, &request, plan, &context](const Cancellation& cancellation,
                                               v1::CounterfactualResponse* response) {
    const torch::NoGradGuard no_grad;
    return Explanation(*model, request, plan, cancellation, response).Run(context);
  };
  return Work<v1::CounterfactualResponse>{.run = std::move(run), .effort = Effort::kExplanation};
}

}  // namespace stylex
