// A user study of a checkpoint's attributes (StylEx §4.3; algorithms §6): do people see that two
// animations show the same change?
//
// A question shows one attribute on two pictures, and two choices: the same attribute on a third,
// another one (the distractor) on a fourth. All four pictures are decided as one class, so that
// only the change can tell the choices apart.
#ifndef STYLEX_TRAINER_STUDY_USER_STUDY_QUESTIONS_H_
#define STYLEX_TRAINER_STUDY_USER_STUDY_QUESTIONS_H_

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/stylex.h"
#include "stylex/v1/attribute_index.pb.h"

namespace stylex {

struct StudyAttribute {
  Coordinate coordinate;
  int64_t target = 0;  // the class that it raises
};

// The strongest `count` of the index by mean effect, over all classes or those of `target`; each
// coordinate once. FAILED_PRECONDITION when there are fewer.
absl::StatusOr<std::vector<StudyAttribute>> ChooseStudyAttributes(const v1::AttributeIndex& index,
                                                                  int64_t count,
                                                                  std::optional<int64_t> target);

// How much each change shows in each picture.
struct StudyPictures {
  torch::Tensor decided;  // [N] int64: the class of each reconstruction
  // [N, A, 2]: mean absolute change of a pixel by moving attribute a towards min, towards max.
  torch::Tensor change;
};

StudyPictures MeasureStudyPictures(const Stylex& model, const StyleVectors& styles,
                                   const StyleRanges& ranges,
                                   const std::vector<StudyAttribute>& attributes, double shift);

struct StudyClip {
  int64_t picture = 0;
  Coordinate coordinate;
};

struct StudyQuestion {
  size_t attribute = 0;
  size_t distractor = 0;
  std::array<StudyClip, 2> examples;
  std::array<StudyClip, 2> choices;  // A, B
  char answer = 'A';
};

// `questions` about each attribute, in an order, with distractors and answers that follow from the
// seed alone; A is right in half of them. Pictures are drawn from the half of those not decided as
// the attribute's target in which its change shows most. With two classes a distractor of the other
// class is moved the other way, so that it too raises the target. INVALID_ARGUMENT when fewer than
// two attributes are given; FAILED_PRECONDITION names an attribute for which no class has four
// pictures.
absl::StatusOr<std::vector<StudyQuestion>> PlanStudy(const std::vector<StudyAttribute>& attributes,
                                                     const StudyPictures& pictures,
                                                     int64_t num_classes, int64_t questions,
                                                     uint64_t seed);

// One clip as an endless animation of two frames, "before" and "after", `side` pixels wide.
absl::StatusOr<std::string> DrawStudyClip(const Stylex& model, const StyleVectors& styles,
                                          const StyleRanges& ranges, const StudyClip& clip,
                                          double shift, int side);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_QUESTIONS_H_
