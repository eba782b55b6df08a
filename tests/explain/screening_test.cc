// Compares the screened search with the exhaustive one.
#include "explain/screening.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "explain/effects.h"
#include "explain/move_table.h"
#include "explain/selection.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

constexpr int64_t kImages = 40;
constexpr double kScreeningShift = 0.1;  // random networks are rougher than trained ones

// Images of a tiny model that are decided otherwise than as `target`.
StyleVectors Others(const TinyModel& tiny, int64_t target) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor decided = tiny.stylex.LogitsOfStyles(tiny.styles).argmax(1);
  return tiny.styles.Select(decided.ne(target).nonzero().squeeze(1));
}

std::vector<SelectedAttribute> Exhaustive(const TinyModel& tiny, const StyleVectors& styles,
                                          int64_t target, double explained_at) {
  EffectOptions effects;
  effects.shift = kScreeningShift;
  SelectionOptions selection;
  selection.max_attributes = 6;
  selection.explained_at = explained_at;
  return SelectAttributes(ComputeEffects(tiny.stylex, styles, tiny.ranges, effects).value(), target,
                          selection);
}

ScreeningOptions Options(double explained_at) {
  ScreeningOptions options;
  options.max_attributes = 6;
  options.shift = kScreeningShift;
  options.explained_at = explained_at;
  return options;
}

class ScreeningTest : public testing::TestWithParam<double> {};
INSTANTIATE_TEST_SUITE_P(ExplainedAt, ScreeningTest, testing::Values(0, 0.5));

TEST_P(ScreeningTest, SelectsWhatTheExhaustiveSearchSelects) {
  for (uint64_t seed = 41; seed <= 44; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed, kImages);
    for (int64_t target = 0; target < 2; ++target) {
      const StyleVectors styles = Others(tiny, target);
      ASSERT_GT(styles.conv.size(0), 10);
      const std::vector<SelectedAttribute> expected = Exhaustive(tiny, styles, target, GetParam());
      ASSERT_FALSE(expected.empty());
      const int64_t before = tiny.classifier->images();
      const auto found =
          SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, target, Options(GetParam()));
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(found->classifier_calls, tiny.classifier->images() - before);
      ASSERT_EQ(found->attributes.size(), expected.size()) << "seed " << seed;
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(found->attributes[i].coordinate, expected[i].coordinate)
            << "seed " << seed << ", target " << target << ", attribute " << i;
        EXPECT_NEAR(found->attributes[i].mean_effect, expected[i].mean_effect, 1e-4);
        EXPECT_NEAR(found->attributes[i].flip_rate, expected[i].flip_rate, 1e-6);
      }
      EXPECT_GT(found->confidence, 0.5);
      EXPECT_LE(found->confidence, 1);
    }
  }
}

TEST(ScreeningSavingsTest, EvaluatesFewerMovesThanThereAre) {
  const TinyModel tiny = MakeTinyModel(45, kImages);
  const StyleVectors styles = Others(tiny, 1);
  ScreeningOptions options = Options(0);
  options.max_attributes = 1;
  const auto found =
      SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, /*target=*/1, options);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_LT(found->classifier_calls, styles.conv.size(0) * 2 * kTinyCoordinates);
}

// With uninformative gradients the answer must still be right, at the cost of more evaluations.
TEST(ScreeningSavingsTest, UselessGradientsCostEvaluationsNotTruth) {
  const TinyModel tiny = MakeTinyModel(46, kImages);
  const StyleVectors styles = Others(tiny, 0);
  EffectOptions effects;
  effects.shift = 1;  // far outside the range that gradients predict
  SelectionOptions selection;
  selection.max_attributes = 3;
  selection.explained_at = 0;
  const std::vector<SelectedAttribute> expected = SelectAttributes(
      ComputeEffects(tiny.stylex, styles, tiny.ranges, effects).value(), 0, selection);
  ScreeningOptions options = Options(0);
  options.max_attributes = 3;
  options.shift = 1;
  const auto found =
      SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, /*target=*/0, options);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->attributes.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found->attributes[i].coordinate, expected[i].coordinate) << i;
  }
}

// Images of eight classes whose effects equal the predictions, except for moves that are several
// times as strong on all images of a class, as is typical of trained networks.
class SurprisingMoves : public MoveTable {
 public:
  static constexpr int64_t kGroups = 8, kOfGroup = 16, kMoves = 600;

