#include "explain/attribute_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <vector>

#include "explain/decisions.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

constexpr int64_t kSearched = 6;

// The images that are not decided as `target`.
StyleVectors NotDecidedAs(const TinyModel& tiny, int64_t target) {
  const torch::Tensor decided = LogitsOf(tiny.stylex, tiny.styles).argmax(1);
  return tiny.styles.Select(decided.ne(target).nonzero().squeeze(1));
}

std::vector<Coordinate> Chosen(const std::vector<SelectedAttribute>& attributes) {
  std::vector<Coordinate> coordinates;
  for (const SelectedAttribute& attribute : attributes) {
    coordinates.push_back(attribute.coordinate);
  }
  return coordinates;
}

TEST(AttributeSearchTest, ExhaustivelyItChoosesFromAllEffects) {
  const TinyModel tiny = MakeTinyModel(61, kSearched);
  for (const bool joint : {false, true}) {
    for (int64_t target = 0; target < kTinyClasses; ++target) {
      const StyleVectors styles = NotDecidedAs(tiny, target);
      AttributeSearchOptions options;
      options.target = target;
      options.max_attributes = 4;
      options.joint = joint;
      int64_t done = 0, total = 0;
      options.control.progress = [&](int64_t now, int64_t of) {
        EXPECT_GE(now, done);
        EXPECT_LE(now, of);
        done = now;
        total = of;
      };
      const auto found = SearchAttributes(tiny.stylex, styles, tiny.ranges, options);
      ASSERT_TRUE(found.ok()) << found.status();
      const auto effects = ComputeEffects(tiny.stylex, styles, tiny.ranges, {}).value();
      options.control.progress = nullptr;
      const auto selected =
          SelectFromEffects(tiny.stylex, styles, tiny.ranges, effects, options).value();
      EXPECT_EQ(Chosen(found->attributes), Chosen(selected));
      EXPECT_EQ(found->confidence, 1);
      EXPECT_EQ(found->evaluations, done);
      EXPECT_GE(done, styles.conv.size(0) * EvaluationsPerImage(false, kTinyCoordinates));
      for (const SelectedAttribute& attribute : found->attributes) {
        EXPECT_GT(attribute.mean_effect, 0);
      }
    }
  }
}

TEST(AttributeSearchTest, IndependentlyItHasTheRuleAndRefusesWhatItIsTold) {
  const TinyModel tiny = MakeTinyModel(66, kSearched);
  const StyleVectors styles = NotDecidedAs(tiny, 2);
  const StyleEffects effects = ComputeEffects(tiny.stylex, styles, tiny.ranges, {}).value();
  for (const bool paper : {false, true}) {
    for (const int64_t parity : {0, 1}) {
      AttributeSearchOptions options;
      options.target = 2;
      options.explained_at = 0.5;
      options.paper = paper;
      options.accepts = [parity](int64_t index) { return index % 2 == parity; };
      const auto found = SearchAttributes(tiny.stylex, styles, tiny.ranges, options);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_FALSE(found->attributes.empty());
      EXPECT_EQ(
          Chosen(found->attributes),
          Chosen(SelectAttributes(
              effects, 2, {.explained_at = 0.5, .paper = paper, .accepts = options.accepts})));
    }
  }
}

TEST(AttributeSearchTest, ScreenedItEvaluatesWhatGradientsChoose) {
  const TinyModel tiny = MakeTinyModel(62, kSearched);
  for (const bool joint : {false, true}) {
    const StyleVectors styles = NotDecidedAs(tiny, 1);
    AttributeSearchOptions options;
    options.target = 1;
    options.max_attributes = 4;
    options.joint = joint;
    options.screened = true;
    const auto found = SearchAttributes(tiny.stylex, styles, tiny.ranges, options);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_FALSE(found->attributes.empty());
    EXPECT_GT(found->evaluations, 0);
    EXPECT_EQ(found->confidence > 0, !joint);
  }
}

TEST(AttributeSearchTest, OnlyImagesThatCanBeChangedTakePart) {
  const TinyModel tiny = MakeTinyModel(63, kSearched);
  const torch::Tensor images = tiny.stylex.Synthesize(tiny.styles);
  int kept = 0;
  for (int64_t n = 0; n < kSearched; ++n) {
    const torch::Tensor image = images.narrow(0, n, 1);
    const int64_t decided = tiny.stylex.Logits(image).argmax(1).item<int64_t>();
    const int64_t other = (decided + 1) % kTinyClasses;
    EXPECT_FALSE(StylesIfSearched(tiny.stylex, image, decided, std::nullopt));
    EXPECT_FALSE(StylesIfSearched(tiny.stylex, image, other, (decided + 2) % kTinyClasses));
    const auto styles = StylesIfSearched(tiny.stylex, image, other, decided);
    if (styles) {
      ++kept;
      EXPECT_NE(LogitsOf(tiny.stylex, *styles).argmax(1).item<int64_t>(), other);
    }
  }
  EXPECT_GT(kept, 0);
}

TEST(AttributeSearchTest, StopsWhenToldTo) {
  const TinyModel tiny = MakeTinyModel(64, kSearched);
  for (const bool screened : {false, true}) {
    AttributeSearchOptions options;
    options.target = 0;
    options.joint = true;
    options.screened = screened;
    options.control.give_way = [] { return false; };
    EXPECT_EQ(
        SearchAttributes(tiny.stylex, NotDecidedAs(tiny, 0), tiny.ranges, options).status().code(),
        absl::StatusCode::kCancelled);
  }
}

TEST(AttributeSearchTest, OverNoImagesFindsNothing) {
  const TinyModel tiny = MakeTinyModel(65, 1);
  const auto found = SearchAttributes(tiny.stylex, tiny.styles.Narrow(0, 0), tiny.ranges, {});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(found->attributes.empty());
}

}  // namespace
}  // namespace stylex
