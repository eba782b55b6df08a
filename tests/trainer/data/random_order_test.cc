#include "trainer/data/random_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <numeric>
#include <set>

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAreArray;

std::vector<int64_t> UpTo(int64_t n) {
  std::vector<int64_t> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

TEST(SeedForTest, StepsAndPurposesOfARunDoNotShareASeed) {
  EXPECT_EQ(SeedFor(1, 2, 3), SeedFor(1, 2, 3));
  std::set<uint64_t> seeds;
  for (uint64_t step = 0; step < 500; ++step) {
    for (uint64_t purpose = 0; purpose < 30; ++purpose) {
      seeds.insert(SeedFor(1, step, purpose));
    }
  }
  EXPECT_EQ(seeds.size(), 500 * 30);
  EXPECT_NE(SeedFor(1, 2, 3), SeedFor(1, 3, 2)) << "the order of the numbers counts";
}

TEST(SeedForTest, RunsOfDifferentSeedsDifferAtEveryStep) {
  for (uint64_t step = 0; step < 500; ++step) {
    EXPECT_NE(SeedFor(1, step, 3), SeedFor(2, step, 3));
  }
}

// A changed bit changes half of the bits of the result, on average.
TEST(SeedForTest, SpreadsASmallDifference) {
  double changed = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    changed += std::popcount(SeedFor(7, i, 1) ^ SeedFor(7, i ^ 1, 1));
    changed += std::popcount(SeedFor(i, 7, 1) ^ SeedFor(i ^ 1, 7, 1));
  }
  EXPECT_NEAR(changed / 2000, 32, 1);
}

TEST(EpochOrderTest, IsAPermutation) {
  for (const int64_t n : {0, 1, 2, 17, 1000}) {
    EXPECT_THAT(EpochOrder(n, 3, 5), UnorderedElementsAreArray(UpTo(n)));
  }
}

TEST(EpochOrderTest, DependsOnSeedAndEpochAlone) {
  EXPECT_EQ(EpochOrder(100, 3, 5), EpochOrder(100, 3, 5));
  EXPECT_NE(EpochOrder(100, 3, 5), EpochOrder(100, 3, 6));
  EXPECT_NE(EpochOrder(100, 3, 5), EpochOrder(100, 4, 5));
  EXPECT_NE(EpochOrder(100, 3, 5), UpTo(100));
}

// Chi-squared of where each of 6 numbers stands in 6000 orders: 25 degrees of freedom, of
// which 52.6 is the 99.9 % quantile.
TEST(EpochOrderTest, EveryPlaceIsEquallyLikely) {
  constexpr int kNumbers = 6, kOrders = 6000;
  double counts[kNumbers][kNumbers] = {};
  for (int epoch = 0; epoch < kOrders; ++epoch) {
    const std::vector<int64_t> order = EpochOrder(kNumbers, 42, epoch);
    for (int place = 0; place < kNumbers; ++place) {
      ++counts[order[static_cast<size_t>(place)]][place];
    }
  }
  double chi_squared = 0;
  constexpr double kExpected = double{kOrders} / kNumbers;
  for (const auto& of_number : counts) {
    for (const double count : of_number) {
      chi_squared += (count - kExpected) * (count - kExpected) / kExpected;
    }
  }
  EXPECT_LT(chi_squared, 52.6);
}

TEST(DrawnIndicesTest, AreTheBeginningOfOneOrder) {
  const std::vector<int64_t> all = DrawnIndices(50, 9, 0);
  EXPECT_THAT(all, UnorderedElementsAreArray(UpTo(50)));
  const std::vector<int64_t> some = DrawnIndices(50, 9, 8);
  EXPECT_THAT(some, testing::ElementsAreArray(all.begin(), all.begin() + 8));
  EXPECT_EQ(DrawnIndices(50, 9, 50), all);
  EXPECT_EQ(DrawnIndices(50, 9, 1000), all);
  EXPECT_THAT(DrawnIndices(1, 9, 3), ElementsAre(0));
  EXPECT_THAT(DrawnIndices(0, 9, 3), IsEmpty());
}

}  // namespace
}  // namespace stylex
