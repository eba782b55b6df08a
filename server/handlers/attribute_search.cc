#include "explain/attribute_search.h"

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
#include "image/bitmap.h"
#include "models/pixels.h"
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
    // And nothing of each: an empty one is two bytes of the request, its fault is hundreds.
    checks.Add("images", absl::StrCat("has ", request.images_size(), " images; at most ",
                                      kMaxSearchImages, " are allowed"));
  } else {
    for (int i = 0; i < request.images_size(); ++i) {
      checks.Image(absl::StrCat("images[", i, "]"), true, request.images(i));
    }
  }
  if (!request.has_target_class()) {
    checks.Add("target_class", absl::StrCat("is missing; the labels are ", ListOf(shape.labels)));
  }
  plan.target =
      checks.Class("target_class", request.has_target_class(), request.target_class()).value_or(0);
  plan.source = checks.Class("source_class", request.has_source_class(), request.source_class());
  if (request.has_target_class() && plan.source == plan.target) {
    checks.Add("source_class", "is the target class");
  } else if (request.images().empty() && plan.source) {
    checks.Add("source_class",
               "needs images: the stored index is over images of all other classes");
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

void StartResult(const ServedModel& served, const SearchPlan& plan,
                 v1::AttributeSearchResult* result) {
  result->set_target_class_id(static_cast<int32_t>(plan.target));
  result->set_model(served.id());
}

void AnswerFromIndex(const ServedModel& served, const SearchPlan& plan,
                     const v1::ClassAttributes& stored, Sink* sink) {
  v1::FindAttributesResponse response;
  v1::AttributeSearchResult* result = response.mutable_result();
  StartResult(served, plan, result);
  result->set_images(stored.images());
  result->set_from_index(true);
  const int64_t count = std::min<int64_t>(plan.max_attributes, stored.attributes_size());
  for (int64_t i = 0; i < count; ++i) {
    v1::Attribute* attribute = result->add_attributes();
    *attribute = stored.attributes(static_cast<int>(i));
    attribute->set_model(served.id());
  }
  sink->Write(std::move(response));
}

// A search over the request's images.
class Search {
 public:
  Search(const ServedModel& served, const v1::FindAttributesRequest& request,
         const SearchPlan& plan, const HandlerContext& context, const Cancellation& cancellation)
      : served_(served),
        request_(request),
        plan_(plan),
        context_(context),
        cancellation_(cancellation) {}

  absl::Status Run(Sink* sink);

 private:
  bool joint(size_t images) const {
    return request_.strategy() == v1::STRATEGY_SUBSET ||
           (request_.strategy() == v1::STRATEGY_UNSPECIFIED && images == 1);
  }
  // Screening is the default where it was shown to select what an exhaustive search selects
  // (docs/attfind.md).
  bool screened(size_t images) const {
    return request_.search() == v1::SEARCH_SCREENED ||
           (request_.search() == v1::SEARCH_UNSPECIFIED && !joint(images));
  }
  int64_t Expected(size_t images) const {
    return static_cast<int64_t>(images) *
           EvaluationsPerImage(screened(images), served_.shape().num_styles);
  }
  // Reports every broken image, not only the first. They wait for the device as bytes: up to 256
  // of them belong to no budget.
  absl::StatusOr<std::vector<Bitmap>> ReadImages(SearchProgressReporter* progress) const;
  absl::StatusOr<FoundAttributes> Find(const std::vector<StyleVectors>& kept,
                                       DeviceScheduler::Turn* turn,
                                       SearchProgressReporter* progress) const;

  const ServedModel& served_;
  const v1::FindAttributesRequest& request_;
  const SearchPlan& plan_;
  const HandlerContext& context_;
  const Cancellation& cancellation_;
};

absl::StatusOr<std::vector<Bitmap>> Search::ReadImages(SearchProgressReporter* progress) const {
  std::vector<Bitmap> images;
  std::vector<Fault> faults;
  for (int i = 0; i < request_.images_size(); ++i) {
    STYLEX_RETURN_IF_ERROR(cancellation_.status());
    progress->Update(0, 0);
    const std::string field = absl::StrCat("images[", i, "].data");
    absl::StatusOr<Bitmap> image =
        DecodeBitmap(request_.images(i), served_, context_.decode_limits);
    if (image.ok()) {
      images.push_back(*std::move(image));
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

absl::StatusOr<FoundAttributes> Search::Find(const std::vector<StyleVectors>& kept,
                                             DeviceScheduler::Turn* turn,
                                             SearchProgressReporter* progress) const {
  AttributeSearchOptions options;
  options.target = plan_.target;
  options.max_attributes = plan_.max_attributes;
  options.shift = plan_.shift;
  options.joint = joint(kept.size());
  options.screened = screened(kept.size());
  options.explained_at = plan_.threshold > 0 ? plan_.threshold : options.explained_at;
  options.threshold = plan_.threshold;
  options.control.batch_size = served_.search_batch();
  options.control.give_way = [turn] { return turn->Yield(); };
  options.control.progress = [progress](int64_t done, int64_t total) {
    progress->Update(done, total);
  };
  options.control.cores = &context_.device->cores();
  return SearchAttributes(served_.model(), StyleVectors::Concatenate(kept), served_.ranges(),
                          options);
}

void FillResult(const ServedModel& served, const SearchPlan& plan, const FoundAttributes& found,
                v1::AttributeSearchResult* result) {
  result->set_confidence(found.confidence);
  result->set_audited(found.audited);
  result->set_audit_misses(found.audit_misses);
  result->set_evaluations(found.evaluations);
  for (const SelectedAttribute& attribute : found.attributes) {
    v1::Attribute* out = result->add_attributes();
    *out = served.DescribeAttribute(attribute.coordinate, plan.target);
    out->set_mean_effect(attribute.mean_effect);
    out->set_flip_rate(attribute.flip_rate);
  }
}

absl::Status Search::Run(Sink* sink) {
  SearchProgressReporter progress(context_.clock, sink,
                                  Expected(static_cast<size_t>(request_.images_size())));
  STYLEX_ASSIGN_OR_RETURN(std::vector<Bitmap> images, ReadImages(&progress));
  // Held from the first computation on.
  DeviceScheduler::Turn turn(context_.device, [this] { return !cancellation_.stopped(); });
  std::vector<StyleVectors> kept;
  for (Bitmap& bitmap : images) {
    progress.Update(0, 0);
    if (!turn.active() || !turn.Yield()) {
      return absl::CancelledError("the search was cancelled");
    }
    const torch::Tensor image = BitmapToTensor(bitmap).to(served_.model().device());
    bitmap = Bitmap();  // the search takes minutes, and needs styles alone
    if (std::optional<StyleVectors> styles =
            StylesIfSearched(served_.model(), image, plan_.target, plan_.source)) {
      kept.push_back(*std::move(styles));
    }
  }
  progress.Expect(Expected(kept.size()));
  v1::FindAttributesResponse response;
  v1::AttributeSearchResult* result = response.mutable_result();
  StartResult(served_, plan_, result);
  result->set_images(static_cast<int32_t>(kept.size()));
  result->set_skipped_images(request_.images_size() - result->images());
  if (!kept.empty()) {
    result->set_search(screened(kept.size()) ? v1::SEARCH_SCREENED : v1::SEARCH_EXHAUSTIVE);
    STYLEX_ASSIGN_OR_RETURN(const FoundAttributes found, Find(kept, &turn, &progress));
    FillResult(served_, plan_, found, result);
  }
  sink->Write(std::move(response));
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
