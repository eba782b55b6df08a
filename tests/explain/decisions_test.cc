// Margins, odds and goals against the formulas, number by number.
#include "explain/decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

std::vector<double> Row(const torch::Tensor& logits, int64_t n) {
  std::vector<double> row;
  for (int64_t k = 0; k < logits.size(1); ++k) {
    row.push_back(logits[n][k].item<double>());
  }
  return row;
}

// p of a class by its definition.
double LiteralProbability(const std::vector<double>& logits, size_t target, double temperature) {
  double sum = 0;
  for (const double logit : logits) {
    sum += std::exp(logit / temperature);
  }
  return std::exp(logits[target] / temperature) / sum;
}

double LiteralMargin(std::vector<double> logits, size_t target) {
  const double of_target = logits[target];
  logits.erase(logits.begin() + static_cast<std::ptrdiff_t>(target));
  return of_target - *std::max_element(logits.begin(), logits.end());
}

TEST(MarginOfTest, IsTheDistanceToTheGreatestOther) {
  torch::manual_seed(101);
  const torch::Tensor logits = torch::randn({6, 5}) * 4;
  for (int64_t target = 0; target < 5; ++target) {
    const torch::Tensor margins = MarginOf(logits, target);
    ASSERT_EQ(margins.sizes(), (std::vector<int64_t>{6}));
    for (int64_t n = 0; n < 6; ++n) {
      EXPECT_NEAR(margins[n].item<double>(),
                  LiteralMargin(Row(logits, n), static_cast<size_t>(target)), 1e-5);
      EXPECT_NEAR(MarginOf(logits[n], target).item<double>(), margins[n].item<double>(), 1e-6);
      EXPECT_EQ(margins[n].item<double>() > 0, logits[n].argmax().item<int64_t>() == target);
    }
  }
}

TEST(MarginOfTest, GradientsReachTheTargetAndItsRival) {
  const torch::Tensor logits = torch::tensor({1.f, 5.f, 3.f, -2.f}).requires_grad_(true);
  const torch::Tensor gradient = torch::autograd::grad({MarginOf(logits, 2)}, {logits})[0];
  EXPECT_TRUE(gradient.equal(torch::tensor({0.f, -1.f, 1.f, 0.f}))) << gradient;
}

TEST(RunnerUpTest, IsTheSecondBest) {
  const torch::Tensor logits = torch::tensor({{1.f, 5.f, 3.f}, {9.f, -5.f, -6.f}, {0.f, 1.f, 2.f}});
  EXPECT_TRUE(RunnersUp(logits).equal(torch::tensor({2, 1, 1}, torch::kInt64)));
  EXPECT_EQ(RunnerUp(logits[0]), 2);
  EXPECT_EQ(RunnerUp(logits.narrow(0, 1, 1)), 1);
}

TEST(LogOddsOfTest, AreThoseOfTheProbability) {
  torch::manual_seed(102);
  const torch::Tensor logits = torch::randn({4, 3}) * 3;
  for (const double temperature : {0.5, 1.0, 3.0}) {
    for (int64_t target = 0; target < 3; ++target) {
      const torch::Tensor odds = LogOddsOf(logits, target, temperature);
      EXPECT_EQ(odds.scalar_type(), torch::kFloat64);
      for (int64_t n = 0; n < 4; ++n) {
        const double p =
            LiteralProbability(Row(logits, n), static_cast<size_t>(target), temperature);
        EXPECT_NEAR(odds[n].item<double>(), std::log(p / (1 - p)), 1e-6);
      }
    }
  }
}

// Where the probability itself is 1 in float64, or 0, the odds are still told apart.
TEST(LogOddsOfTest, CertaintyHasDegrees) {
  const torch::Tensor sure = torch::tensor({0.f, 60.f, 0.f}),
                      surer = torch::tensor({0.f, 90.f, 0.f});
  EXPECT_NEAR(LogOddsOf(sure, 1, 1).item<double>(), 60 - std::log(2.0), 1e-9);
  EXPECT_GT(LogOddsOf(surer, 1, 1).item<double>(), LogOddsOf(sure, 1, 1).item<double>());
  EXPECT_LT(LogOddsOf(surer, 0, 1).item<double>(), LogOddsOf(sure, 0, 1).item<double>());
}

