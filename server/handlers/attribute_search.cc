#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/counterfactual.h"
#include "explain/effects.h"
#include "explain/gradient_candidates.h"
#include "explain/screening.h"
#include "explain/selection.h"
#include "server/handlers/handlers.h"
#include "server/handlers/pictures.h"
#include "server/handlers/request_checks.h"
#include "server/handlers/search_progress.h"
#include "server/handlers/style_messages.h"
#include "server/repository/served_model.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {
namespace {

constexpr int kDefaultAttributes = 10;
constexpr int kMaxAttributes = 1000;
constexpr double kMaxThreshold = 1e6;
// SEARCH_SCREENED, joint: number of coordinates chosen by each image's gradients.
constexpr int64_t kScreenedCoordinates = 128;

using Sink = StreamSink<v1::FindAttributesResponse>;

// The validated request.
struct SearchPlan {
  int64_t target = 0;
  std::optional<int64_t> source;
  int64_t max_attributes = kDefaultAttributes;
  double shift = 1;
  double threshold = 0;
};

absl::StatusOr<SearchPlan> MakeSearchPlan(const v1::FindAttributesRequest& request,
                                          const ModelShape& shape) {
  RequestChecks checks(shape);
  SearchPlan plan;
  if (request.images_size() > kMaxSearchImages) {
    checks.Add("images", absl::StrCat("has ", request.images_size(), " images; at most ",
                                      kMaxSearchImages, " are allowed"));
  }
  for (int i = 0; i < request.images_size(); ++i) {
    checks.Image(absl::StrCat("images[", i, "]"), true, request.images(i));
  }
  if (!request.has_target_class()) {
    checks.Add("target_class", absl::StrCat("is missing; the labels are ", ListOf(shape.labels)));
  }
  plan.target =
      checks.Class("target_class", request.has_target_class(), request.target_class()).value_or(0);
  plan.source = checks.Class("source_class", request.has_source_class(), request.source_class());
  if (request.has_target_class() && plan.source == plan.target) {
    checks.Add("source_class", "is the target class");
  }
  plan.max_attributes = checks.Count("max_attributes", request.max_attributes(), 1, kMaxAttributes,
                                     kDefaultAttributes);
  plan.shift = checks.SearchShift("shift", request.shift());
  plan.threshold = checks.Number("threshold", request.threshold(), 0, kMaxThreshold);
  checks.Enum("strategy", v1::Strategy_IsValid(request.strategy()), request.strategy());
  checks.Enum("search", v1::Search_IsValid(request.search()), request.search());
  checks.NeedsRanges();
  STYLEX_RETURN_IF_ERROR(checks.Status());
  return plan;
}

void FillResult(const ServedModel& served, const SearchPlan& plan,
                v1::AttributeSearchResult* result) {
  result->set_target_class_id(static_cast<int32_t>(plan.target));
  result->set_model(served.id());
}

void AnswerFromIndex(const ServedModel& served, const SearchPlan& plan,
                     const v1::ClassAttributes& stored, Sink* sink) {
  v1::FindAttributesResponse response;
  v1::AttributeSearchResult* result = response.mutable_result();
  FillResult(served, plan, result);
  result->set_images(stored.images());
  result->set_from_index(true);
  const int64_t count = std::min<int64_t>(plan.max_attributes, stored.attributes_size());
  for (int64_t i = 0; i < count; ++i) {
    *result->add_attributes() = stored.attributes(static_cast<int>(i));
  }
  sink->Write(std::move(response));
}

// A search over the request's images.
class Search {
 public:
  Search(const ServedModel& served, const v1::FindAttributesRequest& request,
         const SearchPlan& plan, const HandlerContext& context, const Cancellation& cancellation)
      : served_(served),
        model_(served.model()),
        request_(request),
        plan_(plan),
        context_(context),
        cancellation_(cancellation) {}

  absl::Status Run(Sink* sink) {
    SearchProgressReporter progress(context_.clock, sink,
                                    request_.images_size() * moves_per_image());
    STYLEX_ASSIGN_OR_RETURN(const std::vector<torch::Tensor> images, ReadImages(&progress));
    turn_.emplace(context_.device, [this] { return !cancellation_.stopped(); });
    for (const torch::Tensor& image : images) {
      progress.Update(0, 0);
      STYLEX_RETURN_IF_ERROR(NextChunk());
      Keep(image.to(model_.device()));
    }
    progress.Expect(num_images() * moves_per_image());
    v1::FindAttributesResponse response;
    v1::AttributeSearchResult* result = response.mutable_result();
    FillResult(served_, plan_, result);
    result->set_images(static_cast<int32_t>(kept_.size()));
    result->set_skipped_images(request_.images_size() - result->images());
    if (!kept_.empty()) {
      STYLEX_RETURN_IF_ERROR(FindBest(&progress, result));
    }
    sink->Write(std::move(response));
    return absl::OkStatus();
  }

