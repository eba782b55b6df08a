#include "client/report/change.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "image/appearance.h"
#include "image/color_difference.h"

namespace stylex {
namespace {

constexpr double kFaintMean = 2;
constexpr double kJustSeenDifference = 2.3;  // CIELAB (Mahy et al. 1994)
constexpr double kHardlyAnyPixels = 0.005;
constexpr size_t kMostWords = 2;
constexpr int kScaleWidth = 240, kScaleHeight = 12;

// Colours of the map at equal steps of difference, each lighter than the one before.
constexpr std::array<std::array<double, 3>, 5> kColors = {
    {{20, 22, 40}, {84, 44, 128}, {190, 58, 106}, {244, 130, 64}, {254, 236, 150}}};

double DifferenceAt(const Bitmap& before, const Bitmap& after, int x, int y) {
  const Lab from = LabOf(before.pixel(x, y), before.channels);
  const Lab to = LabOf(after.pixel(x, y), after.channels);
  return std::hypot(from[0] - to[0], from[1] - to[1], from[2] - to[2]);
}

void SetColor(double difference, uint8_t* pixel) {
  const double place =
      std::clamp(difference / kBrightestDifference, 0.0, 1.0) * (kColors.size() - 1);
  const auto lower = std::min(static_cast<size_t>(place), kColors.size() - 2);
  for (size_t c = 0; c < 3; ++c) {
    const double value =
        std::lerp(kColors[lower][c], kColors[lower + 1][c], place - static_cast<double>(lower));
    pixel[c] = static_cast<uint8_t>(std::lround(value));
  }
}

}  // namespace

ColorChange MeasureChange(const Bitmap& before, const Bitmap& after) {
  ColorChange change;
  if (before.width != after.width || before.height != after.height || before.data.empty()) {
    return change;
  }
  for (int y = 0; y < before.height; ++y) {
    for (int x = 0; x < before.width; ++x) {
      const double difference = DifferenceAt(before, after, x, y);
      change.mean += difference;
      change.greatest = std::max(change.greatest, difference);
      change.visible += difference >= kJustSeenDifference ? 1 : 0;
    }
  }
  const double pixels = static_cast<double>(before.width) * before.height;
  change.mean /= pixels;
  change.visible /= pixels;
  return change;
}

bool CannotBeSeen(const ColorChange& change) {
  return change.mean < kFaintMean && change.visible < kHardlyAnyPixels;
}

Bitmap DrawChangeMap(const Bitmap& before, const Bitmap& after) {
  Bitmap map = Bitmap::Make(before.width, before.height, 3);
  for (int y = 0; y < before.height; ++y) {
    for (int x = 0; x < before.width; ++x) {
      SetColor(DifferenceAt(before, after, x, y), map.pixel(x, y));
    }
  }
  return map;
}

Bitmap DrawMapScale() {
  Bitmap scale = Bitmap::Make(kScaleWidth, kScaleHeight, 3);
  for (int y = 0; y < kScaleHeight; ++y) {
    for (int x = 0; x < kScaleWidth; ++x) {
      SetColor(kBrightestDifference * x / (kScaleWidth - 1), scale.pixel(x, y));
    }
  }
  return scale;
}

std::string MapLegend() {
  return absl::StrFormat(
      "Difference of colour (ΔE, CIE 1976): from 0, dark, to %.0f and more, bright; about 2 is "
      "just visible. The scale is the same in all cards.",
      kBrightestDifference);
}

std::string WordsOfChange(const Bitmap& before, const Bitmap& after) {
  if (before.width != after.width || before.height != after.height || before.data.empty()) {
    return "";
  }
  const std::vector<double> from = MeasureAppearance(before, before);
  const std::vector<double> to = MeasureAppearance(after, before);
  const std::vector<AppearanceMeasure>& measures = AppearanceMeasures();
  std::vector<size_t> order;
  for (size_t i = 0; i < measures.size(); ++i) {
    if (std::abs(to[i] - from[i]) >= measures[i].least) {
      order.push_back(i);
    }
  }
  const auto strength = [&](size_t i) { return std::abs(to[i] - from[i]) / measures[i].least; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return strength(a) > strength(b); });
  std::vector<std::string> words;
  std::set<std::string> quantities;  // "overall darker, light parts darker" says one thing twice
  for (const size_t i : order) {
    if (words.size() < kMostWords && quantities.insert(measures[i].quantity).second) {
      words.push_back(measures[i].Words(to[i] > from[i]));
    }
  }
  return absl::StrJoin(words, ", ");
}

}  // namespace stylex
