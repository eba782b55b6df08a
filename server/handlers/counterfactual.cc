#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/explanation.h"
#include "image/color_difference.h"
#include "models/pixels.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/style_messages.h"
#include "server/repository/served_model.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {
namespace {

constexpr int kMaxMoves = 64;
// A certificate may take up to 2^kMaxCertificateCandidates evaluations.
constexpr int kMaxCertificateCandidates = 16;
// Of the difference picture, for all calls: a change of 17 units of lightness is black or white.
constexpr double kDifferenceScale = 3;

absl::StatusOr<ExplanationOptions> MakeOptions(const v1::CounterfactualRequest& request,
                                               const ServedModel& model) {
  RequestChecks checks(model.shape());
  ExplanationOptions options;
  CounterfactualOptions& search = options.search;
  checks.Image("image", request.has_image(), request.image());
  options.target = checks.Class("target_class", request.has_target_class(), request.target_class());
  checks.Attributes("attributes", request.attributes());
  search.max_attributes =
      checks.Count("max_attributes", request.max_attributes(), 1, kMaxMoves, kDefaultMoves);
  search.shift = checks.SearchShift("shift", request.shift());
  search.target_probability =
      request.has_target_probability()
          ? checks.Number("target_probability", request.target_probability(), 0, 1)
          : kDefaultProbability;
  search.minimal = !request.has_minimal() || request.minimal();
  checks.OutputFormat("output_format", request.output_format());
  checks.Enum("strategy", v1::Strategy_IsValid(request.strategy()), request.strategy());
  search.joint = request.strategy() != v1::STRATEGY_INDEPENDENT;
  search.certificate_candidates = checks.Count(
      "certificate_candidates", request.certificate_candidates(), 0, kMaxCertificateCandidates, 0);
  checks.NeedsRanges();
  STYLEX_RETURN_IF_ERROR(checks.Status());
  for (const v1::Attribute& attribute : request.attributes()) {
    options.attributes.push_back(ToCoordinate(attribute));
  }
  search.rendering = RenderingOf(request.output_format());
  search.least_excess = kLeastExcess;
  search.control.batch_size = model.explanation_batch();
  options.steps = request.include_steps();
  options.local = request.local();
  options.on_photograph = request.include_on_photograph();
  return options;
}

v1::CounterfactualReason ReasonOf(ExplanationOutcome outcome) {
  switch (outcome) {
    case ExplanationOutcome::kConvincing:
      return v1::COUNTERFACTUAL_REASON_UNSPECIFIED;
    case ExplanationOutcome::kImageAlreadyTarget:
      return v1::COUNTERFACTUAL_REASON_IMAGE_ALREADY_TARGET;
    case ExplanationOutcome::kReconstructionAlreadyTarget:
      return v1::COUNTERFACTUAL_REASON_RECONSTRUCTION_ALREADY_TARGET;
    case ExplanationOutcome::kBudgetExhausted:
      return v1::COUNTERFACTUAL_REASON_BUDGET_EXHAUSTED;
    case ExplanationOutcome::kNoImprovement:
      return v1::COUNTERFACTUAL_REASON_NO_IMPROVEMENT;
    case ExplanationOutcome::kProbabilityNotReached:
      return v1::COUNTERFACTUAL_REASON_PROBABILITY_NOT_REACHED;
    case ExplanationOutcome::kLostInJpeg:
    case ExplanationOutcome::kLostInCompression:
      return v1::COUNTERFACTUAL_REASON_LOST_IN_JPEG;
  }
  return v1::COUNTERFACTUAL_REASON_UNSPECIFIED;
}

std::string ReasonText(ExplanationOutcome outcome, const std::string& label,
                       const CounterfactualOptions& search) {
  const std::string target = Quoted(label);
  switch (outcome) {
    case ExplanationOutcome::kConvincing:
      return "";
    case ExplanationOutcome::kImageAlreadyTarget:
      return absl::StrCat("the image is already decided as ", target);
    case ExplanationOutcome::kReconstructionAlreadyTarget:
      return absl::StrCat("the reconstruction is already decided as ", target,
                          ", unlike the image: the generator does not stand for the image here");
    case ExplanationOutcome::kBudgetExhausted:
      return absl::StrCat("with ", search.max_attributes,
                          " attributes moved the decision is not yet ", target);
    case ExplanationOutcome::kNoImprovement:
      return absl::StrCat("no further attribute raises ", target);
    case ExplanationOutcome::kProbabilityNotReached:
      return absl::StrCat("the decision became ", target, ", but its probability stayed below ",
                          search.target_probability);
    case ExplanationOutcome::kLostInJpeg:
      return absl::StrCat("the decision became ", target,
                          " in drawn images, but JPEG compression of this quality undoes it in all "
                          "of them; ask for a higher quality, or for PNG");
    case ExplanationOutcome::kLostInCompression:
      return absl::StrCat("the decision became ", target,
                          ", but not in a JPEG file of quality 90 that is made of the image");
  }
  return "";
}

void FillApplied(const Explanation& explanation, const ServedModel& served,
                 v1::CounterfactualResponse* response) {
  for (const MovedAttribute& moved : explanation.moved) {
    const AppliedMove& applied = moved.applied;
    const v1::Prediction prediction = ToPrediction(applied.logits, served);
    v1::AppliedAttribute* out = response->add_applied();
    *out->mutable_attribute() =
        served.DescribeAttribute(applied.move.coordinate, explanation.target);
    out->mutable_attribute()->set_mean_effect(applied.single_effect);
    out->set_shift(applied.move.shift);
    out->set_value_before(static_cast<float>(moved.before));
    out->set_value_after(static_cast<float>(moved.after));
    out->set_target_probability(prediction.probabilities(static_cast<int>(explanation.target)));
    out->set_class_id(prediction.class_id());
  }
}

// All of the answer but its images.
void FillFindings(const Explanation& explanation, const CounterfactualOptions& search,
                  const ServedModel& served, v1::CounterfactualResponse* response) {
  const int target = static_cast<int>(explanation.target);
  response->set_model(served.id());
  response->set_target_class_id(target);
  response->set_target_label(served.shape().labels[explanation.target]);
  *response->mutable_original_prediction() = ToPrediction(explanation.logits, served);
  *response->mutable_reconstruction_prediction() =
      ToPrediction(explanation.reconstruction.logits, served);
  *response->mutable_counterfactual_prediction() =
      ToPrediction(explanation.counterfactual.logits, served);
  response->set_flipped(explanation.flipped);
  response->set_convincing(explanation.outcome == ExplanationOutcome::kConvincing);
  response->set_reason_code(ReasonOf(explanation.outcome));
  response->set_reason(ReasonText(explanation.outcome, response->target_label(), search));
  response->set_evaluations(explanation.evaluations);
  response->set_local_applied(explanation.local);
  if (explanation.on_photograph) {
    v1::Prediction* prediction = response->mutable_on_photograph_prediction();
    *prediction = ToPrediction(explanation.on_photograph->logits, served);
    response->set_holds_on_photograph(prediction->class_id() == target);
  }
  FillApplied(explanation, served, response);
  if (explanation.just_flips) {
    v1::JustFlips* border = response->mutable_just_flips();
    for (const Move& move : explanation.just_flips->moves) {
      *border->add_moves() = ToEdit(move);
    }
    border->set_last_shift(explanation.just_flips->moves.back().shift);
    border->set_probability(
        ToPrediction(explanation.just_flips->logits, served).probabilities(target));
  }
  if (explanation.certificate) {
    v1::MinimalityCertificate* certificate = response->mutable_certificate();
    certificate->set_candidates(static_cast<int32_t>(explanation.certificate->candidates));
    certificate->set_subsets(explanation.certificate->subsets);
  }
}

absl::Status FillImages(const Explanation& explanation, const v1::CounterfactualRequest& request,
                        const ServedModel& served, v1::CounterfactualResponse* response) {
  const PictureWriter writer(request.output_format(), served.id());
  const torch::Tensor& before = explanation.reconstruction.image;
  const torch::Tensor& after = explanation.counterfactual.image;
  STYLEX_ASSIGN_OR_RETURN(*response->mutable_reconstruction(), writer.Write(before));
  STYLEX_ASSIGN_OR_RETURN(*response->mutable_counterfactual(), writer.Write(after));
  for (const Picture& step : explanation.steps) {
    STYLEX_ASSIGN_OR_RETURN(*response->add_steps(), writer.Write(step.image));
  }
  if (explanation.on_photograph) {
    STYLEX_ASSIGN_OR_RETURN(*response->mutable_on_photograph(),
                            writer.Write(explanation.on_photograph->image));
  }
  if (!request.include_difference()) {
    return absl::OkStatus();
  }
  STYLEX_ASSIGN_OR_RETURN(*response->mutable_difference(),
                          writer.Write(DrawColorDifference(
                              TensorToBitmap(before), TensorToBitmap(after), kDifferenceScale)));
  response->set_difference_scale(kDifferenceScale);
  return absl::OkStatus();
}

absl::Status Answer(const ServedModel& served, const v1::CounterfactualRequest& request,
                    ExplanationOptions options, const HandlerContext& context,
                    const Cancellation& cancellation, v1::CounterfactualResponse* response) {
  const torch::NoGradGuard no_grad;
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor read,
                          ReadPicture(request.image(), "image", served, context.decode_limits));
  const torch::Tensor image = read.to(served.model().device());
  DeviceScheduler::Turn turn(context.device, [&] { return !cancellation.stopped(); });
  if (!turn.active()) {
    return absl::CancelledError("the search was cancelled");
  }
  options.search.control.give_way = [&turn] { return turn.Yield(); };
  options.search.control.cores = &context.device->cores();
  STYLEX_ASSIGN_OR_RETURN(
      const Explanation explanation,
      Explain(served.model(), served.ranges(), served.index_lists(), image, options));
  turn.End();
  STYLEX_RETURN_IF_ERROR(
      CheckDrawable(explanation.counterfactual.image, explanation.counterfactual.logits, "shift"));
  FillFindings(explanation, options.search, served, response);
  *response->mutable_quality() =
      CompareImages(image, explanation.reconstruction.image, explanation.logits,
                    explanation.reconstruction.logits, served);
  return FillImages(explanation, request, served, response);
}

}  // namespace

UnaryWork<v1::CounterfactualResponse> Counterfactual(const HandlerContext& context,
                                                     const v1::CounterfactualRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_ASSIGN_OR_RETURN(const ExplanationOptions options, MakeOptions(request, *model));
  auto run = [model, &request, options, &context](const Cancellation& cancellation,
                                                  v1::CounterfactualResponse* response) {
    return Answer(*model, request, options, context, cancellation, response);
  };
  return Work<v1::CounterfactualResponse>{.run = std::move(run), .effort = Effort::kExplanation};
}

}  // namespace stylex