 private:
  // Screening is the default where it was shown to select what an exhaustive search selects
  // (docs/attfind.md).
  bool screened() const {
    return request_.search() == v1::SEARCH_SCREENED ||
           (request_.search() == v1::SEARCH_UNSPECIFIED && !joint());
  }
  bool joint() const {
    return request_.strategy() == v1::STRATEGY_SUBSET ||
           (request_.strategy() == v1::STRATEGY_UNSPECIFIED && kept_.size() == 1);
  }
  int64_t moves_per_image() const {
    return screened() ? kScreenedCoordinates : 2 * served_.shape().num_styles;
  }
  int64_t num_images() const { return static_cast<int64_t>(kept_.size()); }

  // Reports every broken image, not only the first.
  absl::StatusOr<std::vector<torch::Tensor>> ReadImages(SearchProgressReporter* progress) const;
  // Encodes an image and keeps it if it takes part in the search.
  void Keep(const torch::Tensor& image);
  // Lets waiting calls compute first.
  absl::Status NextChunk() {
    return turn_->Yield() ? absl::OkStatus() : absl::CancelledError("the search was cancelled");
  }
  EffectOptions MakeEffectOptions(SearchProgressReporter* progress);
  absl::StatusOr<StyleEffects> Screen(const StyleVectors& styles, SearchProgressReporter* progress);
  absl::StatusOr<std::vector<SelectedAttribute>> Select(const StyleVectors& styles,
                                                        const StyleEffects& effects,
                                                        SearchProgressReporter* progress);
  absl::StatusOr<std::vector<SelectedAttribute>> SelectScreened(const StyleVectors& styles,
                                                                SearchProgressReporter* progress,
                                                                v1::AttributeSearchResult* result);
  absl::Status FindBest(SearchProgressReporter* progress, v1::AttributeSearchResult* result);

