// Draws how two pictures differ, on one scale for all pictures.
#ifndef STYLEX_IMAGE_COLOR_DIFFERENCE_H_
#define STYLEX_IMAGE_COLOR_DIFFERENCE_H_

#include <array>
#include <cstdint>

#include "image/bitmap.h"

namespace stylex {

// L*, a*, b* of CIELAB (CIE 1976, D65).
using Lab = std::array<double, 3>;
// Of a pixel with 1 or 3 samples, taken as sRGB.
Lab LabOf(const uint8_t* pixel, int channels);

// Two bitmaps of one size and number of channels, taken as sRGB. In CIELAB (CIE 1976, D65), whose
// distances are about as great as they look: middle grey (L* 50) plus `scale` times the change of
// colour from `before` to `after`, so lighter where it became lighter; clipped to sRGB.
Bitmap DrawColorDifference(const Bitmap& before, const Bitmap& after, double scale);

}  // namespace stylex

#endif  // STYLEX_IMAGE_COLOR_DIFFERENCE_H_
