// Sheets of pictures in rows, and the pictures of such a sheet.
#ifndef STYLEX_TRAINER_REPORT_PICTURE_SHEET_H_
#define STYLEX_TRAINER_REPORT_PICTURE_SHEET_H_

#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

using PictureRow = std::vector<Bitmap>;

// Squares of one size, in rows, white where a row is shorter than others, with gaps between them;
// pictures below 64 pixels are doubled in size. The first row must have one.
Bitmap DrawPictureSheet(const std::vector<PictureRow>& rows);

// The pictures of a sheet of so many rows, as they were drawn (RGB), those that were doubled at
// their own size; a shorter row ends with white pictures. INVALID_ARGUMENT for what is no such
// sheet.
absl::StatusOr<std::vector<PictureRow>> CutPictureSheet(const Bitmap& sheet, int rows);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_PICTURE_SHEET_H_