TEST(ScoreOfTest, IsTheMarginUnlessAProbabilityIsAskedFor) {
  const torch::Tensor logits = torch::tensor({{1.f, 2.f, 0.5f}, {3.f, 0.f, 0.f}});
  EXPECT_TRUE(ScoreOf(logits, {.target = 0}).equal(MarginOf(logits, 0)));
  const Goal likely = {.target = 0, .probability = 0.9, .temperature = 2};
  EXPECT_TRUE(ScoreOf(logits, likely).allclose(LogOddsOf(logits, 0, 2).to(torch::kFloat32)));
}

// Both are needed: being the decision, and the probability; the excess is of whichever is missed by
// more.
TEST(ExcessOfTest, IsPositiveJustWhereTheGoalIsReached) {
  torch::manual_seed(103);
  const torch::Tensor logits = torch::randn({200, 3}) * 5;
  for (const double temperature : {1.0, 2.0}) {
    for (const double probability : {0.0, 0.3, 0.9}) {
      const Goal goal = {.target = 1, .probability = probability, .temperature = temperature};
      int reached = 0;
      for (int64_t n = 0; n < 200; ++n) {
        const std::vector<double> row = Row(logits, n);
        const bool expected =
            LiteralMargin(row, 1) > 0 && LiteralProbability(row, 1, temperature) >= probability;
        EXPECT_EQ(ExcessOf(logits[n], goal) > 0, expected) << n;
        EXPECT_EQ(Reaches(logits[n], goal), expected) << n;
        reached += expected ? 1 : 0;
      }
      EXPECT_GT(reached, 0);
      EXPECT_LT(reached, 200);
    }
  }
}

TEST(ExcessOfTest, IsInLogitsWhateverTheTemperature) {
  // Two classes: the log-odds at temperature T are the margin / T, so that p = 0.5 asks for a
  // margin of 0, and raising the target's logit by one exceeds it by one.
  const Goal even = {.target = 0, .probability = 0.5, .temperature = 4};
  EXPECT_NEAR(ExcessOf(torch::tensor({3.f, 1.f}), even), 2, 1e-6);
  EXPECT_NEAR(ExcessOf(torch::tensor({4.f, 1.f}), even), 3, 1e-6);
}

TEST(ReachesTest, TheLeastExcessIsAskedForInAddition) {
  Goal goal = {.target = 0};
  const torch::Tensor logits = torch::tensor({1.25f, 1.f});
  EXPECT_TRUE(Reaches(logits, goal));
  goal.least_excess = 0.25;
  EXPECT_TRUE(Reaches(logits, goal));
  goal.least_excess = 0.26;
  EXPECT_FALSE(Reaches(logits, goal));
  EXPECT_FALSE(Reaches(torch::tensor({1.f, 1.25f}), {.target = 0}));
}

TEST(LeastMarginTest, IsThatOfTheImageThatIsLeastTheTarget) {
  const torch::Tensor logits =
      torch::tensor({{1.f, 3.f, 0.f}, {2.f, 1.5f, 2.25f}, {0.f, 9.f, 8.f}});
  EXPECT_FLOAT_EQ(static_cast<float>(LeastMargin(logits, 1)), -0.75F);
  EXPECT_FLOAT_EQ(static_cast<float>(LeastMargin(logits.narrow(0, 2, 1), 1)), 1);
}

// More images than are drawn at a time, whose number is no multiple of it.
TEST(LogitsOfTest, AreThoseOfEachImageAlone) {
  const TinyModel tiny = MakeTinyModel(3, /*images=*/kDrawBatch + 3);
  const torch::Tensor logits = LogitsOf(tiny.stylex, tiny.styles);
  ASSERT_EQ(logits.sizes(), (std::vector<int64_t>{kDrawBatch + 3, kTinyClasses}));
  EXPECT_FALSE(logits.requires_grad());
  for (const int64_t n : {int64_t{0}, kDrawBatch - 1, kDrawBatch, kDrawBatch + 2}) {
    EXPECT_LT((logits[n] - LiteralLogits(tiny, n, {})).abs().max().item<double>(), 1e-4) << n;
  }
}

}  // namespace
}  // namespace stylex
