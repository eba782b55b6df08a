#include "explain/local_change.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace stylex {
namespace {

constexpr int64_t kSide = 32;  // the blur's standard deviation is one pixel

torch::Tensor Grey(double value) { return torch::full({1, 3, kSide, kSide}, value); }

// A square of the image is lighter by `by`.
torch::Tensor WithSquare(const torch::Tensor& image, int64_t at, int64_t side, double by) {
  torch::Tensor changed = image.clone();
  changed.narrow(2, at, side).narrow(3, at, side) += by;
  return changed;
}

// The mask by its definition: a Gaussian of one pixel, cut off after two, with the nearest pixel
// beyond the border.
double MaskAt(const torch::Tensor& before, const torch::Tensor& after, int64_t y, int64_t x) {
  const torch::Tensor change = (after - before).abs().mean(1)[0];
  const auto blurred = [&change](int64_t row, int64_t column) {
    double sum = 0, weights = 0;
    for (int64_t dy = -2; dy <= 2; ++dy) {
      for (int64_t dx = -2; dx <= 2; ++dx) {
        const double weight = std::exp(-static_cast<double>(dy * dy + dx * dx) / 2);
        sum += weight * change[std::clamp<int64_t>(row + dy, 0, kSide - 1)]
                              [std::clamp<int64_t>(column + dx, 0, kSide - 1)]
                                  .item<double>();
        weights += weight;
      }
    }
    return sum / weights;
  };
  double greatest = 0;
  for (int64_t row = 0; row < kSide; ++row) {
    for (int64_t column = 0; column < kSide; ++column) {
      greatest = std::max(greatest, blurred(row, column));
    }
  }
  const double t = std::clamp((blurred(y, x) / greatest - 0.05) / 0.2, 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

TEST(ChangeMaskTest, IsThatOfItsDefinition) {
  torch::manual_seed(3);
  const torch::Tensor before = torch::rand({1, 3, kSide, kSide}) - 0.5;
  torch::Tensor after = WithSquare(before, 0, 6, 0.4);
  after = WithSquare(after, 20, 3, 0.07);
  const torch::Tensor mask = ChangeMask(before, after);
  ASSERT_EQ(mask.sizes(), (std::vector<int64_t>{1, 1, kSide, kSide}));
  for (const auto& [y, x] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 0}, {5, 5}, {6, 5}, {6, 6}, {7, 7}, {21, 21}, {20, 22}, {23, 21}, {14, 14}}) {
    EXPECT_NEAR((mask[0][0][y][x].item<double>()), MaskAt(before, after, y, x), 1e-4)
        << y << ", " << x;
  }
}

TEST(ChangeMaskTest, OfEachImageByItself) {
  const torch::Tensor before = torch::cat({Grey(0), Grey(0.1), Grey(0)});
  const torch::Tensor after =
      torch::cat({WithSquare(Grey(0), 4, 8, 0.5), Grey(0.1), WithSquare(Grey(0), 16, 8, 0.01)});
  const torch::Tensor mask = ChangeMask(before, after);
  EXPECT_EQ(mask[1].abs().max().item<float>(), 0) << "where nothing changes there is no mask";
  EXPECT_EQ((mask[0][0][8][8].item<float>()), 1);
  EXPECT_EQ((mask[2][0][20][20].item<float>()), 1) << "a faint change counts by its own greatest";
  EXPECT_EQ((mask[0][0][28][28].item<float>()), 0);
}

TEST(LocalChangeTest, FaintChangesElsewhereAreLeftOut) {
  const torch::Tensor before = Grey(0);
  const torch::Tensor after = WithSquare(before, 8, 8, 0.6) + 0.01;  // and a little everywhere
  const torch::Tensor local = LocalChange(before, after);
  EXPECT_FLOAT_EQ((local[0][0][12][12].item<float>()), 0.61F);
  EXPECT_EQ((local[0][0][28][28].item<float>()), 0);
}

TEST(ChangeOnPhotographTest, KeepsWhatTheReconstructionLacks) {
  torch::Tensor photograph = Grey(-0.2);
  photograph[0][1][28][28] = 1;  // a speck that the generator does not draw
  photograph[0][0][12][12] = 0.9;
  const torch::Tensor before = Grey(0);
  const torch::Tensor on = ChangeOnPhotograph(photograph, before, WithSquare(before, 8, 8, 0.6));
  EXPECT_EQ((on[0][1][28][28].item<float>()), 1);
  EXPECT_FLOAT_EQ((on[0][2][12][12].item<float>()), 0.4F);
  EXPECT_EQ((on[0][0][12][12].item<float>()), 1) << "no lighter than white";
}

}  // namespace
}  // namespace stylex
