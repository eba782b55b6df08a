#include "trainer/study/truth/face_fit.h"

#include <algorithm>
#include <cmath>

namespace stylex {
namespace {

constexpr int kIterations = 12;
constexpr double kStep = 0.04;       // of the derivative's difference
constexpr double kConverged = 1e-4;  // relative gain below which it stops
constexpr std::array<double, 5> kBlurs = {0, 0.5, 0.75, 1, 1.5};  // pixels
constexpr int kTaps = 4;                                          // of the Gaussian, to each side
constexpr int kChannels = 3;

// One pass of a separable Gaussian along the rows or the columns, edges repeated.
std::vector<float> BlurAlong(const std::vector<float>& picture, int side, bool rows,
                             const std::array<float, kTaps + 1>& weights) {
  std::vector<float> blurred(picture.size());
  const int step = rows ? 1 : side;
  for (int line = 0; line < side; ++line) {
    for (int i = 0; i < side; ++i) {
      const int first = rows ? line * side : line;
      float* out = &blurred[static_cast<size_t>((first + i * step) * kChannels)];
      for (int tap = -kTaps; tap <= kTaps; ++tap) {
        const int at = std::clamp(i + tap, 0, side - 1);
        const float* in = &picture[static_cast<size_t>((first + at * step) * kChannels)];
        for (int c = 0; c < kChannels; ++c) {
          out[c] += weights[static_cast<size_t>(std::abs(tap))] * in[c];
        }
      }
    }
  }
  return blurred;
}

std::vector<float> Blurred(std::vector<float> picture, int side, double deviation) {
  if (deviation <= 0) {
    return picture;
  }
  std::array<float, kTaps + 1> weights;
  float sum = 0;
  for (int tap = 0; tap <= kTaps; ++tap) {
    const double distance = tap / deviation;
    weights[static_cast<size_t>(tap)] = static_cast<float>(std::exp(-distance * distance / 2));
    sum += (tap == 0 ? 1 : 2) * weights[static_cast<size_t>(tap)];
  }
  for (float& weight : weights) {
    weight /= sum;
  }
  return BlurAlong(BlurAlong(picture, side, true, weights), side, false, weights);
}

class Fit {
 public:
  Fit(const Bitmap& picture, const WorldFactors& start)
      : side_(picture.width), factors_(start), pixels_(picture.data.size()) {
    for (size_t i = 0; i < pixels_.size(); ++i) {
      pixels_[i] = static_cast<float>(picture.data[i]) / 255;
    }
    error_ = ErrorOf(factors_);
  }

  // Large parts first, so that small parts are not fitted to them.
  void TryAll() {
    constexpr std::array<size_t, kWorldFactors> kLargestFirst = {8, 1, 0, 6, 3, 5, 7, 2, 4, 9};
    for (const size_t j : kLargestFirst) {
      for (const double value : {0.0, 0.25, 0.5, 0.75, 1.0}) {
        WorldFactors trial = factors_;
        trial[j] = value;
        Take(trial);
      }
    }
  }

  // Chooses the blur that fits best; false if it does not change.
  bool FitBlur() {
    const double before = blur_;
    double best = before;
    for (const double blur : kBlurs) {
      blur_ = blur;
      if (const double error = ErrorOf(factors_); error < error_) {
        error_ = error;
        best = blur;
      }
    }
    blur_ = best;
    return best != before;
  }

  void Descend() {
    double damping = 1e-3;
    for (int i = 0; i < kIterations; ++i) {
      const double before = error_;
      const Step step = Derivatives();
      bool better = false;
      for (int attempt = 0; attempt < 5 && !better; ++attempt) {
        better = Take(Moved(step, damping));
        damping *= better ? 0.3 : 8;
      }
      if (!better || before - error_ < kConverged * before) {
        return;
      }
    }
  }

  WorldReading Result() const {
    return {factors_, blur_, 255 * std::sqrt(error_ / static_cast<double>(pixels_.size()))};
  }

 private:
  using Matrix = std::array<std::array<double, kWorldFactors>, kWorldFactors>;
  struct Step {
    Matrix normal{};          // J^T J
    WorldFactors gradient{};  // J^T (pixels - drawn)
  };

