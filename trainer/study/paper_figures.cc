#include "trainer/study/paper_figures.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "explain/decisions.h"
#include "image/canvas.h"
#include "image/resize.h"
#include "models/pixels.h"
#include "trainer/data/encoded_images.h"

namespace stylex {
namespace {

constexpr int kLeastTile = 72;  // wide enough for a caption
constexpr int kGap = 6;
constexpr int kBetweenImages = 18;
constexpr int kLine = Canvas::kLineHeight + 2;
constexpr Rgb kInk = {30, 30, 40};
constexpr Rgb kMuted = {110, 110, 120};
constexpr Rgb kRaises = {20, 120, 60};

// Enlarged by an integer factor, without interpolation.
Bitmap Enlarged(const Bitmap& bitmap) {
  const int factor = std::max(1, (kLeastTile + bitmap.width - 1) / bitmap.width);
  return ResizeNearest(bitmap, bitmap.width * factor, bitmap.height * factor);
}

int TileSide(const Stylex& model) {
  const int side = static_cast<int>(model.config().resolution());
  return Enlarged(Bitmap::Make(side, side, 1)).width;
}

// The text, truncated to the width.
std::string Fitting(std::string text, int width) {
  while (!text.empty() && Canvas::TextWidth(text) > width) {
    text.pop_back();
  }
  return text;
}

std::string AttributeCaption(const v1::Attribute& attribute) {
  // What a baseline lists has no measured effect.
  const std::string effect = attribute.mean_effect() == 0
                                 ? ""
                                 : absl::StrFormat(" raises by %.2f", attribute.mean_effect());
  return absl::StrCat(attribute.name().empty() ? "" : attribute.name() + ": ", "coordinate ",
                      attribute.index(), " (layer ", attribute.layer(), ", channel ",
                      attribute.channel(), "), ",
                      attribute.direction() == v1::DIRECTION_TO_MIN ? "to min" : "to max", effect);
}

// The decision on an image and its probability, [K], that fit below a tile.
std::string DecisionCaption(const Stylex& model, const torch::Tensor& probabilities, int width) {
  const auto [probability, decided] = probabilities.max(0);
  const std::string& label = model.config().labels(static_cast<int>(decided.item<int64_t>()));
  const std::string percent = absl::StrFormat(" %.0f%%", 100 * probability.item<double>());
  return Fitting(label, width - Canvas::TextWidth(percent)) + percent;
}

}  // namespace

Bitmap DrawReconstructions(const Stylex& model, const std::vector<Bitmap>& photographs,
                           const StyleVectors& styles) {
  torch::NoGradGuard no_grad;
  const torch::Tensor drawn = model.Synthesize(styles);
  const torch::Tensor photos = BitmapsToTensor(photographs).to(model.device());
  struct Row {
    const char* title;
    std::vector<Bitmap> tiles;
    torch::Tensor probabilities;  // [N, K]
  };
  const std::vector<Row> rows = {
      {"photograph", photographs, model.Logits(photos).softmax(1).cpu()},
      {"reconstruction", TensorToBitmaps(drawn), model.Logits(drawn).softmax(1).cpu()}};
  const int tile = TileSide(model);
  const int row_height = kLine + tile + kLine + kGap;
  Canvas canvas(kGap + static_cast<int>(photographs.size()) * (tile + kGap),
                kGap + static_cast<int>(rows.size()) * row_height);
  int y = kGap;
  for (const Row& row : rows) {
    canvas.Text(row.title, kGap, y, kMuted);
    int x = kGap;
    for (size_t i = 0; i < row.tiles.size(); ++i) {
      canvas.Draw(Enlarged(row.tiles[i]), x, y + kLine);
      canvas.Text(DecisionCaption(model, row.probabilities[static_cast<int64_t>(i)], tile), x,
                  y + kLine + tile + 2, kInk);
      x += tile + kGap;
    }
    y += row_height;
  }
  return canvas.bitmap();
}

Bitmap DrawAttributes(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                      const v1::ClassAttributes& entry, int64_t attributes, double shift,
                      const std::string& chosen) {
  torch::NoGradGuard no_grad;
  const int shown = static_cast<int>(std::min<int64_t>(attributes, entry.attributes_size()));
  const int images = static_cast<int>(styles.conv.size(0));
  const int tile = TileSide(model);
  const int row_height = 2 * kLine + tile + kLine + 2 * kGap;
  const std::string title = absl::StrCat(chosen, " \"", model.config().labels(entry.class_id()),
                                         "\": its probability under each picture");
  const int width =
      kGap + images * (3 * (tile + kGap) + kBetweenImages) - (images > 0 ? kBetweenImages : 0);
  Canvas canvas(std::max(width, Canvas::TextWidth(title) + 2 * kGap),
                kGap + kLine + kGap + shown * row_height);
  canvas.Text(title, kGap, kGap, kInk);
  int y = kGap + kLine + kGap;
  for (int a = 0; a < shown; ++a) {
    const v1::Attribute& attribute = entry.attributes(a);
    const Coordinate raising = ToCoordinate(attribute);
    canvas.Text(AttributeCaption(attribute), kGap, y, kInk);
    for (int column = 0; column < 3; ++column) {  // to min, as it is, to max
      StyleVectors moved = styles;
      if (column != 1) {
        const Move move{{raising.index, column / 2}, shift};
        moved = ApplyMoves(styles, ranges, {&move, 1});
      }
      const torch::Tensor drawn = model.Synthesize(moved);
      const torch::Tensor probability =
          model.Logits(drawn).softmax(1).cpu().select(1, static_cast<int64_t>(entry.class_id()));
      const std::vector<Bitmap> tiles = TensorToBitmaps(drawn);
      const bool raises = column != 1 && column / 2 == raising.direction;
      for (int n = 0; n < images; ++n) {
        const int x = kGap + n * (3 * (tile + kGap) + kBetweenImages) + column * (tile + kGap);
        constexpr std::array<const char*, 3> kTitles = {"to min", "as it is", "to max"};
        canvas.Text(kTitles[static_cast<size_t>(column)], x, y + kLine, kMuted);
        canvas.Draw(Enlarged(tiles[static_cast<size_t>(n)]), x, y + 2 * kLine);
        canvas.Text(absl::StrFormat("%.1f %%", 100 * probability[n].item<double>()), x,
                    y + 2 * kLine + tile + 2, raises ? kRaises : kInk);
        if (raises) {
          canvas.FillRect(x, y + 2 * kLine + tile, tile, 2, kRaises);
        }
      }
    }
    y += row_height;
  }
  return canvas.bitmap();
}

v1::ClassAttributes EntryOf(const std::vector<ExemplarAttribute>& listed, int64_t class_id,
                            const StyleLayout& layout) {
  v1::ClassAttributes entry;
  entry.set_class_id(static_cast<int>(class_id));
  for (const ExemplarAttribute& of_list : listed) {
    v1::Attribute attribute = ToAttribute(of_list.coordinate, layout);
    attribute.set_name(absl::StrFormat("relevance %.2f", of_list.relevance));
    *entry.add_attributes() = std::move(attribute);
  }
  return entry;
}

Bitmap DrawSamples(const Stylex& model, const StyleVectors& styles, int64_t columns) {
  torch::NoGradGuard no_grad;
  const int images = static_cast<int>(styles.conv.size(0));
  const int across = std::min(images, static_cast<int>(columns));
  const int tile = TileSide(model);
  const int row_height = tile + kLine + kGap;
  Canvas canvas(kGap + across * (tile + kGap), kGap + (images + across - 1) / across * row_height);
  const std::vector<Bitmap> tiles = DrawAll(model, styles);
  const torch::Tensor probabilities = LogitsOf(model, styles).softmax(1);
  for (int n = 0; n < images; ++n) {
    const int x = kGap + n % across * (tile + kGap);
    const int y = kGap + n / across * row_height;
    canvas.Draw(Enlarged(tiles[static_cast<size_t>(n)]), x, y);
    canvas.Text(DecisionCaption(model, probabilities[n], tile), x, y + tile + 2, kInk);
  }
  return canvas.bitmap();
}

}  // namespace stylex
