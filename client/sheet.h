// A contact sheet of all explained photographs.
#ifndef STYLEX_CLIENT_SHEET_H_
#define STYLEX_CLIENT_SHEET_H_

#include <vector>

#include "client/explanation.h"
#include "image/bitmap.h"

namespace stylex {

// One row per photograph: photograph, reconstruction, counterfactual, difference, and text with the
// decisions and the moved attributes.
Bitmap DrawContactSheet(const std::vector<Explanation>& explanations);

}  // namespace stylex

#endif  // STYLEX_CLIENT_SHEET_H_
