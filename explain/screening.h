// Screened AttFind: makes the selection that SelectAttributes makes from the effects of every
// coordinate on every image, but evaluates only a few per cent of those effects.
//
// One backward pass per image predicts every effect to first order. Moves that, given the
// prediction and the distribution of its errors, cannot be the next to be chosen are not evaluated;
// the others are evaluated on more and more images until one remains. The error distribution is
// learned from a random share of all moves, evaluated on all images at the start, which also serve
// to audit what the screening leaves out. Every number in the result, and which images count as
// explained, is exact; only whether a move was correctly left out is a probability, which is
// reported.
#ifndef STYLEX_EXPLAIN_SCREENING_H_
#define STYLEX_EXPLAIN_SCREENING_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/move_table.h"
#include "explain/search_control.h"
#include "explain/selection.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

struct ScreeningOptions {
  int64_t max_attributes = 10;
  double shift = 1;
  // As in SelectionOptions: increases only, added up; 0: plain ranking.
  double explained_at = 2.5;
  // Share of all moves that are evaluated on all images, to learn the predictions' errors and as an
  // audit.
  double audit_share = 0.02;
  // A move is left out when it is this many standard deviations below the best.
  double deviations = 3;
  uint64_t seed = 1;
  SearchControl control = {};  // the progress' total is an estimate, which may change
};

struct ScreenedSelection {
  std::vector<SelectedAttribute> attributes;  // exact over all images
  int64_t classifier_calls = 0;               // forward passes, including those for gradients
  // Estimated probability that the exhaustive search selects the same: 1 minus the sum, over all
  // steps and moves left out, of the probability that the move would have been better.
  double confidence = 0;
  // The audit: number of moves, drawn at random and evaluated on all images, that the screening
  // would have left out at every step, and how many of them should have been selected.
  int64_t audited = 0;
  int64_t audit_misses = 0;
};

// The images must be decided otherwise than `target`. CANCELLED if it is told to stop.
// Thread-safe; must not be called in LibTorch's inference mode.
absl::StatusOr<ScreenedSelection> SelectAttributesScreened(const Stylex& model,
                                                           const StyleVectors& styles,
                                                           const StyleRanges& ranges,
                                                           int64_t target,
                                                           const ScreeningOptions& options);

// The same for any table of at least one image; of the options' shift and control only the progress
// is used, the rest is the table's.
absl::StatusOr<ScreenedSelection> SelectAttributesScreened(MoveTable* moves,
                                                           const ScreeningOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SCREENING_H_
