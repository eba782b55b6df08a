#include "trainer/study/truth/drawn_face.h"

#include <algorithm>
#include <cmath>

#include "trainer/data/random_order.h"

namespace stylex {
namespace {

constexpr uint64_t kFactorSeeds = 100;

enum Factor : size_t {
  kSkin,
  kHair,
  kBrows,
  kGlasses,
  kWrinkles,
  kMouth,
  kBeard,
  kEyes,
  kBackground,
  kTag
};

// Colours in [0, 1]; lengths in units of the image's side, y downwards.
struct Color {
  double r, g, b;
};
struct Point {
  double x, y;
};

Color Mix(Color a, Color b, double t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
double Mix(double a, double b, double t) { return a + (b - a) * t; }

// Signed distances, negative inside, exact near the outline.
double Ellipse(Point p, Point center, Point radii) {
  const double x = (p.x - center.x) / radii.x, y = (p.y - center.y) / radii.y;
  const double f = std::hypot(x, y);
  const double slope = std::hypot(x / radii.x, y / radii.y);
  return slope < 1e-9 ? -std::min(radii.x, radii.y) : f * (f - 1) / slope;
}
double Stroke(Point p, Point from, Point to, double half_width) {
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double t =
      std::clamp(((p.x - from.x) * dx + (p.y - from.y) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(p.x - from.x - t * dx, p.y - from.y - t * dy) - half_width;
}
double Ring(Point p, Point center, double radius, double half_width) {
  return std::abs(std::hypot(p.x - center.x, p.y - center.y) - radius) - half_width;
}
double Box(Point p, Point center, double half_side) {
  return std::max(std::abs(p.x - center.x), std::abs(p.y - center.y)) - half_side;
}

class Picture {
 public:
  Picture(int side, Color background) : side_(side), pixels_(Size(side) * Size(side) * 3) {
    for (size_t i = 0; i < pixels_.size(); i += 3) {
      Put(background, 1, &pixels_[i]);
    }
  }

  // Paints where `distance` is negative; pixels on the outline are covered partially.
  template <typename Distance>
  void Paint(Point from, Point to, Color color, double opacity, const Distance& distance) {
    if (opacity <= 0) {
      return;
    }
    const int x0 = std::max(0, static_cast<int>(from.x * side_) - 1);
    const int y0 = std::max(0, static_cast<int>(from.y * side_) - 1);
    const int x1 = std::min(side_, static_cast<int>(to.x * side_) + 2);
    const int y1 = std::min(side_, static_cast<int>(to.y * side_) + 2);
    for (int y = y0; y < y1; ++y) {
      for (int x = x0; x < x1; ++x) {
        const double d = distance(Point{(x + 0.5) / side_, (y + 0.5) / side_});
        const double covered = std::clamp(0.5 - d * side_, 0.0, 1.0);
        if (covered > 0) {
          Put(color, covered * opacity, &pixels_[(Size(y) * Size(side_) + Size(x)) * 3]);
        }
      }
    }
  }

  std::vector<float> Take() && { return std::move(pixels_); }

 private:
  static size_t Size(int value) { return static_cast<size_t>(value); }
  static void Put(Color color, double alpha, float* pixel) {
    pixel[0] += static_cast<float>(alpha * (color.r - pixel[0]));
    pixel[1] += static_cast<float>(alpha * (color.g - pixel[1]));
    pixel[2] += static_cast<float>(alpha * (color.b - pixel[2]));
  }

  int side_;
  std::vector<float> pixels_;
};

constexpr Point kFace = {0.5, 0.54};
constexpr Point kFaceRadii = {0.28, 0.35};
constexpr std::array<Point, 2> kEyes2 = {{{0.385, 0.52}, {0.615, 0.52}}};
constexpr Color kDark = {0.16, 0.11, 0.09};

void PaintEllipse(Point center, Point radii, Color color, double opacity, Picture* picture) {
  picture->Paint({center.x - radii.x, center.y - radii.y}, {center.x + radii.x, center.y + radii.y},
                 color, opacity, [=](Point p) { return Ellipse(p, center, radii); });
}

void PaintStroke(Point from, Point to, double half_width, Color color, double opacity,
                 Picture* picture) {
  picture->Paint({from.x - half_width, std::min(from.y, to.y) - half_width},
                 {to.x + half_width, std::max(from.y, to.y) + half_width}, color, opacity,
                 [=](Point p) { return Stroke(p, from, to, half_width); });
}

void PaintEye(Point center, double open, Picture* picture) {
  const Point radii = {0.06, Mix(0.018, 0.055, open)};
  PaintEllipse(center, radii, {0.97, 0.97, 0.97}, 1, picture);
  constexpr double kPupil = 0.022;
  picture->Paint({center.x - kPupil, center.y - kPupil}, {center.x + kPupil, center.y + kPupil},
                 {0.1, 0.2, 0.35}, 1, [=](Point p) {
                   return std::max(Ellipse(p, center, radii),
                                   std::hypot(p.x - center.x, p.y - center.y) - kPupil);
                 });
}

void PaintGlasses(double opacity, Picture* picture) {
  constexpr double kRadius = 0.095, kHalfWidth = 0.014;
  constexpr Color kFrame = {0.05, 0.05, 0.12};
  for (const Point eye : kEyes2) {
    constexpr double kReach = kRadius + kHalfWidth;
    picture->Paint({eye.x - kReach, eye.y - kReach}, {eye.x + kReach, eye.y + kReach}, kFrame,
                   opacity, [=](Point p) { return Ring(p, eye, kRadius, kHalfWidth); });
  }
  PaintStroke({kEyes2[0].x + kRadius, 0.51}, {kEyes2[1].x - kRadius, 0.51}, kHalfWidth, kFrame,
              opacity, picture);
}

void PaintMouth(double open, Picture* picture) {
  constexpr Point kMouthCenter = {0.5, 0.755};
  const double height = Mix(0.014, 0.075, open);
  PaintEllipse(kMouthCenter, {0.105, height}, {0.72, 0.22, 0.24}, 1, picture);
  constexpr double kLip = 0.016;
  if (height > kLip) {
    PaintEllipse(kMouthCenter, {0.105 - kLip, height - kLip}, {0.2, 0.04, 0.06}, 1, picture);
  }
}

}  // namespace

double WorldDeviation(size_t factor) {
  return kWorldFactorList[factor].binary ? 0.5 : 1 / std::sqrt(12.0);
}

WorldFactors SampleWorld(uint64_t seed, int64_t number, double correlation) {
  WorldFactors factors;
  double uniform = 0;
  for (size_t j = 0; j < kWorldFactors; ++j) {
    const uint64_t bits = SeedFor(seed, static_cast<uint64_t>(number), kFactorSeeds + j);
    const double coin = static_cast<double>(bits & 0x7ff) * 0x1p-11;  // bits not used below
    if (j % 2 == 0 || coin >= correlation) {
      uniform = static_cast<double>(bits >> 11) * 0x1p-53;
    }
    factors[j] = kWorldFactorList[j].binary ? (uniform < 0.5 ? 0 : 1) : uniform;
  }
  return factors;
}

std::vector<float> DrawWorldExactly(const WorldFactors& factors, int resolution) {
  Picture picture(resolution,
                  Mix(Color{0.22, 0.30, 0.50}, Color{0.86, 0.72, 0.48}, factors[kBackground]));
  PaintEllipse({0.5, 0.42}, {0.37, 0.36},
               Mix(Color{0.20, 0.12, 0.08}, Color{0.94, 0.93, 0.91}, factors[kHair]), 1, &picture);
  const Color skin = Mix(Color{0.42, 0.27, 0.18}, Color{0.97, 0.84, 0.75}, factors[kSkin]);
  PaintEllipse(kFace, kFaceRadii, skin, 1, &picture);
  for (const double y : {0.285, 0.335, 0.385}) {
    PaintStroke({0.38, y}, {0.62, y}, 0.011, Mix(skin, kDark, 0.75), factors[kWrinkles], &picture);
  }
  PaintStroke({0.5, 0.56}, {0.5, 0.64}, 0.014, Mix(skin, kDark, 0.35), 1, &picture);
  constexpr double kBeardTop = 0.66;
  picture.Paint({kFace.x - kFaceRadii.x, kBeardTop},
                {kFace.x + kFaceRadii.x, kFace.y + kFaceRadii.y}, {0.30, 0.19, 0.12},
                0.9 * factors[kBeard],
                [](Point p) { return std::max(Ellipse(p, kFace, kFaceRadii), kBeardTop - p.y); });
  PaintMouth(factors[kMouth], &picture);
  for (const Point eye : kEyes2) {
    PaintEye(eye, factors[kEyes], &picture);
    PaintStroke({eye.x - 0.06, 0.435}, {eye.x + 0.06, 0.435}, Mix(0.007, 0.03, factors[kBrows]),
                kDark, 1, &picture);
  }
  PaintGlasses(factors[kGlasses], &picture);
  constexpr Point kTagCenter = {0.9, 0.9};
  constexpr double kTagHalf = 0.055;
  picture.Paint({kTagCenter.x - kTagHalf, kTagCenter.y - kTagHalf},
                {kTagCenter.x + kTagHalf, kTagCenter.y + kTagHalf}, {0.95, 0.20, 0.60},
                factors[kTag], [](Point p) { return Box(p, kTagCenter, kTagHalf); });
  return std::move(picture).Take();
}

Bitmap DrawWorld(const WorldFactors& factors, int resolution) {
  const std::vector<float> exact = DrawWorldExactly(factors, resolution);
  Bitmap bitmap = Bitmap::Make(resolution, resolution, 3);
  for (size_t i = 0; i < exact.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(std::lround(255 * std::clamp(exact[i], 0.0f, 1.0f)));
  }
  return bitmap;
}

}  // namespace stylex
