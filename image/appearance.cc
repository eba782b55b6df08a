#include "image/appearance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr double kJustSeen = 2.3;       // CIELAB's just noticeable difference (Mahy et al. 1994)
constexpr double kCentralRadius = 0.5;  // of half the side
constexpr int kBins = 64;
constexpr int kLeastPartPixels = 3;

enum Part { kWhole, kCentre, kRest, kLight, kDark, kBackground, kParts };
constexpr std::array<const char*, kParts> kPlaces = {"overall",     "centre",     "border",
                                                     "light parts", "dark parts", "background"};

using Mask = std::vector<uint8_t>;

// A picture in CIELAB.
struct LabPicture {
  int width = 0, height = 0;
  std::vector<Lab> pixels;

  const Lab& at(int x, int y) const { return pixels[static_cast<size_t>(y) * width + x]; }
};

LabPicture ToLab(const Bitmap& picture) {
  LabPicture lab{picture.width, picture.height, {}};
  lab.pixels.reserve(static_cast<size_t>(picture.width) * picture.height);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      lab.pixels.push_back(LabOf(picture.pixel(x, y), picture.channels));
    }
  }
  return lab;
}

double Distance(const Lab& a, const Lab& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

// The threshold that divides values into two groups of least variance (Otsu 1979); the greatest
// value if all are equal, so that nothing is above it.
double OtsuThreshold(const std::vector<double>& values) {
  if (values.empty()) {
    return 0;
  }
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  const double low = *least, span = *greatest - *least;
  if (span <= 0) {
    return *greatest;
  }
  std::array<double, kBins> count{};
  for (const double value : values) {
    ++count[static_cast<size_t>(std::min<double>(kBins - 1, kBins * (value - low) / span))];
  }
  double total = 0, sum = 0;
  for (int i = 0; i < kBins; ++i) {
    total += count[i];
    sum += i * count[i];
  }
  double below = 0, sum_below = 0, best = -1;
  int at = 0;
  for (int i = 0; i < kBins - 1; ++i) {
    below += count[i];
    sum_below += i * count[i];
    const double above = total - below;
    if (below == 0 || above == 0) {
      continue;
    }
    const double between = sum_below / below - (sum - sum_below) / above;
    const double variance = below * above * between * between;
    if (variance > best) {
      best = variance;
      at = i;
    }
  }
  return low + span * (at + 1) / kBins;
}

Lab MedianOfBorder(const LabPicture& picture) {
  std::array<std::vector<double>, 3> values;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      if (x == 0 || y == 0 || x == picture.width - 1 || y == picture.height - 1) {
        for (size_t c = 0; c < 3; ++c) {
          values[c].push_back(picture.at(x, y)[c]);
        }
      }
    }
  }
  Lab median{};
  for (size_t c = 0; c < 3; ++c) {
    const auto middle = values[c].begin() + static_cast<std::ptrdiff_t>(values[c].size() / 2);
    std::nth_element(values[c].begin(), middle, values[c].end());
    median[c] = *middle;
  }
  return median;
}

// The object of a picture, and the dark parts of it.
struct Object {
  Mask pixels, dark;
};

Object FindObject(const LabPicture& picture) {
  const Lab background = MedianOfBorder(picture);
  std::vector<double> distance;
  distance.reserve(picture.pixels.size());
  for (const Lab& pixel : picture.pixels) {
    distance.push_back(Distance(pixel, background));
  }
  const double far = std::max(OtsuThreshold(distance), kJustSeen);
  Object object{Mask(distance.size(), 0), Mask(distance.size(), 0)};
  std::vector<double> lightness;
  for (size_t i = 0; i < distance.size(); ++i) {
    object.pixels[i] = distance[i] > far ? 1 : 0;
    if (object.pixels[i] != 0) {
      lightness.push_back(picture.pixels[i][0]);
    }
  }
  const double dark = OtsuThreshold(lightness);
  const bool uniform =
      lightness.empty() || *std::max_element(lightness.begin(), lightness.end()) == dark;
  for (size_t i = 0; i < distance.size(); ++i) {
    object.dark[i] = object.pixels[i] != 0 && !uniform && picture.pixels[i][0] < dark ? 1 : 0;
  }
  return object;
}

