// How true are the attributes? Measured where every factor is known (field §2.1).
//
// For the first attributes of each class: which factor of the world does moving the attribute
// change, read from the generator's own pictures before and after; is it one that the label depends
// on; and is it moved the right way. Beside that, what each factor does to the classifier in truth,
// by exact interventions on the data set's images.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_
#define STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/truth/truth_dataset.h"

namespace stylex {

struct TruthOptions {
  int64_t top = 10;      // attributes of each class, the strongest first
  int64_t images = 100;  // validation images, drawn with the seed; 0: all
  uint64_t seed = 1;
};

// An attribute counts as found to be a factor when it moves that factor by a tenth of its standard
// deviation at least (in the mean of absolute changes), and all others together by no more; where
// the rest of the picture can be told from it, when half of the effect at least is that factor's.
inline constexpr double kLeastChange = 0.1;
inline constexpr double kLeastPurity = 0.5;

struct AttributeTruth {
  Coordinate coordinate;
  double mean_effect = 0;                   // of the index
  int64_t images = 0;                       // not decided as the class already
  std::vector<double> change, mean_change;  // of each factor, in its standard deviations: mean of
                                            // absolute and of signed changes
  size_t factor = 0;                        // that it changes most
  // That factor's share: of all changes; in a world that can undo a change, of the change of the
  // class's logit, that is how much of it goes when the factor is put back.
  double purity = 0;
  bool found = false;
};

enum class Finding { kTrue, kFalse, kUnclear };

struct ClassTruth {
  int64_t class_id = 0;
  std::vector<AttributeTruth> attributes;
  // What moving each factor from its 10 % to its 90 % quantile does to the class's logit: the mean
  // of absolute and of signed changes.
  std::vector<double> effect, mean_effect;
  // Sum of the index's effects of attributes found to be the factor.
  std::vector<double> attributed;
  // Of the factors that the label depends on, the share that is found; none where there are no such
  // factors.
  std::optional<double> recall;
  double precision = 0;          // share of the attributes found to be such a factor
  double false_discoveries = 0;  // share found to be a factor that the label ignores
  std::optional<double>
      sign_accuracy;  // of those behind `precision`: moved so as to raise the class
  std::optional<double> rank_correlation;  // Spearman, `effect` with `attributed`
  int64_t duplicates = 0;                  // attributes found to be a factor already found
};

struct TruthFigures {
  int64_t images = 0;
  double accuracy = 0;  // of the classifier on the images
  // How well the world can be read from reconstructions: the mean absolute error of each factor in
  // its standard deviations, and the mean residual in bytes.
  std::vector<double> reading_error;
  double residual = 0;
  std::vector<ClassTruth> classes;
};

// FAILED_PRECONDITION without an attribute index; INVALID_ARGUMENT when model and world differ in
// size, channels or classes.
absl::StatusOr<TruthFigures> MeasureTruth(const Checkpoint& checkpoint, const KnownWorld& world,
                                          const Dataset& dataset, const TruthOptions& options,
                                          Progress* progress);

// The figures that follow from `attributes` and `effect`; `signs` are the world's.
void SummarizeClass(const std::vector<int>& signs, ClassTruth* truth);
// Of an attribute, given `signs`.
Finding FindingOf(const AttributeTruth& attribute, const std::vector<int>& signs);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_ATTRIBUTE_TRUTH_H_
