#include "explain/attribute_search.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/gradient_candidates.h"
#include "explain/screening.h"

namespace stylex {
namespace {

// Screened and joint: number of coordinates chosen by each image's gradients.
constexpr int64_t kScreenedCoordinates = 128;

// One search.
class AttributeSearch {
 public:
  AttributeSearch(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                  const AttributeSearchOptions& options)
      : model_(model), styles_(styles), ranges_(ranges), options_(options) {}

  absl::StatusOr<FoundAttributes> Run();

 private:
  int64_t num_images() const { return styles_.conv.size(0); }
  // Control of one phase: its evaluations are added to those of the phases before.
  SearchControl Phase();
  absl::StatusOr<FoundAttributes> RunScreening();
  // Effects of the coordinates that some image's gradients choose; all others remain 0, so that
  // they are never selected.
  absl::StatusOr<StyleEffects> ScreenedEffects();
  absl::StatusOr<std::vector<Coordinate>> ChosenByGradients();

  const Stylex& model_;
  const StyleVectors& styles_;
  const StyleRanges& ranges_;
  const AttributeSearchOptions& options_;
  int64_t done_ = 0, done_before_ = 0;
};

SearchControl AttributeSearch::Phase() {
  done_before_ = done_;
  SearchControl control = options_.control;
  control.progress = [this](int64_t done, int64_t total) {
    done_ = done_before_ + done;
    if (options_.control.progress) {
      options_.control.progress(done_, done_before_ + total);
    }
  };
  return control;
}

absl::StatusOr<std::vector<Coordinate>> AttributeSearch::ChosenByGradients() {
  std::vector<Coordinate> chosen;
  for (int64_t n = 0; n < num_images(); ++n) {
    if (options_.control.give_way && !options_.control.give_way()) {
      return absl::CancelledError("the search was cancelled");
    }
    for (const Coordinate& coordinate :
         GradientCandidates(model_, styles_.Narrow(n, 1), ranges_, options_.target, options_.shift,
                            kScreenedCoordinates, options_.control.cores)) {
      if (std::find(chosen.begin(), chosen.end(), coordinate) == chosen.end()) {
        chosen.push_back(coordinate);
      }
    }
  }
  return chosen;
}

absl::StatusOr<StyleEffects> AttributeSearch::ScreenedEffects() {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Coordinate> chosen, ChosenByGradients());
  const int64_t num_chosen = static_cast<int64_t>(chosen.size());
  const int64_t total = num_images() * num_chosen;
  StyleEffects effects;
  effects.base = LogitsOf(model_, styles_);
  effects.effect =
      torch::zeros({num_images(), 2, ranges_.size(), model_.num_classes()}, torch::kFloat32);
  for (int64_t n = 0; n < num_images() && num_chosen > 0; ++n) {
    EffectOptions options = {.shift = options_.shift, .control = Phase()};
    options.control.progress = [total, n, num_chosen, progress = options.control.progress](
                                   int64_t done, int64_t) {
      progress(done, total - n * num_chosen);
    };
    STYLEX_ASSIGN_OR_RETURN(
        const torch::Tensor logits,
        LogitsAfterSingleMoves(model_, styles_.Narrow(n, 1), ranges_, chosen, options));
    for (int64_t i = 0; i < num_chosen; ++i) {
      effects.effect[n][chosen[i].direction][chosen[i].index] = logits[i] - effects.base[n];
    }
  }
  return effects;
}

absl::StatusOr<FoundAttributes> AttributeSearch::RunScreening() {
  ScreeningOptions screening;
  screening.max_attributes = options_.max_attributes;
  screening.shift = options_.shift;
  screening.explained_at = options_.explained_at;
  screening.seed = options_.seed;
  screening.control = Phase();
  STYLEX_ASSIGN_OR_RETURN(
      ScreenedSelection found,
      SelectAttributesScreened(model_, styles_, ranges_, options_.target, screening));
  screening.control.progress(found.classifier_calls, found.classifier_calls);
  return FoundAttributes{.attributes = std::move(found.attributes),
                         .evaluations = found.classifier_calls,
                         .confidence = found.confidence,
                         .audited = found.audited,
                         .audit_misses = found.audit_misses};
}

absl::StatusOr<FoundAttributes> AttributeSearch::Run() {
  if (options_.screened && !options_.joint) {
    return RunScreening();
  }
  FoundAttributes found;
  found.confidence = options_.screened ? 0 : 1;
  STYLEX_ASSIGN_OR_RETURN(const StyleEffects effects,
                          options_.screened
                              ? ScreenedEffects()
                              : ComputeEffects(model_, styles_, ranges_,
                                               {.shift = options_.shift, .control = Phase()}));
  AttributeSearchOptions selection = options_;
  selection.control = Phase();
  STYLEX_ASSIGN_OR_RETURN(found.attributes,
                          SelectFromEffects(model_, styles_, ranges_, effects, selection));
  found.evaluations = done_;
  return found;
}

}  // namespace

int64_t EvaluationsPerImage(bool screened, int64_t num_styles) {
  return screened ? kScreenedCoordinates : 2 * num_styles;
}

std::optional<StyleVectors> StylesIfSearched(const Stylex& model, const torch::Tensor& image,
                                             int64_t target, std::optional<int64_t> source) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor logits = model.Logits(image);
  const int64_t decided = logits.argmax(1).item<int64_t>();
  if (decided == target || (source.has_value() && decided != *source)) {
    return std::nullopt;
  }
  StyleVectors styles = model.Styles(model.Encode(image, logits));
  if (model.LogitsOfStyles(styles).argmax(1).item<int64_t>() == target) {
    return std::nullopt;
  }
  return styles;
}

absl::StatusOr<FoundAttributes> SearchAttributes(const Stylex& model, const StyleVectors& styles,
                                                 const StyleRanges& ranges,
                                                 const AttributeSearchOptions& options) {
  const torch::NoGradGuard no_grad;
  if (styles.conv.size(0) == 0) {
    return FoundAttributes{.confidence = 1};
  }
  return AttributeSearch(model, styles, ranges, options).Run();
}

absl::StatusOr<std::vector<SelectedAttribute>> SelectFromEffects(
    const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
    const StyleEffects& effects, const AttributeSearchOptions& options) {
  if (options.joint) {
    return SelectAttributesJointly(model, styles, ranges, effects, options.target,
                                   {.max_attributes = options.max_attributes,
                                    .shift = options.shift,
                                    .threshold = options.threshold,
                                    .control = options.control});
  }
  return SelectAttributes(effects, options.target,
                          {.max_attributes = options.max_attributes,
                           .explained_at = options.explained_at,
                           .paper = options.paper,
                           .accepts = options.accepts});
}

}  // namespace stylex