// Connected areas (by edges) of a mask: the pixels of each.
std::vector<std::vector<size_t>> ConnectedParts(const Mask& mask, int width, int height) {
  Mask left = mask;
  std::vector<std::vector<size_t>> parts;
  for (size_t start = 0; start < left.size(); ++start) {
    if (left[start] == 0) {
      continue;
    }
    std::vector<size_t> part = {start};
    left[start] = 0;
    for (size_t next = 0; next < part.size(); ++next) {
      const int x = static_cast<int>(part[next] % width), y = static_cast<int>(part[next] / width);
      for (const auto& [dx, dy] : {std::pair(1, 0), {-1, 0}, {0, 1}, {0, -1}}) {
        const int nx = x + dx, ny = y + dy;
        if (nx < 0 || ny < 0 || nx >= width || ny >= height) {
          continue;
        }
        const size_t neighbour = static_cast<size_t>(ny) * width + nx;
        if (left[neighbour] != 0) {
          left[neighbour] = 0;
          part.push_back(neighbour);
        }
      }
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

double Share(const Mask& mask) {
  return static_cast<double>(std::count(mask.begin(), mask.end(), 1)) /
         static_cast<double>(mask.size());
}

// 4 pi area / perimeter^2 of the greatest connected part: 1 for a disc, less for all else. The
// perimeter is the number of pixel edges on it, of which a disc has 4 / pi times its length.
double Roundness(const Mask& mask, int width, int height) {
  const auto parts = ConnectedParts(mask, width, height);
  const auto greatest = std::max_element(
      parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (greatest == parts.end()) {
    return 0;
  }
  Mask own(mask.size(), 0);
  for (const size_t pixel : *greatest) {
    own[pixel] = 1;
  }
  int edges = 0;
  for (const size_t pixel : *greatest) {
    const int x = static_cast<int>(pixel % width), y = static_cast<int>(pixel / width);
    edges += x == 0 || own[pixel - 1] == 0 ? 1 : 0;
    edges += x == width - 1 || own[pixel + 1] == 0 ? 1 : 0;
    edges += y == 0 || own[pixel - width] == 0 ? 1 : 0;
    edges += y == height - 1 || own[pixel + width] == 0 ? 1 : 0;
  }
  const double perimeter = edges * std::numbers::pi / 4;
  return 4 * std::numbers::pi * static_cast<double>(greatest->size()) / (perimeter * perimeter);
}

int CountParts(const Mask& mask, int width, int height) {
  const auto parts = ConnectedParts(mask, width, height);
  return static_cast<int>(std::count_if(parts.begin(), parts.end(), [](const auto& part) {
    return part.size() >= kLeastPartPixels;
  }));
}

std::array<Mask, kParts> PartsOf(const LabPicture& picture) {
  const size_t size = picture.pixels.size();
  std::array<Mask, kParts> parts;
  parts.fill(Mask(size, 0));
  parts[kWhole] = Mask(size, 1);
  const Object object = FindObject(picture);
  for (size_t i = 0; i < size; ++i) {
    const double x = 2 * (static_cast<double>(i % picture.width) + 0.5) / picture.width - 1;
    const size_t row = i / picture.width;
    const double y = 2 * (static_cast<double>(row) + 0.5) / picture.height - 1;
    parts[std::hypot(x, y) <= kCentralRadius ? kCentre : kRest][i] = 1;
    parts[object.pixels[i] == 0 ? kBackground : (object.dark[i] != 0 ? kDark : kLight)][i] = 1;
  }
  return parts;
}

Lab MeanOver(const LabPicture& picture, const Mask& mask) {
  Lab sum{};
  double count = 0;
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) {
      ++count;
      for (size_t c = 0; c < 3; ++c) {
        sum[c] += picture.pixels[i][c];
      }
    }
  }
  for (double& value : sum) {
    value = count > 0 ? value / count : 0;
  }
  return sum;
}

// Mean of the steps of L* to the right and down.
double Texture(const LabPicture& picture) {
  double sum = 0;
  for (int y = 0; y + 1 < picture.height; ++y) {
    for (int x = 0; x + 1 < picture.width; ++x) {
      sum += std::hypot(picture.at(x + 1, y)[0] - picture.at(x, y)[0],
                        picture.at(x, y + 1)[0] - picture.at(x, y)[0]);
    }
  }
  return sum / std::max(1, (picture.height - 1) * (picture.width - 1));
}

// Mean difference of L* from the picture's mirror image.
double Asymmetry(const LabPicture& picture) {
  double sum = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      sum += std::abs(picture.at(x, y)[0] - picture.at(picture.width - 1 - x, y)[0]);
    }
  }
  return sum / (picture.width * picture.height);
}

