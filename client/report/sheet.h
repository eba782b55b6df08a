// Contact sheets of explained photographs.
#ifndef STYLEX_CLIENT_REPORT_SHEET_H_
#define STYLEX_CLIENT_REPORT_SHEET_H_

#include <cstddef>
#include <vector>

#include "client/report/explanation.h"
#include "image/bitmap.h"

namespace stylex {

// A row: photograph, reconstruction, counterfactual, the map of their difference, and text with the
// decisions and the moved attributes.
Bitmap DrawSheetRow(const ExplainedPhotograph& explanation);

// So many rows are on a sheet at most.
inline constexpr size_t kRowsOnASheet = 50;
// A sheet of rows, below their titles.
Bitmap JoinSheetRows(const std::vector<Bitmap>& rows);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_SHEET_H_
