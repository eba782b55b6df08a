// Compares the batched engine with whole passes for one image and one coordinate at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "explain/effects.h"
#include "explain/selection.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

constexpr double kTolerance = 1e-4;

StyleEffects LiteralEffects(const TinyModel& tiny, double shift) {
  const int64_t images = tiny.styles.conv.size(0);
  StyleEffects effects{torch::empty({images, kTinyClasses}),
                       torch::empty({images, 2, kTinyCoordinates, kTinyClasses})};
  for (int64_t n = 0; n < images; ++n) {
    effects.base[n] = LiteralLogits(tiny, n, {});
    for (const Coordinate& coordinate : AllCoordinates()) {
      effects.effect[n][coordinate.direction][coordinate.index] =
          LiteralLogits(tiny, n, {{coordinate, shift}}) - effects.base[n];
    }
  }
  return effects;
}

double GreatestDifference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(ComputeEffectsTest, AgreesWithTheLiteralSearchWhateverTheBatch) {
  const TinyModel tiny = MakeTinyModel(1, /*images=*/3);
  for (const double shift : {1.0, 0.8}) {
    const StyleEffects literal = LiteralEffects(tiny, shift);
    EXPECT_GT(literal.effect.abs().max().item<double>(), 1);  // effects are not trivially small
    for (const int64_t batch_size : {1, 7, 64, 1000}) {
      const auto effects = ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges,
                                          {.shift = shift, .control = {.batch_size = batch_size}});
      ASSERT_TRUE(effects.ok()) << effects.status();
      EXPECT_LT(GreatestDifference(effects->base, literal.base), kTolerance);
      EXPECT_LT(GreatestDifference(effects->effect, literal.effect), kTolerance);
    }
  }
}

TEST(ComputeEffectsTest, ComponentsAreCoordinatesLikeChannels) {
  constexpr int kComponents = 5;
  const TinyModel tiny = MakeTinyModel(6, /*images=*/2, kComponents);
  ASSERT_EQ(tiny.styles.conv.size(1), kComponents);
  for (const int64_t batch_size : {1, 3, 64}) {
    const auto effects = ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges,
                                        {.shift = 0.7, .control = {.batch_size = batch_size}});
    ASSERT_TRUE(effects.ok()) << effects.status();
    ASSERT_EQ(effects->effect.size(2), kComponents);
    for (int64_t n = 0; n < 2; ++n) {
      const torch::Tensor base = LiteralLogits(tiny, n, {});
      EXPECT_LT(GreatestDifference(effects->base[n], base), kTolerance);
      for (const Coordinate& coordinate : AllMoves(kComponents)) {
        const torch::Tensor expected = LiteralLogits(tiny, n, {{coordinate, 0.7}}) - base;
        EXPECT_GT(expected.abs().max().item<double>(), 10 * kTolerance);
        EXPECT_LT(GreatestDifference(effects->effect[n][coordinate.direction][coordinate.index],
                                     expected),
                  kTolerance);
      }
    }
  }
}

TEST(ComputeEffectsTest, ReportsProgressUpToTheTotal) {
  const TinyModel tiny = MakeTinyModel(2, /*images=*/2);
  std::vector<int64_t> seen;
  EffectOptions options{.control = {.batch_size = 10}};
  options.control.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 2 * 2 * kTinyCoordinates);
    seen.push_back(done);
  };
  ASSERT_TRUE(ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges, options).ok());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 2 * 2 * kTinyCoordinates);
}

TEST(ComputeEffectsTest, StopsAtOnceWhenCancelled) {
  const OneThread one_thread;
  const TinyModel tiny = MakeTinyModel(3, /*images=*/2);
  int polls = 0;
  EffectOptions options{.control = {.batch_size = 4}};
  options.control.give_way = [&] { return ++polls <= 2; };
  const auto effects = ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges, options);
  EXPECT_EQ(effects.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(polls, 3);
  // MakeTinyModel classifies nothing, so the classifier has seen the unmodified image and two
  // batches.
  EXPECT_EQ(tiny.classifier->images(), 1 + 2 * 4);
}

TEST(LogitsAfterSingleMovesTest, KeepsTheOrderOfTheCoordinates) {
  const TinyModel tiny = MakeTinyModel(4);
  const std::vector<Coordinate> coordinates = {{39, 1}, {0, 0}, {17, 1}, {39, 0}, {8, 1}, {17, 1}};
  const auto logits = LogitsAfterSingleMoves(tiny.stylex, tiny.styles, tiny.ranges, coordinates,
                                             {.shift = 1.5, .control = {.batch_size = 2}});
  ASSERT_TRUE(logits.ok()) << logits.status();
  ASSERT_EQ(logits->size(0), 6);
  for (size_t i = 0; i < coordinates.size(); ++i) {
    EXPECT_LT(GreatestDifference((*logits)[static_cast<int64_t>(i)],
                                 LiteralLogits(tiny, 0, {{coordinates[i], 1.5}})),
              kTolerance);
  }
}

