// Reads the factors of a picture of the world by drawing it: those are wanted whose drawing is
// nearest. Unlike a trained regressor it has no training distribution to fall out of, is exact on
// every picture that the world can draw, and says how far a picture is from all of them. Generators
// blur: the drawing's sharpness is fitted too, or faint lines would be taken for faint factors.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_
#define STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_

#include "image/bitmap.h"
#include "trainer/study/truth/drawn_face.h"

namespace stylex {

struct WorldReading {
  WorldFactors factors{};
  double blur = 0;  // standard deviation of a Gaussian, in pixels; one of a few
  // Root mean square of what no factors explain, in bytes.
  double residual = 0;
};

// `picture`: square RGB. `start`: a guess, e.g. the factors of the picture that it was made from;
// every factor is also tried at five values, so a bad guess costs nothing but time. Least squares
// by Levenberg-Marquardt with factors kept in [0, 1]. Thread-safe.
WorldReading ReadWorld(const Bitmap& picture, const WorldFactors& start);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_
