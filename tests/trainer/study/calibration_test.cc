#include "trainer/study/calibration.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace stylex {
namespace {

// Labels drawn with the probabilities softmax(logits): calibrated by construction.
torch::Tensor DrawLabels(const torch::Tensor& logits) {
  return torch::multinomial(torch::softmax(logits, 1), 1).squeeze(1);
}

TEST(CalibrationTest, FindsTheTemperatureThatLogitsWereScaledWith) {
  torch::manual_seed(1);
  const torch::Tensor honest = torch::randn({20'000, 5}) * 2;
  const torch::Tensor labels = DrawLabels(honest);
  for (const double scale : {0.5, 1.0, 3.0}) {
    const torch::Tensor logits = honest * scale;
    EXPECT_NEAR(FitTemperature(logits, labels), scale, 0.05 * scale);
    const Calibration calibration = Calibrate(logits, labels);
    EXPECT_EQ(calibration.images, 10'000);
    EXPECT_LT(calibration.error, 0.015);
    if (scale != 1) {
      EXPECT_GT(calibration.error_before, 0.05);
    }
  }
}

// Two bins by hand: sure of three at 0.9 with one right, sure of one at 0.6 and right.
TEST(CalibrationTest, ErrorByHand) {
  const torch::Tensor probability = torch::tensor({0.9, 0.9, 0.9, 0.6}, torch::kFloat64);
  const torch::Tensor logits =
      torch::stack({(probability / (1 - probability)).log(), torch::zeros({4})}, 1);
  const torch::Tensor labels = torch::tensor({0, 1, 1, 0}, torch::kInt64);
  EXPECT_NEAR(CalibrationError(logits, labels, 1), (3 * (0.9 - 1.0 / 3) + (1 - 0.6)) / 4, 1e-9);
  EXPECT_EQ(CalibrationError(logits.narrow(0, 0, 0), labels.narrow(0, 0, 0), 1), 0);
}

}  // namespace
}  // namespace stylex