TEST(LogitsAfterSingleMovesTest, OfNothingIsNothing) {
  const TinyModel tiny = MakeTinyModel(5);
  const auto logits = LogitsAfterSingleMoves(tiny.stylex, tiny.styles, tiny.ranges, {}, {});
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(logits->size(0), 0);
}

// Joint greedy search, one variant at a time: the mean target logit over the images of every pair
// together with those already chosen.
std::vector<Coordinate> LiteralJointSearch(const TinyModel& tiny, int64_t target, int64_t count,
                                           double threshold, double shift) {
  const int64_t images = tiny.styles.conv.size(0);
  const auto mean_logit = [&](const std::vector<Move>& moves) {
    double sum = 0;
    for (int64_t n = 0; n < images; ++n) {
      sum += LiteralLogits(tiny, n, moves)[target].item<double>();
    }
    return sum / static_cast<double>(images);
  };
  std::vector<Move> chosen;
  double current = mean_logit({});
  while (static_cast<int64_t>(chosen.size()) < count) {
    double best = -1e9;
    Coordinate best_coordinate;
    for (const Coordinate& coordinate : AllCoordinates()) {
      const bool taken = std::any_of(chosen.begin(), chosen.end(), [&](const Move& move) {
        return move.coordinate.index == coordinate.index;
      });
      // As documented, pairs that lower the target on their own are not candidates.
      if (taken || mean_logit({{coordinate, shift}}) <= mean_logit({})) {
        continue;
      }
      std::vector<Move> moves = chosen;
      moves.push_back({coordinate, shift});
      if (const double logit = mean_logit(moves); logit > best) {
        best = logit;
        best_coordinate = coordinate;
      }
    }
    if (best <= current || best - current < threshold) {
      break;
    }
    current = best;
    chosen.push_back({best_coordinate, shift});
  }
  std::vector<Coordinate> coordinates;
  for (const Move& move : chosen) {
    coordinates.push_back(move.coordinate);
  }
  return coordinates;
}

std::vector<Coordinate> CoordinatesOf(const std::vector<SelectedAttribute>& attributes) {
  std::vector<Coordinate> coordinates;
  for (const SelectedAttribute& attribute : attributes) {
    coordinates.push_back(attribute.coordinate);
  }
  return coordinates;
}

class JointSelectionTest : public testing::TestWithParam<double> {};

TEST_P(JointSelectionTest, AgreesWithBruteForce) {
  const double threshold = GetParam();
  const TinyModel tiny = MakeTinyModel(6, /*images=*/2);
  const auto effects =
      ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges, {.shift = 0.5}).value();
  for (const int64_t target : {0, 2}) {
    const auto selected = SelectAttributesJointly(
        tiny.stylex, tiny.styles, tiny.ranges, effects, target,
        {.max_attributes = 3, .shift = 0.5, .threshold = threshold, .control = {.batch_size = 9}});
    ASSERT_TRUE(selected.ok()) << selected.status();
    EXPECT_EQ(CoordinatesOf(*selected),
              LiteralJointSearch(tiny, target, 3, threshold, /*shift=*/0.5));
    ASSERT_FALSE(selected->empty());
    const SelectedAttribute& first = selected->front();
    EXPECT_NEAR(first.mean_effect,
                effects.effect.select(1, first.coordinate.direction)
                    .select(1, first.coordinate.index)
                    .select(1, target)
                    .mean()
                    .item<double>(),
                1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Thresholds, JointSelectionTest, testing::Values(0, 0.7));

TEST(JointSelectionTest, StopsAtOnceWhenCancelled) {
  const OneThread one_thread;
  const TinyModel tiny = MakeTinyModel(7, /*images=*/2);
  const auto effects = ComputeEffects(tiny.stylex, tiny.styles, tiny.ranges, {}).value();
  SubsetOptions options{.control = {.batch_size = 4}};
  options.control.give_way = [] { return false; };
  const int64_t before = tiny.classifier->images();
  const auto selected = SelectAttributesJointly(tiny.stylex, tiny.styles, tiny.ranges, effects,
                                                /*target=*/1, options);
  EXPECT_EQ(selected.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(tiny.classifier->images(), before);
}

TEST(JointSelectionTest, OfNoImagesIsEmpty) {
  const TinyModel tiny = MakeTinyModel(8, /*images=*/1);
  const StyleEffects effects{torch::empty({0, kTinyClasses}),
                             torch::empty({0, 2, kTinyCoordinates, kTinyClasses})};
  const auto selected =
      SelectAttributesJointly(tiny.stylex, tiny.styles.Narrow(0, 0), tiny.ranges, effects, 0, {});
  ASSERT_TRUE(selected.ok());
  EXPECT_THAT(*selected, testing::IsEmpty());
}

}  // namespace
}  // namespace stylex