  const ServedModel& served_;
  const Stylex& model_;
  const v1::FindAttributesRequest& request_;
  const SearchPlan& plan_;
  const HandlerContext& context_;
  const Cancellation& cancellation_;
  std::optional<DeviceScheduler::Turn> turn_;  // held from the first computation on
  std::vector<StyleVectors> kept_;             // styles [1, ...] of the images searched
};

absl::StatusOr<std::vector<torch::Tensor>> Search::ReadImages(
    SearchProgressReporter* progress) const {
  std::vector<torch::Tensor> images;
  std::vector<Fault> faults;
  for (int i = 0; i < request_.images_size(); ++i) {
    STYLEX_RETURN_IF_ERROR(cancellation_.status());
    progress->Update(0, 0);
    const std::string field = absl::StrCat("images[", i, "].data");
    const absl::StatusOr<torch::Tensor> image =
        DecodePicture(request_.images(i), served_, context_.decode_limits);
    if (image.ok()) {
      images.push_back(*image);
    } else if (absl::IsCancelled(image.status())) {
      return image.status();
    } else if (absl::IsResourceExhausted(image.status())) {
      return TooLargeError({field, std::string(image.status().message())});
    } else {
      faults.push_back({field, std::string(image.status().message())});
    }
  }
  if (!faults.empty()) {
    return InvalidRequestError(faults);
  }
  return images;
}

// An image takes part if it is decided as the source class (or as any class but the target) and its
// reconstruction is not already decided as the target.
void Search::Keep(const torch::Tensor& image) {
  const torch::Tensor logits = model_.Logits(image);
  const int64_t decided = logits.argmax(1).item<int64_t>();
  if (decided == plan_.target || (plan_.source.has_value() && decided != *plan_.source)) {
    return;
  }
  StyleVectors styles = model_.Styles(model_.Encode(image, logits));
  if (model_.LogitsOfStyles(styles).argmax(1).item<int64_t>() != plan_.target) {
    kept_.push_back(std::move(styles));
  }
}

EffectOptions Search::MakeEffectOptions(SearchProgressReporter* progress) {
  return {.shift = plan_.shift,
          .batch_size = served_.search_batch(),
          .cancelled = [this] { return !turn_->Yield(); },
          .progress = [progress](int64_t done, int64_t total) { progress->Update(done, total); }};
}

// Effects of the coordinates that some image's gradients choose; all others remain 0, so that they
// are never selected.
absl::StatusOr<StyleEffects> Search::Screen(const StyleVectors& styles,
                                            SearchProgressReporter* progress) {
  std::vector<Coordinate> chosen;
  for (const StyleVectors& image : kept_) {
    STYLEX_RETURN_IF_ERROR(NextChunk());
    for (const Coordinate& coordinate : GradientCandidates(
             model_, image, served_.ranges(), plan_.target, plan_.shift, kScreenedCoordinates)) {
      if (std::find(chosen.begin(), chosen.end(), coordinate) == chosen.end()) {
        chosen.push_back(coordinate);
      }
    }
  }
  const int64_t num_chosen = static_cast<int64_t>(chosen.size());
  const int64_t total = num_images() * num_chosen;
  StyleEffects effects;
  effects.base = model_.LogitsOfStyles(styles).to(torch::kCPU);
  effects.effect = torch::zeros({num_images(), 2, served_.shape().num_styles, model_.num_classes()},
                                torch::kFloat32);
  for (int64_t n = 0; n < num_images() && num_chosen > 0; ++n) {
    EffectOptions options = MakeEffectOptions(progress);
    options.progress = [progress, n, num_chosen, total](int64_t done, int64_t) {
      progress->Update(n * num_chosen + done, total);
    };
    STYLEX_ASSIGN_OR_RETURN(
        const torch::Tensor logits,
        LogitsAfterSingleMoves(model_, styles.Narrow(n, 1), served_.ranges(), chosen, options));
    for (int64_t i = 0; i < num_chosen; ++i) {
      effects.effect[n][chosen[i].direction][chosen[i].index] = logits[i] - effects.base[n];
    }
  }
  return effects;
}

absl::StatusOr<std::vector<SelectedAttribute>> Search::Select(const StyleVectors& styles,
                                                              const StyleEffects& effects,
                                                              SearchProgressReporter* progress) {
  if (!joint()) {
    SelectionOptions options = {.max_attributes = plan_.max_attributes};
    if (plan_.threshold > 0) {
      options.explained_at = plan_.threshold;
    }
    return SelectAttributes(effects, plan_.target, options);
  }
  const EffectOptions searched = MakeEffectOptions(progress);
  return SelectAttributesJointly(model_, styles, served_.ranges(), effects, plan_.target,
                                 {.max_attributes = plan_.max_attributes,
                                  .shift = plan_.shift,
                                  .threshold = plan_.threshold,
                                  .batch_size = searched.batch_size,
                                  .cancelled = searched.cancelled,
                                  .progress = searched.progress});
}

absl::StatusOr<std::vector<SelectedAttribute>> Search::SelectScreened(
    const StyleVectors& styles, SearchProgressReporter* progress,
    v1::AttributeSearchResult* result) {
  const EffectOptions searched = MakeEffectOptions(progress);
  ScreeningOptions options;
  options.max_attributes = plan_.max_attributes;
  options.shift = plan_.shift;
  options.explained_at = plan_.threshold > 0 ? plan_.threshold : options.explained_at;
  options.batch_size = searched.batch_size;
  options.cancelled = searched.cancelled;
  options.progress = searched.progress;
  STYLEX_ASSIGN_OR_RETURN(
      ScreenedSelection found,
      SelectAttributesScreened(model_, styles, served_.ranges(), plan_.target, options));
  progress->Update(found.classifier_calls, found.classifier_calls);
  result->set_confidence(found.confidence);
  result->set_audited(found.audited);
  result->set_audit_misses(found.audit_misses);
  return std::move(found.attributes);
}

absl::Status Search::FindBest(SearchProgressReporter* progress, v1::AttributeSearchResult* result) {
  const StyleVectors styles = StyleVectors::Concatenate(kept_);
  result->set_search(screened() ? v1::SEARCH_SCREENED : v1::SEARCH_EXHAUSTIVE);
  std::vector<SelectedAttribute> selected;
  if (screened() && !joint()) {
    STYLEX_ASSIGN_OR_RETURN(selected, SelectScreened(styles, progress, result));
  } else {
    STYLEX_ASSIGN_OR_RETURN(
        const StyleEffects effects,
        screened() ? Screen(styles, progress)
                   : ComputeEffects(model_, styles, served_.ranges(), MakeEffectOptions(progress)));
    progress->NextPhase();
    STYLEX_ASSIGN_OR_RETURN(selected, Select(styles, effects, progress));
    result->set_confidence(screened() ? 0 : 1);
  }
  for (const SelectedAttribute& attribute : selected) {
    v1::Attribute* out = result->add_attributes();
    *out = served_.DescribeAttribute(attribute.coordinate, plan_.target);
    out->set_mean_effect(attribute.mean_effect);
    out->set_flip_rate(attribute.flip_rate);
  }
  result->set_evaluations(progress->done());
  return absl::OkStatus();
}

}  // namespace

StreamWork<v1::FindAttributesResponse> FindAttributes(const HandlerContext& context,
                                                      const v1::FindAttributesRequest& request) {
  STYLEX_ASSIGN_OR_RETURN(auto model, context.models->Find(request.model()));
  STYLEX_ASSIGN_OR_RETURN(const SearchPlan plan, MakeSearchPlan(request, model->shape()));
  if (request.images().empty()) {
    const v1::ClassAttributes* stored = model->AttributesOf(plan.target);
    if (stored == nullptr) {
      return PreconditionError(
          "NO_ATTRIBUTE_INDEX", model->id(),
          absl::StrCat("the attribute index has no entry for class ",
                       Quoted(model->shape().labels[plan.target]), "; send images to search over"));
    }
    auto answer = [model, plan, stored](const Cancellation&, Sink* sink) {
      AnswerFromIndex(*model, plan, *stored, sink);
      return absl::OkStatus();
    };
    return Work<Sink>{.run = std::move(answer), .effort = Effort::kCheap};
  }
  auto run = [model, &request, plan, &context](const Cancellation& cancellation, Sink* sink) {
    const torch::NoGradGuard no_grad;
    return Search(*model, request, plan, context, cancellation).Run(sink);
  };
  return Work<Sink>{.run = std::move(run), .effort = Effort::kBulk};
}

}  // namespace stylex
