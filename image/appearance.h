// What a picture looks like, in numbers for which there are words: colours of its parts, size and
// shape of the object in it, texture.
#ifndef STYLEX_IMAGE_APPEARANCE_H_
#define STYLEX_IMAGE_APPEARANCE_H_

#include <string>
#include <vector>

#include "image/bitmap.h"
#include "image/color_difference.h"

namespace stylex {

// One number that a picture is described by.
struct AppearanceMeasure {
  std::string quantity;  // of which it is a measure in one place: "L*", "area of the object"
  std::string place;     // "dark parts"; empty: the words say it
  std::string more;      // what a greater value is called: "redder"
  std::string less;      // and a smaller one: "greener"
  double least = 0;      // change below which nobody sees it, in the measure's unit

  // "dark parts redder".
  std::string Words(bool greater) const;
};

// In a fixed order. Colours are means of CIELAB's L*, a*, b* (D65) over the whole picture, its
// central disc (half the side wide) and the rest; over the object's light and dark parts, and what
// is not the object. Shares are of all pixels. The object is what differs from the median colour
// of the outermost pixels, its dark parts what is darker than the rest of it; both by Otsu's
// threshold.
const std::vector<AppearanceMeasure>& AppearanceMeasures();

// The values of AppearanceMeasures() for `picture`. The parts whose colours are measured are those
// of `reference`, a picture of the same size, so that what changed colour is not taken for another
// part; size and shape are the picture's own. What a picture has not measures 0.
std::vector<double> MeasureAppearance(const Bitmap& picture, const Bitmap& reference);

// Where two pictures of one size differ by at least 2.3 in CIELAB, about the smallest difference
// that is seen.
struct VisibleChange {
  double area = 0;        // share of all pixels
  double x = 0, y = 0;    // centre, -1 (left, top) to 1; 0 where nothing changed
  Lab before{}, after{};  // mean colours of these pixels
};
VisibleChange FindVisibleChange(const Bitmap& before, const Bitmap& after);

// "bottom right", "top", "middle": where (x, y), -1 to 1, is.
std::string PositionWords(double x, double y);

}  // namespace stylex

#endif  // STYLEX_IMAGE_APPEARANCE_H_
