// Logits of variants against whole passes that share nothing.
#include "explain/image_variants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

class ImageVariantsTest : public testing::Test {
 protected:
  // All layers, both directions, shifts of either sign and none.
  static std::vector<MoveSet> Sets() {
    std::vector<MoveSet> sets = {{}};
    for (int64_t index = 0; index < kTinyCoordinates; index += 3) {
      sets.push_back({{{index, static_cast<int>(index % 2)}, 1}});
    }
    sets.push_back({{{39, 0}, 0.5}, {{0, 1}, -1}});  // the last layer and the first
    sets.push_back({{{17, 1}, 2}, {{18, 0}, 0}, {{25, 1}, 1}});
    sets.push_back({{{39, 1}, 1}});
    return sets;
  }
  void ExpectLiteral(const torch::Tensor& logits, const std::vector<MoveSet>& sets) const {
    ASSERT_EQ(logits.size(0), static_cast<int64_t>(sets.size()));
    for (size_t i = 0; i < sets.size(); ++i) {
      const torch::Tensor expected = LiteralLogits(tiny_, 0, sets[i]);
      EXPECT_TRUE(logits[static_cast<int64_t>(i)].allclose(expected, 1e-3, 1e-4))
          << "variant " << i << ": " << logits[static_cast<int64_t>(i)] << expected;
    }
  }
  ImageVariants Make(VariantOptions options = {}) const {
    return {tiny_.stylex, tiny_.ranges, tiny_.styles, std::move(options)};
  }

  const TinyModel tiny_ = MakeTinyModel(21);
};

TEST_F(ImageVariantsTest, BaseIsTheImageItself) {
  EXPECT_TRUE(Make().BaseLogits().flatten().allclose(LiteralLogits(tiny_, 0, {}), 1e-3, 1e-4));
}

TEST_F(ImageVariantsTest, BatchesOfAnySizeGiveTheLiteralLogits) {
  const std::vector<MoveSet> sets = Sets();
  for (const int64_t batch : {1, 3, 64}) {
    VariantOptions options;
    options.control.batch_size = batch;
    ExpectLiteral(Make(options).Logits(sets).value(), sets);
  }
}

TEST_F(ImageVariantsTest, SinglesAreSetsOfOneMove) {
  std::vector<Coordinate> coordinates;
  std::vector<MoveSet> sets;
  for (const int64_t index : {5, 38, 0, 21}) {
    coordinates.push_back({index, static_cast<int>(index % 2)});
    sets.push_back({{coordinates.back(), 0.75}});
  }
  ExpectLiteral(Make().LogitsOfSingles(coordinates, 0.75).value(), sets);
}

TEST_F(ImageVariantsTest, NoVariantsAreNoLogits) {
  const torch::Tensor none = Make().Logits({}).value();
  EXPECT_EQ(none.size(0), 0);
  EXPECT_EQ(none.size(1), kTinyClasses);
}

TEST_F(ImageVariantsTest, CountsEveryVariantOnce) {
  const std::vector<MoveSet> sets = Sets();
  int64_t classified = 0;
  VariantOptions options;
  options.control.batch_size = 4;
  options.classified = [&](int64_t count) { classified += count; };
  ASSERT_TRUE(Make(options).Logits(sets).ok());
  EXPECT_EQ(classified, static_cast<int64_t>(sets.size()));
}

TEST_F(ImageVariantsTest, StopsWhereItIsCancelled) {
  const OneThread one_thread;
  int polls = 0;
  VariantOptions options;
  options.control.batch_size = 1;
  options.control.give_way = [&] { return ++polls <= 2; };
  const ImageVariants variants = Make(options);
  const int64_t before = tiny_.classifier->images();
  EXPECT_EQ(variants.Logits(Sets()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_LT(tiny_.classifier->images() - before, static_cast<int64_t>(Sets().size()));
}

}  // namespace
}  // namespace stylex