  explicit SurprisingMoves(uint64_t seed)
      : MoveTable(kGroups * kOfGroup, kMoves, /*side_by_side=*/false, {}),
        predicted_(static_cast<size_t>(kGroups * kOfGroup * kMoves)),
        exact_(predicted_.size()) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    for (int64_t m = 0; m < kMoves; ++m) {
      const double strength = 0.1 * std::exp(normal(random));
      for (int64_t g = 0; g < kGroups; ++g) {
        const double of_group = strength * std::exp(0.7 * normal(random));
        const double factor = random() % 20 == 0 ? 5 : 1;
        for (int64_t i = g * kOfGroup; i < (g + 1) * kOfGroup; ++i) {
          const double prediction = of_group * (1 + 0.3 * normal(random));
          predicted_[static_cast<size_t>(i * kMoves + m)] = static_cast<float>(prediction);
          exact_[static_cast<size_t>(i * kMoves + m)] =
              static_cast<float>(prediction * factor + 0.2 * of_group * normal(random));
        }
      }
    }
  }

  // Reference implementation of the greedy selection; returns move numbers.
  std::vector<int64_t> Exhaustive(int64_t count, double explained_at) const {
    std::vector<int64_t> selected;
    std::vector<double> explained(static_cast<size_t>(images()));
    std::vector<bool> available(kMoves, true);
    while (static_cast<int64_t>(selected.size()) < count) {
      std::vector<double> sums(kMoves);
      for (int64_t i = 0; i < images(); ++i) {
        for (int64_t m = 0; m < kMoves; ++m) {
          sums[static_cast<size_t>(m)] +=
              explained[static_cast<size_t>(i)] < explained_at && available[static_cast<size_t>(m)]
                  ? Gain(i, m)
                  : 0;
        }
      }
      const int64_t best = std::max_element(sums.begin(), sums.end()) - sums.begin();
      if (sums[static_cast<size_t>(best)] <= 0) {
        break;  // all are explained
      }
      selected.push_back(best);
      available[static_cast<size_t>(best)] = false;
      available[static_cast<size_t>((best + kMoves / 2) % kMoves)] = false;
      for (int64_t i = 0; i < images(); ++i) {
        explained[static_cast<size_t>(i)] += Gain(i, best);
      }
    }
    return selected;
  }

 protected:
  absl::Status PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                             std::span<float> predicted) override {
    for (int64_t i = 0; i < length; ++i) {
      decided[static_cast<size_t>(i)] = (start + i) / kOfGroup;
    }
    std::copy_n(predicted_.begin() + start * kMoves, length * kMoves, predicted.begin());
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Outcome>> EvaluateImage(int64_t image, std::span<const int64_t> moves,
                                                     const GiveWay&) override {
    std::vector<Outcome> outcomes;
    for (const int64_t m : moves) {
      outcomes.push_back({exact_[static_cast<size_t>(image * kMoves + m)], false});
    }
    return outcomes;
  }

 private:
  double Gain(int64_t image, int64_t move) const {
    return std::max(0.0F, exact_[static_cast<size_t>(image * kMoves + move)]);
  }

  std::vector<float> predicted_, exact_;
};

TEST(ScreeningSavingsTest, FindsMovesThatAreStrongerForAClassThanTheirGradientsSay) {
  int same = 0;
  int64_t evaluated = 0;
  constexpr int kRuns = 50;
  for (uint64_t seed = 1; seed <= kRuns; ++seed) {
    SurprisingMoves moves(seed);
    ScreeningOptions options;
    options.seed = seed;
    const auto found = SelectAttributesScreened(&moves, options);
    ASSERT_TRUE(found.ok()) << found.status();
    std::vector<int64_t> numbers;
    for (const SelectedAttribute& attribute : found->attributes) {
      numbers.push_back(attribute.coordinate.direction * (SurprisingMoves::kMoves / 2) +
                        attribute.coordinate.index);
    }
    same += numbers == moves.Exhaustive(options.max_attributes, options.explained_at) ? 1 : 0;
    evaluated += found->classifier_calls;
  }
  EXPECT_GE(same, kRuns - 1);
  EXPECT_LT(evaluated, kRuns * SurprisingMoves(1).images() * SurprisingMoves::kMoves / 6);
}

TEST(ScreeningSavingsTest, NoImagesNoAttributes) {
  const TinyModel tiny = MakeTinyModel(47, 4);
  const auto found =
      SelectAttributesScreened(tiny.stylex, tiny.styles.Narrow(0, 0), tiny.ranges, 0, Options(0));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->attributes.empty());
  EXPECT_EQ(found->classifier_calls, 0);
}

TEST(ScreeningSavingsTest, StopsWhenCancelledAndAsksOnlyOnTheCallersThread) {
  const TinyModel tiny = MakeTinyModel(48, kImages);
  const StyleVectors styles = Others(tiny, 0);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> polls = 0;
  ScreeningOptions options = Options(0);
  options.control.give_way = [&] {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    return ++polls <= 5;
  };
  int reports = 0;
  options.control.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_LE(done, total);
    ++reports;
  };
  const auto found = SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, 0, options);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kCancelled);
  options.control.give_way = nullptr;
  ASSERT_TRUE(SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, 0, options).ok());
  EXPECT_GT(reports, 0);
}

TEST(ScreeningSavingsTest, TheNumberOfThreadsDoesNotMatter) {
  const TinyModel tiny = MakeTinyModel(49, kImages);
  const StyleVectors styles = Others(tiny, 2);
  const int threads = torch::get_num_threads();
  std::vector<ScreenedSelection> found;
  for (const int count : {1, 3}) {
    torch::set_num_threads(count);
    found.push_back(
        SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, 2, Options(0.5)).value());
  }
  torch::set_num_threads(threads);
  ASSERT_EQ(found[0].attributes.size(), found[1].attributes.size());
  for (size_t i = 0; i < found[0].attributes.size(); ++i) {
    EXPECT_EQ(found[0].attributes[i].coordinate, found[1].attributes[i].coordinate);
  }
}

}  // namespace
}  // namespace stylex
