#include "trainer/training/sample_grid.h"

#include <algorithm>

#include "base/file.h"
#include "base/status_macros.h"
#include "image/canvas.h"
#include "image/codec.h"
#include "image/resize.h"
#include "models/pixels.h"

namespace stylex {

absl::Status WriteSampleGrid(const std::vector<torch::Tensor>& rows, const std::string& path) {
  constexpr int kGap = 2;
  constexpr int kSmall = 64;
  int64_t columns = 0;
  for (const torch::Tensor& row : rows) {
    columns = std::max(columns, row.size(0));
  }
  const int side = static_cast<int>(rows.at(0).size(2));
  const int tile = side < kSmall ? 2 * side : side;
  const int step = tile + kGap;
  Canvas canvas(static_cast<int>(columns) * step + kGap,
                static_cast<int>(rows.size()) * step + kGap);
  for (size_t r = 0; r < rows.size(); ++r) {
    const std::vector<Bitmap> bitmaps = TensorToBitmaps(rows[r]);
    for (size_t c = 0; c < bitmaps.size(); ++c) {
      canvas.Draw(ResizeNearest(bitmaps[c], tile, tile), static_cast<int>(c) * step + kGap,
                  static_cast<int>(r) * step + kGap);
    }
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string png, EncodePng(canvas.bitmap()));
  return WriteFileAtomic(path, png);
}

}  // namespace stylex
