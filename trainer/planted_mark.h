// A mark in the top left corner of a picture: a bright square on a black one that every picture of
// the data set has, so that putting it there or taking it away is exact. Without state.
#ifndef STYLEX_TRAINER_PLANTED_MARK_H_
#define STYLEX_TRAINER_PLANTED_MARK_H_

#include "image/bitmap.h"

namespace stylex {

// The picture with the mark at `strength`: 0 none, 1 white. Pictures of at least 16x16 pixels.
Bitmap WithMark(Bitmap bitmap, double strength);
// How strong the mark is: 0 where the corner is black, 1 where it is white.
double ReadMark(const Bitmap& bitmap);

}  // namespace stylex

#endif  // STYLEX_TRAINER_PLANTED_MARK_H_