std::vector<AppearanceMeasure> MakeMeasures() {
  std::vector<AppearanceMeasure> measures;
  for (const char* place : kPlaces) {
    measures.push_back({"L*", place, "lighter", "darker", 1.5});
    measures.push_back({"a*", place, "redder", "greener", 1.5});
    measures.push_back({"b*", place, "yellower", "bluer", 1.5});
  }
  measures.push_back({"area of the object", "object", "larger", "smaller", 0.01});
  measures.push_back({"roundness", "object", "rounder", "less round", 0.02});
  measures.push_back({"number of dark parts", "", "more dark parts", "fewer dark parts", 0.25});
  measures.push_back({"area of dark parts", "dark parts", "larger", "smaller", 0.005});
  measures.push_back({"texture", "", "more texture", "smoother", 0.25});
  measures.push_back({"asymmetry", "", "less symmetric", "more symmetric", 0.5});
  return measures;
}

}  // namespace

std::string AppearanceMeasure::Words(bool greater) const {
  return absl::StrCat(place, place.empty() ? "" : " ", greater ? more : less);
}

const std::vector<AppearanceMeasure>& AppearanceMeasures() {
  static const auto* const measures = new std::vector<AppearanceMeasure>(MakeMeasures());
  return *measures;
}

std::vector<double> MeasureAppearance(const Bitmap& picture, const Bitmap& reference) {
  const LabPicture lab = ToLab(picture);
  std::vector<double> values;
  for (const Mask& part : PartsOf(ToLab(reference))) {
    const Lab mean = MeanOver(lab, part);
    values.insert(values.end(), mean.begin(), mean.end());
  }
  const Object object = FindObject(lab);
  values.push_back(Share(object.pixels));
  values.push_back(Roundness(object.pixels, lab.width, lab.height));
  values.push_back(CountParts(object.dark, lab.width, lab.height));
  values.push_back(Share(object.dark));
  values.push_back(Texture(lab));
  values.push_back(Asymmetry(lab));
  return values;
}

VisibleChange FindVisibleChange(const Bitmap& before, const Bitmap& after) {
  VisibleChange change;
  double count = 0;
  for (int y = 0; y < before.height; ++y) {
    for (int x = 0; x < before.width; ++x) {
      const Lab from = LabOf(before.pixel(x, y), before.channels);
      const Lab to = LabOf(after.pixel(x, y), after.channels);
      if (Distance(from, to) >= kJustSeen) {
        ++count;
        for (size_t c = 0; c < from.size(); ++c) {
          change.before[c] += from[c];
          change.after[c] += to[c];
        }
        change.x += 2 * (x + 0.5) / before.width - 1;
        change.y += 2 * (y + 0.5) / before.height - 1;
      }
    }
  }
  if (count > 0) {
    change.area = count / (static_cast<double>(before.width) * before.height);
    change.x /= count;
    change.y /= count;
    for (size_t c = 0; c < change.before.size(); ++c) {
      change.before[c] /= count;
      change.after[c] /= count;
    }
  }
  return change;
}

std::string PositionWords(double x, double y) {
  constexpr double kThird = 1.0 / 3;
  const std::string row = y < -kThird ? "top" : y > kThird ? "bottom" : "";
  const std::string column = x < -kThird ? "left" : x > kThird ? "right" : "";
  return row.empty() && column.empty()
             ? "middle"
             : absl::StrCat(row, row.empty() || column.empty() ? "" : " ", column);
}

}  // namespace stylex
