// Measures how well attributes match the ground truth, on data sets whose factors are all known.
//
// For the first attributes of each class: the factor that moving the attribute changes, read from
// the generated pictures before and after; whether the label depends on it; and whether it moves in
// the right direction. Also each factor's true effect on the classifier, by exact interventions on
// the data set's images.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_
#define STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "stylex/v1/known_truth.pb.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/truth/truth_dataset.h"

namespace stylex {

struct TruthOptions {
  int64_t top = 10;      // attributes of each class, the strongest first
  int64_t images = 100;  // validation images, drawn with the seed; 0: all
  uint64_t seed = 1;
};

// An attribute is matched to a factor when it moves that factor by at least a tenth of its standard
// deviation (mean of absolute changes) and all others together by no more; in worlds that can undo
// a change, when at least half of the effect is due to that factor.
inline constexpr double kLeastChange = 0.1;
inline constexpr double kLeastPurity = 0.5;

struct AttributeTruth {
  Coordinate coordinate;
  double mean_effect = 0;                   // from the index
  int64_t images = 0;                       // not decided as the class already
  std::vector<double> change, mean_change;  // of each factor, in its standard deviations: mean of
                                            // absolute and of signed changes
  size_t factor = 0;                        // that it changes most
  // That factor's share of all changes; in a world that can undo a change, its share of the change
  // of the class's logit, i.e. how much of it is undone when the factor is reset.
  double purity = 0;
  bool found = false;
};

enum class Finding { kTrue, kFalse, kUnclear };

struct ClassTruth {
  int64_t class_id = 0;
  std::vector<AttributeTruth> attributes;
  // Effect on the class's logit of moving each factor from its 10 % to its 90 % quantile: mean of
  // absolute and of signed changes.
  std::vector<double> effect, mean_effect;
  // For each factor, the sum of the index's effects of the attributes matched to it.
  std::vector<double> attributed;
  // Share of the factors that the label depends on that some attribute matches; none if there are
  // no such factors.
  std::optional<double> recall;
  double precision = 0;          // share of attributes matched to such a factor
  double false_discoveries = 0;  // share matched to a factor the label ignores
  std::optional<double>
      sign_accuracy;  // of those in `precision`: moved in the direction that raises the class
  std::optional<double> rank_correlation;  // Spearman, `effect` and `attributed`
  int64_t duplicates = 0;                  // attributes whose factor is already matched
};

struct TruthFigures {
  int64_t images = 0;
  double accuracy = 0;  // of the classifier on the images
  // Accuracy of reading factors from reconstructions: the mean absolute error of each factor in its
  // standard deviations, and the mean residual in bytes.
  std::vector<double> reading_error;
  double residual = 0;
  std::vector<ClassTruth> classes;
};

// FAILED_PRECONDITION without an attribute index; INVALID_ARGUMENT when model and world differ in
// size, channels or classes.
absl::StatusOr<TruthFigures> MeasureTruth(const Checkpoint& checkpoint, const KnownWorld& world,
                                          const Dataset& dataset, const TruthOptions& options,
                                          Progress* progress);

// Computes the figures that follow from `attributes` and `effect`; `signs` are the world's.
void SummarizeClass(const std::vector<int>& signs, ClassTruth* truth);
// The figures as a checkpoint keeps them (truth.json).
v1::KnownTruth ToKnownTruth(const TruthFigures& figures, const KnownWorld& world);
// Classifies an attribute, given the world's `signs`.
Finding FindingOf(const AttributeTruth& attribute, const std::vector<int>& signs);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_
