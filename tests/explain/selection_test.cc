// Compares global selection with direct implementations of the released code and of the paper's
// Algorithm 1, on hand-made and random effects.
#include "explain/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "explain/effects.h"

namespace stylex {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Pair = std::pair<int, int64_t>;  // (direction, coordinate), as the paper's lists have them

// find_significant_styles as released: effects that raise the target add up in each image; means
// are over the images whose sum is below `limit`. `passes`: its discriminator filter, if there is
// one; a pair whose coordinate does not pass is passed over.
std::vector<Pair> ReleasedCode(const torch::Tensor& target_effect, int64_t count, double limit,
                               const std::function<bool(int64_t)>& passes = nullptr) {
  const int64_t images = target_effect.size(0);
  const int64_t size = target_effect.size(2);
  std::vector<std::vector<double>> positive(images, std::vector<double>(2 * size));
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t j = 0; j < 2 * size; ++j) {
      positive[n][j] = std::max(0.0, target_effect[n][j / size][j % size].item<double>());
    }
  }
  std::vector<double> sum(images, 0);
  std::vector<Pair> result;
  while (static_cast<int64_t>(result.size()) < count) {
    int64_t best = 0;
    double best_mean = -1;
    for (int64_t j = 0; j < 2 * size; ++j) {
      double total = 0;
      int64_t unexplained = 0;
      for (int64_t n = 0; n < images; ++n) {
        if (sum[n] < limit) {
          total += positive[n][j];
          ++unexplained;
        }
      }
      // NaN if there are no images; the released code then selects (0, 0).
      const double mean = total / static_cast<double>(unexplained);
      if (mean > best_mean) {
        best_mean = mean;
        best = j;
      }
    }
    const bool passed = !passes || passes(best % size);
    if (passed) {
      result.emplace_back(static_cast<int>(best / size), best % size);
    }
    for (int64_t n = 0; n < images; ++n) {
      sum[n] += passed ? positive[n][best] : 0;
      positive[n][best] = 0;
    }
  }
  return result;
}

// Algorithm 1: signed means over the remaining images; an image is removed once the chosen
// coordinate alone changes it by more than t.
std::vector<Pair> AlgorithmOne(const torch::Tensor& target_effect, int64_t count, double t) {
  const int64_t size = target_effect.size(2);
  std::vector<int64_t> left(target_effect.size(0));
  for (size_t n = 0; n < left.size(); ++n) {
    left[n] = static_cast<int64_t>(n);
  }
  std::vector<Pair> result;
  while (!left.empty() && static_cast<int64_t>(result.size()) < count) {
    double best_mean = -std::numeric_limits<double>::infinity();
    Pair best;
    for (int direction = 0; direction < 2; ++direction) {
      for (int64_t s = 0; s < size; ++s) {
        if (std::any_of(result.begin(), result.end(), [&](Pair p) { return p.second == s; })) {
          continue;
        }
        // Not in the paper: over all images it must raise the class.
        double over_all = 0;
        for (int64_t n = 0; n < target_effect.size(0); ++n) {
          over_all += target_effect[n][direction][s].item<double>();
        }
        if (over_all <= 0) {
          continue;
        }
        double mean = 0;
        for (const int64_t n : left) {
          mean += target_effect[n][direction][s].item<double>() / static_cast<double>(left.size());
        }
        if (mean > best_mean) {
          best_mean = mean;
          best = {direction, s};
        }
      }
    }
    if (best_mean <= 0) {
      break;
    }
    result.push_back(best);
    std::erase_if(left, [&](int64_t n) {
      return target_effect[n][best.first][best.second].item<double>() > t;
    });
  }
  return result;
}

std::vector<Pair> Pairs(const std::vector<SelectedAttribute>& attributes) {
  std::vector<Pair> pairs;
  for (const SelectedAttribute& attribute : attributes) {
    pairs.emplace_back(attribute.coordinate.direction, attribute.coordinate.index);
  }
  return pairs;
}

// Effects on class 1 of two, of images decided as class 0.
StyleEffects Effects(const torch::Tensor& target_effect) {
  const int64_t images = target_effect.size(0);
  return {torch::tensor({1.f, 0.f}).expand({images, 2}),
          torch::stack({torch::zeros_like(target_effect), target_effect}, 3)};
}

// [N, 2, S]: as real ones are, each coordinate raises the target in one direction only.
torch::Tensor RandomEffects(int64_t seed, int64_t images, int64_t size) {
  torch::manual_seed(seed);
  const torch::Tensor strength = torch::rand({1, 1, size}).pow(4) * torch::rand({images, 1, size});
  const torch::Tensor upwards = torch::rand({1, 1, size}) < 0.5;
  return torch::cat(
      {torch::where(upwards, -strength, strength), torch::where(upwards, strength, -strength)}, 1);
}

