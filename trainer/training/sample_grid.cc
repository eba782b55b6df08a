#include "trainer/training/sample_grid.h"

#include "base/file.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "models/pixels.h"
#include "trainer/report/picture_sheet.h"

namespace stylex {

absl::Status WriteSampleGrid(const std::vector<torch::Tensor>& rows, const std::string& path) {
  std::vector<PictureRow> pictures;
  for (const torch::Tensor& row : rows) {
    pictures.push_back(TensorToBitmaps(row));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(DrawPictureSheet(pictures)));
  return WriteFileAtomic(path, png);
}

}  // namespace stylex
