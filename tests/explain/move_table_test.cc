// What is computed when, with a table whose numbers are known; then a model's moves against literal
// passes.
#include "explain/move_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

// Move m of image n changes the logit by 100 n + m and flips where m is odd; remembers what it was
// asked for.
class CountingMoves : public MoveTable {
 public:
  CountingMoves(int64_t images, int64_t moves, SearchControl control = {})
      : MoveTable(images, moves, /*side_by_side=*/true, std::move(control)) {}

  std::multiset<std::pair<int64_t, int64_t>> asked() const { return asked_; }
  void FailAt(int64_t image) { fails_at_ = image; }

 protected:
  absl::Status PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                             std::span<float> predicted) override {
    for (int64_t n = 0; n < length; ++n) {
      decided[static_cast<size_t>(n)] = 10 + start + n;
      for (int64_t m = 0; m < moves(); ++m) {
        predicted[static_cast<size_t>(n * moves() + m)] =
            static_cast<float>(-(100 * (start + n) + m));
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Outcome>> EvaluateImage(int64_t image, std::span<const int64_t> moves,
                                                     const GiveWay&) override {
    if (image == fails_at_) {
      return absl::ResourceExhaustedError("no memory left");
    }
    std::vector<Outcome> outcomes;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const int64_t move : moves) {
      asked_.emplace(image, move);
      outcomes.push_back({static_cast<float>(100 * image + move), move % 2 == 1});
    }
    return outcomes;
  }

 private:
  std::mutex mutex_;
  std::multiset<std::pair<int64_t, int64_t>> asked_;
  int64_t fails_at_ = -1;
};

TEST(MoveTableTest, MovesAreCoordinatesInBothDirections) {
  const CountingMoves table(1, 6);
  EXPECT_EQ(table.CoordinateOf(0), (Coordinate{0, 0}));
  EXPECT_EQ(table.CoordinateOf(2), (Coordinate{2, 0}));
  EXPECT_EQ(table.CoordinateOf(3), (Coordinate{0, 1}));
  EXPECT_EQ(table.CoordinateOf(5), (Coordinate{2, 1}));
}

// More images than go through one backward pass.
TEST(MoveTableTest, PredictionsHaveTheirPlaces) {
  CountingMoves table(19, 4);
  ASSERT_TRUE(table.Predict().ok());
  for (int64_t n = 0; n < 19; ++n) {
    EXPECT_EQ(table.decided(n), 10 + n);
    for (int64_t m = 0; m < 4; ++m) {
      EXPECT_EQ(table.predicted(n, m), static_cast<float>(-(100 * n + m)));
      EXPECT_FALSE(table.known(n, m));
      EXPECT_FALSE(table.flips(n, m));
    }
  }
  EXPECT_EQ(table.evaluations(), 19) << "one pass an image";
  EXPECT_TRUE(table.asked().empty());
}

TEST(MoveTableTest, WhatIsAskedForBecomesKnownAndNothingElse) {
  CountingMoves table(5, 4);
  ASSERT_TRUE(table.Evaluate(std::vector<int64_t>{4, 1}, std::vector<int64_t>{3, 0}).ok());
  for (int64_t n = 0; n < 5; ++n) {
    for (int64_t m = 0; m < 4; ++m) {
      const bool expected = (n == 4 || n == 1) && (m == 3 || m == 0);
      EXPECT_EQ(table.known(n, m), expected) << n << " " << m;
      EXPECT_EQ(table.flips(n, m), expected && m == 3);
      EXPECT_EQ(table.exact(n, m), expected ? static_cast<float>(100 * n + m) : 0);
    }
  }
  EXPECT_EQ(table.evaluations(), 4);
}

TEST(MoveTableTest, NothingIsComputedTwice) {
  CountingMoves table(3, 4);
  const std::vector<int64_t> images = {0, 1, 2};
  ASSERT_TRUE(table.Evaluate(images, std::vector<int64_t>{0, 1}).ok());
  ASSERT_TRUE(table.Evaluate(images, std::vector<int64_t>{1, 2}).ok());
  ASSERT_TRUE(table.Evaluate(images, std::vector<int64_t>{0, 1, 2}).ok());
  EXPECT_EQ(table.evaluations(), 9);
  const auto asked = table.asked();
  EXPECT_EQ(asked.size(), 9);
  EXPECT_EQ(std::set(asked.begin(), asked.end()).size(), 9);
  ASSERT_TRUE(table.Evaluate({}, std::vector<int64_t>{3}).ok());
  ASSERT_TRUE(table.Evaluate(images, {}).ok());
  EXPECT_EQ(table.evaluations(), 9);
}

TEST(MoveTableTest, AFailureIsPassedOnAndLeavesTheImageUnknown) {
  CountingMoves table(3, 2);
  table.FailAt(1);
  const absl::Status status = table.Evaluate(std::vector<int64_t>{1}, std::vector<int64_t>{0, 1});
  EXPECT_EQ(status, absl::ResourceExhaustedError("no memory left"));
  EXPECT_FALSE(table.known(1, 0));
  EXPECT_EQ(table.evaluations(), 0);
}

TEST(MoveTableTest, StopsWhenItIsNoLongerWanted) {
  const OneThread asks;  // others could be done with these small pieces before the caller asks
  CountingMoves table(40, 2, {.give_way = [] { return false; }});
  EXPECT_EQ(table.Predict().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(table.Evaluate(std::vector<int64_t>{0, 1}, std::vector<int64_t>{0}).code(),
            absl::StatusCode::kCancelled);
  EXPECT_TRUE(table.asked().empty());
}

class ModelMovesTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Components, ModelMovesTest, testing::Values(0, 5));

TEST_P(ModelMovesTest, ExactEffectsAreThoseOfWholePasses) {
  const TinyModel tiny = MakeTinyModel(8, /*images=*/3, GetParam());
  constexpr int64_t kTarget = 2;
  constexpr double kMoved = 0.7;
  ModelMoves table(tiny.stylex, tiny.styles, tiny.ranges, kTarget, kMoved, {});
  ASSERT_EQ(table.moves(), 2 * tiny.ranges.size());
  ASSERT_TRUE(table.Predict().ok());
  std::vector<int64_t> all;
  for (int64_t move = 0; move < table.moves(); move += 3) {
    all.push_back(move);
  }
  ASSERT_TRUE(table.Evaluate(std::vector<int64_t>{0, 2}, all).ok());
  for (const int64_t image : {0, 2}) {
    const torch::Tensor base = LiteralLogits(tiny, image, {});
    EXPECT_EQ(table.decided(image), base.argmax().item<int64_t>());
    for (const int64_t move : all) {
      const torch::Tensor moved = LiteralLogits(tiny, image, {{table.CoordinateOf(move), kMoved}});
      EXPECT_NEAR(table.exact(image, move), (moved - base)[kTarget].item<float>(), 1e-3);
      EXPECT_EQ(table.flips(image, move), moved.argmax().item<int64_t>() == kTarget) << move;
    }
    EXPECT_FALSE(table.known(image, 1));
  }
  EXPECT_FALSE(table.known(1, 0));
}

// For small moves the first-order prediction is the effect, up to the curvature.
TEST_P(ModelMovesTest, PredictionsAreTheEffectsOfSmallMoves) {
  const TinyModel tiny = MakeTinyModel(9, /*images=*/10, GetParam());
  constexpr double kSmall = 1e-3;
  ModelMoves table(tiny.stylex, tiny.styles, tiny.ranges, /*target=*/1, kSmall, {});
  ASSERT_TRUE(table.Predict().ok());
  double difference = 0, size = 0;
  for (const int64_t image : {0, 9}) {
    const torch::Tensor base = LiteralLogits(tiny, image, {});
    for (int64_t move = 0; move < table.moves(); ++move) {
      const torch::Tensor moved = LiteralLogits(tiny, image, {{table.CoordinateOf(move), kSmall}});
      const double exact = (moved - base)[1].item<double>();
      difference += std::abs(table.predicted(image, move) - exact);
      size += std::abs(exact);
    }
  }
  EXPECT_GT(size, 0);
  EXPECT_LT(difference / size, 0.1);
}

}  // namespace
}  // namespace stylex