TEST(SelectAttributesTest, AgreesWithTheReleasedCode) {
  for (int64_t seed = 1; seed <= 20; ++seed) {
    const torch::Tensor effect = RandomEffects(seed, /*images=*/9, /*size=*/30);
    // Limits so high that images stay unexplained; otherwise the released code adds spurious
    // entries.
    for (const double limit : {2.5, 5.0}) {
      EXPECT_EQ(
          Pairs(SelectAttributes(Effects(effect), 1, {.max_attributes = 4, .explained_at = limit})),
          ReleasedCode(effect, 4, limit))
          << "seed " << seed << ", limit " << limit;
    }
  }
}

TEST(SelectAttributesTest, AgreesWithTheReleasedCodeUntilAllIsExplained) {
  for (int64_t seed = 1; seed <= 20; ++seed) {
    const torch::Tensor effect = RandomEffects(seed, /*images=*/9, /*size=*/30);
    const std::vector<Pair> selected =
        Pairs(SelectAttributes(Effects(effect), 1, {.max_attributes = 10, .explained_at = 0.6}));
    std::vector<Pair> released = ReleasedCode(effect, 10, 0.6);
    ASSERT_LT(selected.size(), released.size()) << "seed " << seed;
    EXPECT_EQ(released[selected.size()], Pair(0, 0)) << "the mean of no images";
    released.resize(selected.size());
    EXPECT_EQ(selected, released) << "seed " << seed;
  }
}

TEST(SelectAttributesTest, PassesOverWhatIsRefusedAsTheReleasedCodeDoes) {
  const auto passes = [](int64_t index) { return index % 3 != 0; };
  int differing = 0;
  for (int64_t seed = 1; seed <= 20; ++seed) {
    const torch::Tensor effect = RandomEffects(seed, /*images=*/9, /*size=*/30);
    const auto selected = Pairs(SelectAttributes(
        Effects(effect), 1, {.max_attributes = 4, .explained_at = 5, .accepts = passes}));
    EXPECT_EQ(selected, ReleasedCode(effect, 4, 5, passes)) << "seed " << seed;
    differing += selected != ReleasedCode(effect, 4, 5) ? 1 : 0;
  }
  EXPECT_GT(differing, 10) << "nothing was refused";
  const torch::Tensor effect = RandomEffects(1, 9, 30);
  for (const bool paper : {false, true}) {
    EXPECT_THAT(SelectAttributes(Effects(effect), 1,
                                 {.paper = paper, .accepts = [](int64_t) { return false; }}),
                IsEmpty());
  }
}

// The released code sets all effects of an unstable image to 0.
TEST(StableImagesTest, SelectsWhatTheReleasedCodeSelects) {
  int unstable = 0, differing = 0;
  for (int64_t seed = 1; seed <= 20; ++seed) {
    torch::Tensor effect = RandomEffects(seed, /*images=*/9, /*size=*/30);
    effect.narrow(0, 2, 2).mul_(6);  // two images on which everything is large
    const StyleEffects effects = Effects(effect);
    const torch::Tensor stable = StableImages(effects, 2);
    torch::Tensor zeroed = effect.clone();
    for (int64_t n = 0; n < 9; ++n) {
      int64_t large = 0;
      for (int64_t i = 0; i < 2 * 30; ++i) {
        large += std::abs(effect[n].flatten()[i].item<double>()) > 2 ? 1 : 0;
      }
      // Of two classes one has no effects here. 750 of 23,040 are 3.9 of 120.
      EXPECT_EQ(stable[n].item<bool>(), large <= 3) << "seed " << seed << ", image " << n;
      if (large > 3) {
        zeroed[n].zero_();
        ++unstable;
      }
    }
    const auto kept = stable.nonzero().squeeze(1);
    const StyleEffects part{effects.base.index_select(0, kept),
                            effects.effect.index_select(0, kept)};
    const SelectionOptions options{.max_attributes = 4, .explained_at = 5};
    const auto selected = Pairs(SelectAttributes(part, 1, options));
    EXPECT_EQ(selected, ReleasedCode(zeroed, 4, 5)) << "seed " << seed;
    differing += selected != Pairs(SelectAttributes(effects, 1, options)) ? 1 : 0;
  }
  EXPECT_GT(unstable, 10);
  EXPECT_GT(differing, 3) << "dropping changes nothing";
}

TEST(SelectAttributesTest, AgreesWithAlgorithmOne) {
  for (int64_t seed = 1; seed <= 20; ++seed) {
    torch::manual_seed(seed);
    const torch::Tensor effect = torch::randn({9, 2, 30});
    for (const double t : {0.3, 1.0, 100.0}) {
      EXPECT_EQ(Pairs(SelectAttributes(Effects(effect), 1,
                                       {.max_attributes = 8, .explained_at = t, .paper = true})),
                AlgorithmOne(effect, 8, t))
          << "seed " << seed << ", t " << t;
    }
  }
}

