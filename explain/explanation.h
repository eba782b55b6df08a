// What a counterfactual answer is made of: the image's reconstruction, the moves that change its
// decision, the changed image, and what the classifier says of each as it is delivered.
#ifndef STYLEX_EXPLAIN_EXPLANATION_H_
#define STYLEX_EXPLAIN_EXPLANATION_H_

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/counterfactual.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

// What a call asks for that says nothing else: moves, the target's probability, and by how many
// logits decisions and probabilities are exceeded, because other calls classify in batches, whose
// last bits differ.
inline constexpr int kDefaultMoves = 10;
inline constexpr double kDefaultProbability = 0.9;
inline constexpr double kLeastExcess = 1e-3;

struct ExplanationOptions {
  std::optional<int64_t> target;       // none: the runner-up
  std::vector<Coordinate> attributes;  // that may be moved; empty: any
  // `target`, `favourites`, `shortlist`, `beam` and `border` are filled in.
  CounterfactualOptions search;
  bool steps = false;  // draw an image after each move
  // Change the reconstruction under ChangeMask alone (explain/local_change.h), if all
  // claims about the counterfactual still hold. The last move is made as much stronger, up to
  // search.shift, as that needs.
  bool local = false;
  bool on_photograph = false;  // carry the change over to the image itself (ChangeOnPhotograph)
};

enum class ExplanationOutcome {
  kConvincing,  // the requested probability is reached, and the flip survives compression
  kImageAlreadyTarget,
  kReconstructionAlreadyTarget,
  kBudgetExhausted,
  kNoImprovement,
  kProbabilityNotReached,  // flipped all the same
  kLostInJpeg,             // the drawn image is flipped, its file is not
  kLostInCompression,      // the requested probability is reached, but compression undoes the flip
};

struct Picture {
  torch::Tensor image;   // [1, C, R, R] in [-1, 1], as drawn
  torch::Tensor logits;  // [1, K] of its file
};

struct MovedAttribute {
  AppliedMove applied = {};      // without a mask
  double before = 0, after = 0;  // values of the coordinate
};

struct Explanation {
  int64_t target = 0;
  ExplanationOutcome outcome = ExplanationOutcome::kNoImprovement;
  bool flipped = false;  // something was moved, and the counterfactual's file is the target
  torch::Tensor logits;  // [1, K] of the image itself
  Picture reconstruction;
  Picture counterfactual;  // the best attempt; the reconstruction where nothing was moved
  bool local = false;      // whether the counterfactual is masked
  std::vector<MovedAttribute> moved;
  std::vector<Picture> steps;            // after each of `moved`, where asked for; never masked
  std::optional<Picture> on_photograph;  // where asked for; always masked
  std::optional<BorderCrossing> just_flips;
  std::optional<MinimalityCertificate> certificate;
  int64_t evaluations = 0;  // classifier calls
};

// Explains the decision on an image [1, C, R, R] on the model's device. `index`: for each class the
// attributes of the model's index, strongest first. Failures to flip are outcomes, not errors;
// CANCELLED if it is told to stop. Must not be called in LibTorch's inference mode. Thread-safe.
absl::StatusOr<Explanation> Explain(const Stylex& model, const StyleRanges& ranges,
                                    const ClassLists& index, const torch::Tensor& image,
                                    const ExplanationOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_EXPLANATION_H_
