// Estimates the factors of a picture by analysis through synthesis: finds the factors whose drawing
// is nearest. Unlike a trained regressor it has no training distribution, is exact on every picture
// that the world can draw, and reports the distance of a picture from all of them. Generators blur,
// so the drawing's blur is fitted too; otherwise faint lines would be mistaken for weak factors.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_
#define STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_

#include "image/bitmap.h"
#include "trainer/study/truth/drawn_face.h"

namespace stylex {

struct WorldReading {
  WorldFactors factors{};
  double blur = 0;  // standard deviation of a Gaussian, in pixels; from a fixed set
  // Root mean square difference from the best drawing, in bytes.
  double residual = 0;
};

// `picture`: square RGB. `start`: a guess, e.g. the factors of the picture that it was made from;
// every factor is also tried at five values, so a bad guess costs only time. Least squares by
// Levenberg-Marquardt with factors kept in [0, 1]. Thread-safe.
WorldReading ReadWorld(const Bitmap& picture, const WorldFactors& start);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_FACE_FIT_H_