  std::vector<float> Draw(const WorldFactors& factors) const {
    return Blurred(DrawWorldExactly(factors, side_), side_, blur_);
  }

  double ErrorOf(const WorldFactors& factors) const {
    const std::vector<float> drawn = Draw(factors);
    double sum = 0;
    for (size_t i = 0; i < pixels_.size(); ++i) {
      const double difference = pixels_[i] - drawn[i];
      sum += difference * difference;
    }
    return sum;
  }

  bool Take(const WorldFactors& trial) {
    const double error = ErrorOf(trial);
    if (error >= error_) {
      return false;
    }
    factors_ = trial;
    error_ = error;
    return true;
  }

  Step Derivatives() const {
    const std::vector<float> drawn = Draw(factors_);
    std::array<std::vector<float>, kWorldFactors> columns;
    for (size_t j = 0; j < kWorldFactors; ++j) {
      WorldFactors moved = factors_;
      const double step = moved[j] > 0.5 ? -kStep : kStep;
      moved[j] += step;
      columns[j] = Draw(moved);
      for (size_t i = 0; i < drawn.size(); ++i) {
        columns[j][i] = static_cast<float>((columns[j][i] - drawn[i]) / step);
      }
    }
    Step result;
    for (size_t j = 0; j < kWorldFactors; ++j) {
      for (size_t k = 0; k <= j; ++k) {
        double sum = 0;
        for (size_t i = 0; i < drawn.size(); ++i) {
          sum += static_cast<double>(columns[j][i]) * columns[k][i];
        }
        result.normal[j][k] = result.normal[k][j] = sum;
      }
      for (size_t i = 0; i < drawn.size(); ++i) {
        result.gradient[j] += static_cast<double>(columns[j][i]) * (pixels_[i] - drawn[i]);
      }
    }
    return result;
  }

  // Solves the damped normal equations; a factor at a bound that would leave its range is kept
  // there.
  WorldFactors Moved(const Step& step, double damping) const {
    Matrix a = step.normal;
    WorldFactors b = step.gradient;
    for (size_t j = 0; j < kWorldFactors; ++j) {
      const bool held = (factors_[j] <= 0 && b[j] < 0) || (factors_[j] >= 1 && b[j] > 0);
      if (held) {
        for (size_t k = 0; k < kWorldFactors; ++k) {
          a[j][k] = a[k][j] = 0;
        }
        b[j] = 0;
      }
      a[j][j] = held ? 1 : a[j][j] * (1 + damping) + 1e-6;
    }
    Solve(&a, &b);
    WorldFactors moved = factors_;
    for (size_t j = 0; j < kWorldFactors; ++j) {
      moved[j] = std::clamp(moved[j] + b[j], 0.0, 1.0);
    }
    return moved;
  }

  // Gaussian elimination; the matrix is positive definite, so no pivoting is needed. `b` becomes
  // the solution.
  static void Solve(Matrix* a, WorldFactors* b) {
    for (size_t i = 0; i < kWorldFactors; ++i) {
      for (size_t r = i + 1; r < kWorldFactors; ++r) {
        const double factor = (*a)[r][i] / (*a)[i][i];
        for (size_t c = i; c < kWorldFactors; ++c) {
          (*a)[r][c] -= factor * (*a)[i][c];
        }
        (*b)[r] -= factor * (*b)[i];
      }
    }
    for (size_t i = kWorldFactors; i-- > 0;) {
      for (size_t c = i + 1; c < kWorldFactors; ++c) {
        (*b)[i] -= (*a)[i][c] * (*b)[c];
      }
      (*b)[i] /= (*a)[i][i];
    }
  }

  int side_;
  WorldFactors factors_;
  std::vector<float> pixels_;
  double blur_ = 0;
  double error_ = 0;
};

}  // namespace

WorldReading ReadWorld(const Bitmap& picture, const WorldFactors& start) {
  Fit fit(picture, start);
  fit.TryAll();
  fit.Descend();
  while (fit.FitBlur()) {
    fit.Descend();
  }
  return fit.Result();
}

}  // namespace stylex
