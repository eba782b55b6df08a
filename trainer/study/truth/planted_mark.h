// A mark in the top left corner of a picture: a bright square on a black one that every picture of
// the data set has, so that adding or removing the mark is exact. Stateless.
//
// `side` is that of the mark, as a share of the picture's, at most 0.5. Pictures must be at least
// 16x16 pixels.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_PLANTED_MARK_H_
#define STYLEX_TRAINER_STUDY_TRUTH_PLANTED_MARK_H_

#include "image/bitmap.h"

namespace stylex {

inline constexpr double kMarkSide = 0.125;

// The picture with the mark at `strength`: 0 none, 1 white.
Bitmap WithMark(Bitmap bitmap, double strength, double side = kMarkSide);
// The picture with the corner of `other`: mark and black square.
Bitmap WithMarkOf(const Bitmap& other, Bitmap bitmap, double side = kMarkSide);
// How strong the mark is: 0 where the corner is black, 1 where it is white.
double ReadMark(const Bitmap& bitmap, double side = kMarkSide);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_PLANTED_MARK_H_
