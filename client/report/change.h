// How much two pictures differ to the eye: in numbers, as a map, and in words.
#ifndef STYLEX_CLIENT_REPORT_CHANGE_H_
#define STYLEX_CLIENT_REPORT_CHANGE_H_

#include <string>

#include "image/bitmap.h"

namespace stylex {

// Differences of colour in CIELAB (Delta E, CIE 1976) over all pixels.
struct ColorChange {
  double mean = 0;
  double greatest = 0;
  double visible = 0;  // share of the pixels that differ by at least what is just seen, 0 to 1
};

// Of two pictures of one size; all 0 where the sizes differ or there are no pixels.
ColorChange MeasureChange(const Bitmap& before, const Bitmap& after);
// Whether nobody would see it: a mean below 2, and hardly a pixel that differs visibly. (A mean
// alone would call a bright spot on an unchanged picture invisible.)
bool CannotBeSeen(const ColorChange& change);

// The difference of each pixel in colours from dark (0) to bright (kBrightestDifference and more):
// one scale for all pictures. Two pictures of one size.
inline constexpr double kBrightestDifference = 30;
Bitmap DrawChangeMap(const Bitmap& before, const Bitmap& after);
// The colours of the scale from left to right, one row high enough to be seen.
Bitmap DrawMapScale();
// What the scale means, in a line.
std::string MapLegend();

// What became visibly different, strongest first, at most two things: "dark parts redder,
// smoother"; empty: nothing that there are words for.
std::string WordsOfChange(const Bitmap& before, const Bitmap& after);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_CHANGE_H_
