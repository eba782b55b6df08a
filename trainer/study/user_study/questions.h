// A user study of a checkpoint's attributes (StylEx, Lang et al. 2021, §4.3): can people tell that
// two animations show the same change?
//
// A question shows one attribute on two pictures, and two choices: the same attribute on a third,
// another one (the distractor) on a fourth. All four pictures have the same decision, so that the
// choices differ only in the change.
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

// The `count` strongest attributes of the index by mean effect, over all classes or those of
// `target`; each coordinate once. FAILED_PRECONDITION when there are fewer.
absl::StatusOr<std::vector<StudyAttribute>> ChooseStudyAttributes(const v1::AttributeIndex& index,
                                                                  int64_t count,
                                                                  std::optional<int64_t> target);

// How visible each change is in each picture.
struct StudyPictures {
  torch::Tensor decided;  // [N] int64: the class of each reconstruction
  // [N, A, 2]: mean absolute pixel change when attribute a moves towards min, towards max.
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

// `questions` per attribute; order, distractors and answers depend on the seed alone; A is right in
// half of them. Pictures are drawn from those not decided as the attribute's target, from the half
// in which the change is most visible. With two classes a distractor of the other class is moved
// the other way, so that it too raises the target. INVALID_ARGUMENT when fewer than two attributes
// are given; FAILED_PRECONDITION names an attribute for which no class has four pictures.
absl::StatusOr<std::vector<StudyQuestion>> PlanStudy(const std::vector<StudyAttribute>& attributes,
                                                     const StudyPictures& pictures,
                                                     int64_t num_classes, int64_t questions,
                                                     uint64_t seed);

// One clip as a looping animation of two frames, "before" and "after", `side` pixels wide.
absl::StatusOr<std::string> DrawStudyClip(const Stylex& model, const StyleVectors& styles,
                                          const StyleRanges& ranges, const StudyClip& clip,
                                          double shift, int side);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_USER_STUDY_QUESTIONS_H_