TEST(SelectAttributesTest, ZeroLimitRanksByMeanEffect) {
  torch::Tensor effect = torch::full({2, 2, 4}, -1.f);
  effect[0][1][0] = effect[1][1][0] = 1;
  effect[0][0][2] = effect[1][0][2] = 3;
  effect[0][1][3] = 4;
  effect[1][1][3] = 0;
  for (const bool paper : {false, true}) {
    EXPECT_THAT(Pairs(SelectAttributes(Effects(effect), 1, {.explained_at = 0, .paper = paper})),
                ElementsAre(Pair(0, 2), Pair(1, 3), Pair(1, 0)));
  }
}

TEST(SelectAttributesTest, CodeAndPaperDifferInWhatOneImageLoses) {
  // Image 0 decreases by nearly as much as image 1 increases: the released code counts only
  // increases.
  torch::Tensor effect = torch::zeros({2, 2, 2});
  effect[0][1][0] = -1.5;
  effect[1][1][0] = 2;
  effect[0][1][1] = effect[1][1][1] = 0.5;
  EXPECT_THAT(Pairs(SelectAttributes(Effects(effect), 1, {.max_attributes = 1})),
              ElementsAre(Pair(1, 0)));
  EXPECT_THAT(Pairs(SelectAttributes(Effects(effect), 1, {.max_attributes = 1, .paper = true})),
              ElementsAre(Pair(1, 1)));
}

TEST(SelectAttributesTest, WhatLowersTheClassOnAverageIsNoAttribute) {
  // The strongest of all increases, in one image, and a decrease in the two others.
  torch::Tensor effect = torch::zeros({3, 2, 3});
  effect[0][1][0] = 2;
  effect[1][1][0] = effect[2][1][0] = -1.5;
  effect[0][1][1] = 0.4;
  effect[1][0][2] = effect[2][0][2] = 0.1;
  for (const bool paper : {false, true}) {
    for (const double explained_at : {0.0, 2.5}) {
      const auto selected =
          SelectAttributes(Effects(effect), 1, {.explained_at = explained_at, .paper = paper});
      EXPECT_THAT(Pairs(selected), ElementsAre(Pair(1, 1), Pair(0, 2)));
      for (const SelectedAttribute& attribute : selected) {
        EXPECT_GT(attribute.mean_effect, 0);
      }
    }
  }
}

TEST(SelectAttributesTest, CodeAddsUpWhatThePaperTakesOneByOne) {
  // One image, four coordinates with effect 2: the released code stops when their sum reaches 2.5,
  // the paper when a single one exceeds 2.5.
  const torch::Tensor effect = torch::full({1, 1, 4}, 2.f);
  const torch::Tensor both = torch::cat({-effect, effect}, 1);
  EXPECT_EQ(SelectAttributes(Effects(both), 1, {}).size(), 2);
  EXPECT_EQ(SelectAttributes(Effects(both), 1, {.paper = true}).size(), 4);
}

TEST(SelectAttributesTest, TakesACoordinateInOneDirectionOnly) {
  const torch::Tensor effect = torch::full({3, 2, 2}, 1.f);
  for (const bool paper : {false, true}) {
    EXPECT_THAT(Pairs(SelectAttributes(Effects(effect), 1, {.explained_at = 100, .paper = paper})),
                ElementsAre(Pair(0, 0), Pair(0, 1)));
  }
}

TEST(SelectAttributesTest, StopsWhereNothingRaisesTheTarget) {
  for (const bool paper : {false, true}) {
    EXPECT_THAT(SelectAttributes(Effects(torch::zeros({3, 2, 5})), 1, {.paper = paper}), IsEmpty());
    EXPECT_THAT(SelectAttributes(Effects(torch::full({3, 2, 5}, -7.f)), 1, {.paper = paper}),
                IsEmpty());
    EXPECT_THAT(SelectAttributes(Effects(torch::zeros({0, 2, 5})), 1, {.paper = paper}), IsEmpty());
  }
}

TEST(SelectAttributesTest, NeverMoreThanAsked) {
  const torch::Tensor effect = torch::full({1, 2, 5}, 1.f);
  EXPECT_THAT(SelectAttributes(Effects(effect), 1, {.max_attributes = 0}), IsEmpty());
  EXPECT_EQ(SelectAttributes(Effects(effect), 1, {.max_attributes = 2}).size(), 2);
}

TEST(SelectAttributesTest, DescribesWhatItChose) {
  torch::Tensor effect = torch::zeros({4, 2, 1});
  effect.select(1, 1).select(1, 0).copy_(torch::tensor({2.f, 0.5f, 1.5f, -1.f}));
  const auto selected = SelectAttributes(Effects(effect), 1, {});
  ASSERT_EQ(selected.size(), 1);
  EXPECT_NEAR(selected[0].mean_effect, 0.75, 1e-6);  // the signed mean, of all images
  EXPECT_NEAR(selected[0].flip_rate, 0.5, 1e-6);     // base 1 against 0: 2 and 1.5 flip
}

}  // namespace
}  // namespace stylex
