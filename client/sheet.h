// One PNG over all explained photographs.
#ifndef STYLEX_CLIENT_SHEET_H_
#define STYLEX_CLIENT_SHEET_H_

#include <vector>

#include "client/explanation.h"
#include "image/bitmap.h"

namespace stylex {

// A row a photograph: photograph, reconstruction, counterfactual, difference, and in words what was
// decided and which attributes were moved.
Bitmap DrawContactSheet(const std::vector<Explanation>& explanations);

}  // namespace stylex

#endif  // STYLEX_CLIENT_SHEET_H_
