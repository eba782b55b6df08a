// The screened search against the exhaustive one.
#include "explain/screening.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <atomic>
#include <thread>
#include <vector>

#include "explain/attfind.h"
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

// Gradients that say nothing: the answer must still be the right one, by evaluating more.
TEST(ScreeningSavingsTest, UselessGradientsCostEvaluationsNotTruth) {
  const TinyModel tiny = MakeTinyModel(46, kImages);
  const StyleVectors styles = Others(tiny, 0);
  EffectOptions effects;
  effects.shift = 1;  // far outside of what gradients can foresee
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
  options.cancelled = [&] {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    return ++polls > 5;
  };
  int reports = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_LE(done, total);
    ++reports;
  };
  const auto found = SelectAttributesScreened(tiny.stylex, styles, tiny.ranges, 0, options);
  EXPECT_EQ(found.status().code(), absl::StatusCode::kCancelled);
  options.cancelled = nullptr;
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
