// AttFind without trying everything (field §5.3): the selection that SelectAttributes makes from
// the effects of every coordinate on every image, from a few per cent of those effects.
//
// One backward pass an image predicts every effect to first order. Where the prediction and what is
// known of its errors leave no doubt that a move is not the next to be chosen, the move is not
// evaluated; the others are, on ever more images, until one remains. The errors are learned from a
// random share of all moves, evaluated on all images from the start; these are at the same time the
// audit of what the screening leaves out. Every number in the result is exact, and so is what
// "explained" means along the way; only whether a move was rightly left out is a probability, and
// it is reported.
#ifndef STYLEX_EXPLAIN_SCREENING_H_
#define STYLEX_EXPLAIN_SCREENING_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/move_table.h"
#include "explain/selection.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct ScreeningOptions {
  int64_t max_attributes = 10;
  double shift = 1;
  // As in SelectionOptions: increases only, added up; 0: plain ranking.
  double explained_at = 2.5;
  // Share of all moves that is evaluated on all images to learn the predictions' errors and to
  // audit.
  double audit_share = 0.02;
  // A move is left out when it is this many standard deviations short of the best.
  double deviations = 3;
  uint64_t seed = 1;
  int64_t batch_size = 64;
  Cancelled cancelled = nullptr;  // may be empty
  // Evaluations done and a guess, which changes, of their total; from the caller's thread.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;  // may be empty
};

struct ScreenedSelection {
  std::vector<SelectedAttribute> attributes;  // exact over all images
  int64_t classifier_calls = 0;               // forward passes, those for gradients among them
  // Estimated probability that the exhaustive search selects the same: 1 minus the sum, over all
  // steps and moves left out, of the probability that the move would have been the better one.
  double confidence = 0;
  // The audit: moves drawn at random and evaluated everywhere that the screening on its own would
  // have left out at every step, and how many of those were in truth to be selected.
  int64_t audited = 0;
  int64_t audit_misses = 0;
};

// Over images decided otherwise than `target`. CANCELLED when told so. Thread-safe; must not be
// called in LibTorch's inference mode.
absl::StatusOr<ScreenedSelection> SelectAttributesScreened(const Stylex& model,
                                                           const StyleVectors& styles,
                                                           const StyleRanges& ranges,
                                                           int64_t target,
                                                           const ScreeningOptions& options);

// The same over any table of at least one image; of the options, shift, batch size and cancelling
// are then the table's.
absl::StatusOr<ScreenedSelection> SelectAttributesScreened(MoveTable* moves,
                                                           const ScreeningOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SCREENING_H_
