#include "trainer/study/calibration.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

namespace stylex {
namespace {

constexpr int kBins = 15;
constexpr double kLeastTemperature = 0.05;
constexpr double kGreatestTemperature = 20;
// Steps of the golden section, each of which leaves 0.62 of the range of log(temperature).
constexpr int kSections = 40;

double Loss(const torch::Tensor& logits, const torch::Tensor& labels, double temperature) {
  return -torch::log_softmax(logits / temperature, 1)
              .gather(1, labels.unsqueeze(1))
              .mean()
              .item<double>();
}

}  // namespace

double CalibrationError(const torch::Tensor& logits, const torch::Tensor& labels,
                        double temperature) {
  const torch::NoGradGuard no_grad;
  if (logits.size(0) == 0) {
    return 0;
  }
  const auto [confidence, decided] =
      torch::softmax(logits.to(torch::kFloat64) / temperature, 1).max(1);
  const torch::Tensor gap = confidence - decided.eq(labels).to(torch::kFloat64);
  const torch::Tensor bin = (confidence * kBins).to(torch::kInt64).clamp(0, kBins - 1);  // [N]
  const torch::Tensor gaps = torch::bincount(bin, gap, kBins);
  return gaps.abs().sum().item<double>() / static_cast<double>(logits.size(0));
}

double FitTemperature(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor values = logits.to(torch::kFloat64);
  const auto loss = [&](double log_temperature) {
    return Loss(values, labels, std::exp(log_temperature));
  };
  // The loss is convex in 1 / temperature, and so has one minimum here, too.
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = std::log(kLeastTemperature), high = std::log(kGreatestTemperature);
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double of_left = loss(left), of_right = loss(right);
  for (int section = 0; section < kSections; ++section) {
    if (of_left < of_right) {
      high = right;
      right = left;
      of_right = of_left;
      left = high - golden * (high - low);
      of_left = loss(left);
    } else {
      low = left;
      left = right;
      of_left = of_right;
      right = low + golden * (high - low);
      of_right = loss(right);
    }
  }
  return std::exp((low + high) / 2);
}

Calibration Calibrate(const torch::Tensor& logits, const torch::Tensor& labels) {
  TORCH_CHECK(logits.size(0) > 1 && logits.size(0) == labels.size(0), logits.size(0),
              " images with ", labels.size(0), " labels");
  using torch::indexing::Slice;
  const auto half = [](const torch::Tensor& all, int64_t from) {
    return all.index({Slice(from, torch::indexing::None, 2)});
  };
  Calibration calibration;
  calibration.temperature = FitTemperature(half(logits, 0), half(labels, 0));
  const torch::Tensor other = half(logits, 1), other_labels = half(labels, 1);
  calibration.images = other.size(0);
  calibration.error_before = CalibrationError(other, other_labels, 1);
  calibration.error = CalibrationError(other, other_labels, calibration.temperature);
  return calibration;
}

}  // namespace stylex
