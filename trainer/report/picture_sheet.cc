#include "trainer/report/picture_sheet.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "image/canvas.h"
#include "image/resize.h"

namespace stylex {
namespace {

constexpr int kGap = 2;
constexpr int kSmall = 64;

Bitmap Part(const Bitmap& sheet, int left, int top, int side) {
  Bitmap part = Bitmap::Make(side, side, sheet.channels);
  const size_t row = static_cast<size_t>(side) * sheet.channels;
  for (int y = 0; y < side; ++y) {
    std::memcpy(part.pixel(0, y), sheet.pixel(left, top + y), row);
  }
  return part;
}

// The same in half the size, if it shows every pixel four times; else empty.
Bitmap Halved(const Bitmap& picture) {
  const Bitmap half = ResizeNearest(picture, picture.width / 2, picture.height / 2);
  const bool doubled = ResizeNearest(half, picture.width, picture.height) == picture;
  return doubled ? half : Bitmap();
}

// Undoes the doubling, which all pictures of a sheet have in common.
void HalveAll(std::vector<PictureRow>* rows) {
  std::vector<PictureRow> halves;
  for (const PictureRow& row : *rows) {
    std::transform(row.begin(), row.end(), std::back_inserter(halves.emplace_back()), Halved);
    if (std::any_of(halves.back().begin(), halves.back().end(),
                    [](const Bitmap& half) { return half.data.empty(); })) {
      return;
    }
  }
  *rows = std::move(halves);
}

}  // namespace

Bitmap DrawPictureSheet(const std::vector<PictureRow>& rows) {
  size_t columns = 0;
  for (const PictureRow& row : rows) {
    columns = std::max(columns, row.size());
  }
  const int side = rows.at(0).at(0).width;
  const int tile = side < kSmall ? 2 * side : side;
  const int step = tile + kGap;
  Canvas canvas(static_cast<int>(columns) * step + kGap,
                static_cast<int>(rows.size()) * step + kGap);
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      canvas.Draw(ResizeNearest(rows[r][c], tile, tile), static_cast<int>(c) * step + kGap,
                  static_cast<int>(r) * step + kGap);
    }
  }
  return canvas.bitmap();
}

absl::StatusOr<std::vector<PictureRow>> CutPictureSheet(const Bitmap& sheet, int rows) {
  const int step = rows > 0 ? (sheet.height - kGap) / rows : 0;
  if (step <= kGap || (sheet.height - kGap) % rows != 0 || (sheet.width - kGap) % step != 0) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", sheet.width, "x", sheet.height,
                                                   " pixels is no sheet of ", rows, " rows"));
  }
  std::vector<PictureRow> cut(static_cast<size_t>(rows));
  for (int r = 0; r < rows; ++r) {
    for (int left = kGap; left < sheet.width; left += step) {
      cut[static_cast<size_t>(r)].push_back(Part(sheet, left, r * step + kGap, step - kGap));
    }
  }
  if (step - kGap < 2 * kSmall && (step - kGap) % 2 == 0) {
    HalveAll(&cut);
  }
  return cut;
}

}  // namespace stylex
