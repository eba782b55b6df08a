// The search for the attributes of a class over a set of images, one for server and trainer: which
// images take part, how their effects are computed, and how attributes are chosen from them
// (AttFind: StylEx §3.2, Algorithm 1; §3.3, subset selection).
#ifndef STYLEX_EXPLAIN_ATTRIBUTE_SEARCH_H_
#define STYLEX_EXPLAIN_ATTRIBUTE_SEARCH_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/effects.h"
#include "explain/search_control.h"
#include "explain/selection.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct AttributeSearchOptions {
  int64_t target = 0;
  int64_t max_attributes = 10;
  double shift = 1;
  // true: STRATEGY_SUBSET, attributes that work together; false: STRATEGY_INDEPENDENT.
  bool joint = false;
  // Whether gradients rule out most coordinates before any is evaluated.
  bool screened = false;
  double explained_at = 2.5;  // independent; see SelectionOptions
  // Independent and not screened; see SelectionOptions.
  bool paper = false;
  std::function<bool(int64_t index)> accepts = nullptr;
  double threshold = 0;  // joint; see SubsetOptions
  uint64_t seed = 1;     // of the screening, where independent
  // Progress counts evaluations over all phases of the search; the total is an estimate.
  SearchControl control = {};
};

struct FoundAttributes {
  std::vector<SelectedAttribute> attributes = {};  // best first
  int64_t evaluations = 0;                         // classifier calls
  // Estimated probability that an exhaustive search selects the same; 1 for an exhaustive one, 0
  // where it is not known (screened and joint).
  double confidence = 0;
  // Screened and independent; see ScreenedSelection.
  int64_t audited = 0;
  int64_t audit_misses = 0;
};

// Evaluations that a search takes for each image, for a first estimate.
int64_t EvaluationsPerImage(bool screened, int64_t num_styles);

// Styles of an image [1, C, R, R] that takes part in a search: it is decided as `source` (or,
// without one, as any class but `target`), and its reconstruction is not decided as `target`
// already.
std::optional<StyleVectors> StylesIfSearched(const Stylex& model, const torch::Tensor& image,
                                             int64_t target, std::optional<int64_t> source);

// Over images decided otherwise than the target. CANCELLED if it is told to stop. Must not be
// called in LibTorch's inference mode. Thread-safe.
absl::StatusOr<FoundAttributes> SearchAttributes(const Stylex& model, const StyleVectors& styles,
                                                 const StyleRanges& ranges,
                                                 const AttributeSearchOptions& options);

// The choice alone, from the images' effects of all coordinates, which are computed already;
// `screened` is ignored.
absl::StatusOr<std::vector<SelectedAttribute>> SelectFromEffects(
    const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
    const StyleEffects& effects, const AttributeSearchOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_ATTRIBUTE_SEARCH_H_
