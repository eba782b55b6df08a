#include "explain/joint_search.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>

#include "explain/counterfactual.h"
#include "explain/decisions.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

constexpr double kJointShift = 0.25;  // small, so that several moves are needed

bool IsDecided(const TinyModel& tiny, const std::vector<Move>& moves, int64_t target) {
  return LiteralLogits(tiny, 0, moves).argmax().item<int64_t>() == target;
}

int64_t Choose(int64_t n, int64_t k) {
  int64_t result = 1;
  for (int64_t i = 1; i <= k; ++i) {
    result = result * (n - k + i) / i;
  }
  return result;
}

// Whether adding any `size` of moves[from, ...) gives the target as the decision.
bool AnyDecides(const TinyModel& tiny, const std::vector<Move>& moves, size_t from, int64_t size,
                std::vector<Move> set, int64_t target) {
  if (size == 0) {
    return IsDecided(tiny, set, target);
  }
  for (size_t i = from; i < moves.size(); ++i) {
    const bool moved = std::any_of(set.begin(), set.end(), [&](const Move& move) {
      return move.coordinate.index == moves[i].coordinate.index;
    });
    if (moved) {
      continue;
    }
    set.push_back(moves[i]);
    if (AnyDecides(tiny, moves, i + 1, size - 1, set, target)) {
      return true;
    }
    set.pop_back();
  }
  return false;
}

// Moves sorted by their single margins, strongest first, each coordinate in its better direction.
std::vector<Move> StrongestLiterally(const TinyModel& tiny, int64_t target, size_t count) {
  std::vector<std::pair<float, Move>> all;
  for (int64_t index = 0; index < kTinyCoordinates; ++index) {
    std::optional<std::pair<float, Move>> better;
    for (const int direction : {0, 1}) {
      const Move move{{index, direction}, kJointShift};
      const float margin = MarginOf(LiteralLogits(tiny, 0, {move}), target).item<float>();
      if (!better || margin > better->first) {
        better = {margin, move};
      }
    }
    all.push_back(*better);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Move> moves;
  for (size_t i = 0; i < count; ++i) {
    moves.push_back(all[i].second);
  }
  return moves;
}

TEST(JointSearchTest, ACertificateHolds) {
  constexpr int64_t kCandidates = kTinyCoordinates / 2;
  int certified = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    for (int64_t target = 0; target < kTinyClasses; ++target) {
      const auto result =
          FindCounterfactual(tiny.stylex, tiny.styles, tiny.ranges, AllMoves(kTinyCoordinates),
                             {.target = target,
                              .max_attributes = 4,
                              .shift = kJointShift,
                              .certificate_candidates = kCandidates});
      ASSERT_TRUE(result.ok()) << result.status();
      const bool flipped = result->outcome == CounterfactualOutcome::kFlipped;
      ASSERT_EQ(result->certificate.has_value(), flipped);
      const int64_t size = static_cast<int64_t>(result->applied.size());
      if (!flipped || size == 1) {
        continue;
      }
      ++certified;
      const std::vector<Move> moves = StrongestLiterally(tiny, target, kCandidates);
      int64_t subsets = 0;
      for (int64_t smaller = 1; smaller < size; ++smaller) {
        EXPECT_FALSE(AnyDecides(tiny, moves, 0, smaller, {}, target))
            << "seed " << seed << ", target " << target << ", size " << smaller;
        subsets += Choose(kCandidates, smaller);
      }
      EXPECT_EQ(result->certificate->candidates, kCandidates);
      // It stops at the size at which it finds a set, after all sets of that size.
      EXPECT_TRUE(result->certificate->subsets == subsets ||
                  result->certificate->subsets == subsets + Choose(kCandidates, size));
    }
  }
  EXPECT_GE(certified, 4);
}

// A beam as wide as the number of sets finds the smallest set; the greedy search may not.
TEST(JointSearchTest, AWideBeamFindsTheSmallestSet) {
  std::vector<Coordinate> candidates;
  std::vector<Move> moves;
  for (int64_t index = 0; index < kTinyCoordinates; index += 4) {
    for (const int direction : {0, 1}) {
      candidates.push_back({index, direction});
      moves.push_back({candidates.back(), kJointShift * 3});
    }
  }
  int several = 0, greedy_missed = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    for (int64_t target = 0; target < kTinyClasses; ++target) {
      const CounterfactualOptions options{.target = target, .shift = kJointShift * 3};
      const ImageUnderSearch image(tiny.stylex, tiny.styles, tiny.ranges, options);
      std::vector<JointSet> singles;
      const auto greedy = GrowJointly(image, candidates, 1, 4, &singles);
      const auto wide = GrowJointly(image, candidates, 10'000, 4, &singles);
      ASSERT_TRUE(greedy.ok()) << greedy.status();
      ASSERT_TRUE(wide.ok()) << wide.status();
      if (wide->outcome != CounterfactualOutcome::kFlipped) {
        EXPECT_NE(greedy->outcome, CounterfactualOutcome::kFlipped);
        continue;
      }
      const int64_t size = static_cast<int64_t>(wide->best.moves.size());
      EXPECT_TRUE(IsDecided(tiny, wide->best.moves, target));
      several += size > 1;
      greedy_missed += greedy->outcome != CounterfactualOutcome::kFlipped ||
                       static_cast<int64_t>(greedy->best.moves.size()) > size;
      EXPECT_LE(size, static_cast<int64_t>(greedy->best.moves.size()));
      if (size > 1) {
        EXPECT_FALSE(AnyDecides(tiny, moves, 0, size - 1, {}, target));
      }
    }
  }
  EXPECT_GE(several, 4);
  EXPECT_GE(greedy_missed, 1);
}

TEST(JointSearchTest, TheBeamIsRepeatedOnlyWhereItCanHelp) {
  const TinyModel tiny = MakeTinyModel(2);
  for (int64_t target = 0; target < kTinyClasses; ++target) {
    CounterfactualOptions options{
        .target = target, .max_attributes = 6, .shift = kJointShift, .minimal = false};
    const auto find = [&] {
      return FindCounterfactual(tiny.stylex, tiny.styles, tiny.ranges, AllMoves(kTinyCoordinates),
                                options)
          .value();
    };
    const CounterfactualResult greedy = find();
    options.beam = 3;
    const CounterfactualResult wide = find();
    if (greedy.outcome == CounterfactualOutcome::kFlipped && greedy.applied.size() <= 2) {
      EXPECT_EQ(wide.evaluations, greedy.evaluations);
    }
    if (greedy.outcome == CounterfactualOutcome::kFlipped) {
      EXPECT_EQ(wide.outcome, CounterfactualOutcome::kFlipped);
      EXPECT_LE(wide.applied.size(), greedy.applied.size());
    }
  }
}

}  // namespace
}  // namespace stylex
