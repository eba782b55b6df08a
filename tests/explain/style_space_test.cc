#include "explain/style_space.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace stylex {
namespace {

TEST(StyleRangeAccumulatorTest, SumsBatchesUp) {
  torch::manual_seed(1);
  const torch::Tensor styles = torch::randn({23, 7}) * 3 + 100;
  StyleRangeAccumulator accumulator;
  accumulator.Add(styles.narrow(0, 0, 10));
  accumulator.Add(styles.narrow(0, 10, 0));
  accumulator.Add(styles.narrow(0, 10, 13));
  const StyleRanges ranges = accumulator.Finish();
  EXPECT_EQ(ranges.images, 23);
  EXPECT_EQ(ranges.size(), 7);
  EXPECT_TRUE(ranges.min.equal(styles.amin(0)));
  EXPECT_TRUE(ranges.max.equal(styles.amax(0)));
  EXPECT_TRUE(ranges.mean.allclose(styles.mean(0), 1e-6, 1e-5));
  EXPECT_TRUE(ranges.std.allclose(styles.std(0, /*unbiased=*/false), 1e-5, 1e-5));
}

TEST(StyleRangeAccumulatorTest, OneImageHasNoSpread) {
  StyleRangeAccumulator accumulator;
  accumulator.Add(torch::full({1, 3}, 0.1));
  EXPECT_TRUE(accumulator.Finish().std.equal(torch::zeros({3})));
}

TEST(StyleRangeAccumulatorTest, RefusesToRangeOverNothing) {
  EXPECT_THROW(StyleRangeAccumulator().Finish(), c10::Error);
}

TEST(StyleRangeAccumulatorTest, LeavesTheTailsOut) {
  torch::manual_seed(3);
  const torch::Tensor styles = torch::randn({200, 3});
  StyleRangeAccumulator accumulator(0.01);
  accumulator.Add(styles.narrow(0, 0, 90));
  accumulator.Add(styles.narrow(0, 90, 110));
  const StyleRanges ranges = accumulator.Finish();
  for (int64_t s = 0; s < 3; ++s) {
    const float low = ranges.min[s].item<float>();
    const float high = ranges.max[s].item<float>();
    EXPECT_EQ((styles.select(1, s) < low).sum().item<int64_t>(), 2);
    EXPECT_EQ((styles.select(1, s) > high).sum().item<int64_t>(), 2);
  }
  EXPECT_TRUE(ranges.mean.allclose(styles.mean(0), 1e-6, 1e-5));
}

TEST(StyleRangeAccumulatorTest, RefusesTailsThatLeaveNothing) {
  EXPECT_THROW(StyleRangeAccumulator(0.5), c10::Error);
  EXPECT_THROW(StyleRangeAccumulator(-0.1), c10::Error);
}

TEST(StyleRangesTest, SurviveTheIndex) {
  torch::manual_seed(2);
  const StyleRanges ranges{torch::randn({5}), torch::randn({5}), torch::randn({5}),
                           torch::randn({5}), 41};
  v1::AttributeIndex index;
  index.add_styles()->set_min(9);  // what stood there before goes
  RangesToIndex(ranges, &index);
  const StyleRanges read = RangesFromIndex(index);
  EXPECT_EQ(read.images, 41);
  EXPECT_TRUE(read.min.equal(ranges.min));
  EXPECT_TRUE(read.max.equal(ranges.max));
  EXPECT_TRUE(read.mean.equal(ranges.mean));
  EXPECT_TRUE(read.std.equal(ranges.std));
}

TEST(DirectionTest, MapsBothWays) {
  EXPECT_EQ(ToProto(0), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(ToProto(1), v1::DIRECTION_TO_MAX);
  EXPECT_EQ(DirectionFromProto(v1::DIRECTION_TO_MIN), 0);
  EXPECT_EQ(DirectionFromProto(v1::DIRECTION_TO_MAX), 1);
  EXPECT_EQ(DirectionFromProto(v1::DIRECTION_UNSPECIFIED), 1);
}

TEST(ApplyMovesTest, MovesTowardsTheExtremes) {
  const StyleRanges ranges{torch::tensor({-1.f, -2.f, -3.f}), torch::tensor({1.f, 2.f, 3.f}),
                           torch::zeros({3}), torch::ones({3}), 1};
  const StyleVectors styles{torch::tensor({{0.f, 0.5f, 1.f}, {1.f, 1.f, 1.f}}),
                            torch::ones({2, 4})};
  const std::vector<Move> moves = {{{0, 0}, 1}, {{1, 1}, 0.5}, {{2, 1}, 2}};
  const StyleVectors moved = ApplyMoves(styles, ranges, moves);
  EXPECT_TRUE(moved.conv.allclose(torch::tensor({{-1.f, 1.25f, 5.f}, {-1.f, 1.5f, 5.f}})));
  EXPECT_TRUE(moved.rgb.equal(styles.rgb));
  EXPECT_EQ(styles.conv[0][0].item<float>(), 0);  // the input stays
}

TEST(ApplyMovesTest, TheLaterOfTwoMovesOfACoordinateCounts) {
  const StyleRanges ranges{torch::tensor({-1.f}), torch::tensor({1.f}), torch::zeros({1}),
                           torch::ones({1}), 1};
  const StyleVectors styles{torch::tensor({{0.f}}), torch::ones({1, 1})};
  const std::vector<Move> moves = {{{0, 1}, 1}, {{0, 0}, 0.25}};
  EXPECT_FLOAT_EQ(ApplyMoves(styles, ranges, moves).conv.item<float>(), -0.25f);
}

TEST(ApplyMovesTest, RefusesCoordinatesThatThereAreNot) {
  const StyleRanges ranges{torch::zeros({1}), torch::ones({1}), torch::zeros({1}), torch::ones({1}),
                           1};
  const StyleVectors styles{torch::zeros({1, 1}), torch::ones({1, 1})};
  for (const int64_t index : {-1, 1}) {
    const Move move{{index, 1}, 1};
    EXPECT_THROW(ApplyMoves(styles, ranges, std::span(&move, 1)), c10::Error);
  }
}

}  // namespace
}  // namespace stylex
