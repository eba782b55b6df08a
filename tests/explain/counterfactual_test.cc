#include "explain/counterfactual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>

#include "explain/decisions.h"
#include "explain/effects.h"
#include "explain/gradient_candidates.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

using Outcome = CounterfactualOutcome;

int64_t Decision(const torch::Tensor& logits) { return logits.argmax().item<int64_t>(); }

int64_t RunnerUpOf(const TinyModel& tiny) { return RunnerUp(LiteralLogits(tiny, 0, {})); }

CounterfactualResult Find(const TinyModel& tiny, const CounterfactualOptions& options) {
  const auto result =
      FindCounterfactual(tiny.stylex, tiny.styles, tiny.ranges, AllCoordinates(), options);
  EXPECT_TRUE(result.ok()) << result.status();
  return *result;
}

std::vector<Move> MovesOf(const CounterfactualResult& result) {
  std::vector<Move> moves;
  for (const AppliedMove& applied : result.applied) {
    moves.push_back(applied.move);
  }
  return moves;
}

float Margin(const torch::Tensor& logits, int64_t target) {
  torch::Tensor others = logits.clone();
  others[target] = -1e9;
  return (logits[target] - others.max()).item<float>();
}

// Checks the invariants of a result, whatever its outcome.
void ExpectHonest(const TinyModel& tiny, const CounterfactualResult& result, int64_t target) {
  const torch::Tensor base = LiteralLogits(tiny, 0, {});
  EXPECT_TRUE(result.base_logits.allclose(base, 1e-4, 1e-4));
  std::vector<Move> prefix;
  for (const AppliedMove& applied : result.applied) {
    prefix.push_back(applied.move);
    EXPECT_TRUE(applied.logits.allclose(LiteralLogits(tiny, 0, prefix), 1e-4, 1e-4));
    const torch::Tensor single = LiteralLogits(tiny, 0, {applied.move});
    EXPECT_NEAR(applied.single_effect, (single - base)[target].item<double>(), 1e-4);
  }
  EXPECT_TRUE(result.logits.allclose(LiteralLogits(tiny, 0, prefix), 1e-4, 1e-4));
  EXPECT_EQ(Decision(result.logits) == target,
            result.outcome == Outcome::kFlipped ||
                result.outcome == Outcome::kReconstructionAlreadyTarget ||
                result.outcome == Outcome::kProbabilityNotReached);
}

class CounterfactualSeeds : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Models, CounterfactualSeeds, testing::Range<uint64_t>(1, 9));

TEST_P(CounterfactualSeeds, FlipsToTheRunnerUp) {
  const TinyModel tiny = MakeTinyModel(GetParam());
  const int64_t target = RunnerUpOf(tiny);
  for (const bool joint : {true, false}) {
    for (const bool minimal : {true, false}) {
      const CounterfactualResult result =
          Find(tiny, {.target = target, .minimal = minimal, .joint = joint});
      ExpectHonest(tiny, result, target);
      if (joint) {
        EXPECT_EQ(result.outcome, Outcome::kFlipped);
      }
    }
  }
}

// No proper subset of the applied moves reaches the target, nor do they with the last move weakened
// by the tolerance. The shift is small, so that several moves are needed.
TEST_P(CounterfactualSeeds, IsMinimal) {
  const TinyModel tiny = MakeTinyModel(GetParam());
  for (int64_t target = 0; target < kTinyClasses; ++target) {
    const CounterfactualResult result =
        Find(tiny, {.target = target, .max_attributes = 8, .shift = 0.4});
    if (result.outcome != Outcome::kFlipped) {
      continue;
    }
    ExpectHonest(tiny, result, target);
    const std::vector<Move> moves = MovesOf(result);
    for (size_t mask = 0; mask + 1 < size_t{1} << moves.size(); ++mask) {
      std::vector<Move> subset;
      for (size_t i = 0; i < moves.size(); ++i) {
        if (mask >> i & 1) {
          subset.push_back(moves[i]);
        }
      }
      EXPECT_NE(Decision(LiteralLogits(tiny, 0, subset)), target) << "subset " << mask;
    }
    std::vector<Move> weaker = moves;
    weaker.back().shift -= 0.4 / 256;
    EXPECT_GT(weaker.back().shift, -1e-9);
    EXPECT_NE(Decision(LiteralLogits(tiny, 0, weaker)), target);
  }
}

// The greedy search one variant at a time, by the margin.
TEST_P(CounterfactualSeeds, JointSearchAgreesWithBruteForce) {
  const TinyModel tiny = MakeTinyModel(GetParam());
  const int64_t target = RunnerUpOf(tiny);
  constexpr double kShift = 0.4;
  std::vector<Move> moves;
  torch::Tensor logits = LiteralLogits(tiny, 0, {});
  while (Decision(logits) != target) {
    Move best;
    torch::Tensor best_logits;
    for (const Coordinate& coordinate : AllCoordinates()) {
      if (std::any_of(moves.begin(), moves.end(), [&](const Move& move) {
            return move.coordinate.index == coordinate.index;
          })) {
        continue;
      }
      std::vector<Move> more = moves;
      more.push_back({coordinate, kShift});
      const torch::Tensor reached = LiteralLogits(tiny, 0, more);
      if (!best_logits.defined() || Margin(reached, target) > Margin(best_logits, target)) {
        best = more.back();
        best_logits = reached;
      }
    }
    moves.push_back(best);
    logits = best_logits;
  }
  const CounterfactualResult result =
      Find(tiny, {.target = target, .max_attributes = 20, .shift = kShift, .minimal = false});
  ASSERT_EQ(result.outcome, Outcome::kFlipped);
  ASSERT_EQ(result.applied.size(), moves.size());
  for (size_t k = 0; k < moves.size(); ++k) {
    EXPECT_EQ(result.applied[k].move.coordinate, moves[k].coordinate);
    EXPECT_EQ(result.applied[k].move.shift, kShift);
  }
}

TEST_P(CounterfactualSeeds, DoesNotDependOnTheBatch) {
  const TinyModel tiny = MakeTinyModel(GetParam());
  const int64_t target = RunnerUpOf(tiny);
  const CounterfactualResult whole = Find(tiny, {.target = target, .shift = 0.4});
  for (const int64_t batch_size : {1, 5}) {
    const CounterfactualResult result =
        Find(tiny, {.target = target, .shift = 0.4, .control = {.batch_size = batch_size}});
    EXPECT_EQ(result.outcome, whole.outcome);
    EXPECT_EQ(result.evaluations, whole.evaluations);
    ASSERT_EQ(result.applied.size(), whole.applied.size());
    for (size_t k = 0; k < whole.applied.size(); ++k) {
      EXPECT_EQ(result.applied[k].move.coordinate, whole.applied[k].move.coordinate);
      // Computed from logits, which differ in the last bits.
      EXPECT_NEAR(result.applied[k].move.shift, whole.applied[k].move.shift, 1e-4);
      EXPECT_TRUE(result.applied[k].logits.allclose(whole.applied[k].logits, 1e-4, 1e-4));
    }
  }
}

TEST(CounterfactualTest, SingleEffectsAreAppliedInTheirOrder) {
  const TinyModel tiny = MakeTinyModel(11);
  const int64_t target = RunnerUpOf(tiny);
  const CounterfactualResult result = Find(
      tiny,
      {.target = target, .max_attributes = 20, .shift = 0.3, .minimal = false, .joint = false});
  ASSERT_GT(result.applied.size(), 1);
  float previous = 1e9;
  for (const AppliedMove& applied : result.applied) {
    const float margin = Margin(LiteralLogits(tiny, 0, {applied.move}), target);
    EXPECT_LE(margin, previous + 1e-4);
    previous = margin;
  }
  // Without the last move the target is not reached.
  for (size_t k = 0; k + 1 < result.applied.size(); ++k) {
    EXPECT_NE(Decision(result.applied[k].logits), target);
  }
}

TEST(CounterfactualTest, SaysWhenTheReconstructionIsTheTargetAlready) {
  const TinyModel tiny = MakeTinyModel(12);
  const int64_t decided = Decision(LiteralLogits(tiny, 0, {}));
  const CounterfactualResult result = Find(tiny, {.target = decided});
  EXPECT_EQ(result.outcome, Outcome::kReconstructionAlreadyTarget);
  EXPECT_EQ(result.applied.size(), 0);
  EXPECT_EQ(result.evaluations, 1);
  ExpectHonest(tiny, result, decided);
}

TEST(CounterfactualTest, GoesOnToTheProbabilityAskedFor) {
  const TinyModel tiny = MakeTinyModel(12);
  const int64_t target = RunnerUpOf(tiny);
  const auto probability = [&](const CounterfactualResult& result) {
    return torch::softmax(result.logits, 0)[target].item<double>();
  };
  const CounterfactualResult flip = Find(tiny, {.target = target});
  const CounterfactualResult sure = Find(tiny, {.target = target, .target_probability = 0.9});
  EXPECT_EQ(sure.outcome, Outcome::kFlipped);
  EXPECT_LT(probability(flip), 0.9);
  EXPECT_GE(probability(sure), 0.9);
  ExpectHonest(tiny, sure, target);
  // Also for an image already decided as the target, but with a low probability.
  const int64_t decided = Decision(LiteralLogits(tiny, 0, {}));
  const CounterfactualResult surer = Find(tiny, {.target = decided, .target_probability = 0.9999});
  EXPECT_EQ(surer.outcome, Outcome::kFlipped);
  EXPECT_GT(surer.applied.size(), 0);
  ExpectHonest(tiny, surer, decided);
}

TEST(CounterfactualTest, SaysWhenTheProbabilityIsNotReached) {
  const TinyModel tiny = MakeTinyModel(13);
  const int64_t target = RunnerUpOf(tiny);
  const CounterfactualResult result =
      Find(tiny, {.target = target, .max_attributes = 3, .target_probability = 1});
  EXPECT_EQ(result.outcome, Outcome::kProbabilityNotReached);
  EXPECT_EQ(result.applied.size(), 3);
  ExpectHonest(tiny, result, target);
}

TEST(CounterfactualTest, SaysWhenTheBudgetIsSpent) {
  const TinyModel tiny = MakeTinyModel(14);
  const int64_t target = RunnerUpOf(tiny);
  for (const bool joint : {true, false}) {
    const CounterfactualResult result =
        Find(tiny, {.target = target, .max_attributes = 2, .shift = 0.01, .joint = joint});
    EXPECT_EQ(result.outcome, Outcome::kBudgetExhausted);
    EXPECT_EQ(result.applied.size(), 2);  // the best attempt
    EXPECT_GT(Margin(result.logits, target), Margin(result.base_logits, target));
    ExpectHonest(tiny, result, target);
  }
}

TEST(CounterfactualTest, SaysWhenNothingHelps) {
  const TinyModel tiny = MakeTinyModel(15);
  const int64_t target = RunnerUpOf(tiny);
  std::vector<Coordinate> harmful;
  const auto logits =
      LogitsAfterSingleMoves(tiny.stylex, tiny.styles, tiny.ranges, AllCoordinates(), {}).value();
  for (size_t i = 0; i < AllCoordinates().size(); ++i) {
    if (Margin(logits[static_cast<int64_t>(i)], target) <
        Margin(LiteralLogits(tiny, 0, {}), target)) {
      harmful.push_back(AllCoordinates()[i]);
    }
  }
  ASSERT_FALSE(harmful.empty());
  for (const bool joint : {true, false}) {
    for (const std::vector<Coordinate>& candidates : {harmful, std::vector<Coordinate>()}) {
      const auto result = FindCounterfactual(tiny.stylex, tiny.styles, tiny.ranges, candidates,
                                             {.target = target, .joint = joint});
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_EQ(result->outcome, Outcome::kNoImprovement);
      EXPECT_EQ(result->applied.size(), 0);
      ExpectHonest(tiny, *result, target);
    }
  }
}

TEST(CounterfactualTest, ShortlistSavesEvaluations) {
  const TinyModel tiny = MakeTinyModel(16);
  CounterfactualOptions options{.target = RunnerUpOf(tiny),
                                .max_attributes = 3,
                                .shift = 0.1,
                                .target_probability = 1,  // so that it does not stop early
                                .minimal = false};
  const CounterfactualResult all = Find(tiny, options);
  options.shortlist = 10;
  const CounterfactualResult few = Find(tiny, options);
  ASSERT_EQ(all.applied.size(), 3);
  ASSERT_EQ(few.applied.size(), 3);
  // The reported singles and prefixes are cached by then.
  EXPECT_EQ(all.evaluations, 1 + 80 + 78 + 76);
  EXPECT_EQ(few.evaluations, 1 + 3 * (1 + 10));
  ExpectHonest(tiny, few, options.target);
}

// Favourites are tried regardless of gradients, unless they are already moved.
TEST(CounterfactualTest, FavouritesAreTried) {
  const TinyModel tiny = MakeTinyModel(16);
  CounterfactualOptions options{.target = RunnerUpOf(tiny),
                                .max_attributes = 2,
                                .shift = 0.1,
                                .minimal = false,
                                .shortlist = 1};
  const Coordinate ranked = Find(tiny, options).applied[0].move.coordinate;
  std::optional<Coordinate> better;  // the best other one, by exact effects
  float greatest = 0;
  for (const Coordinate& coordinate : AllMoves(kTinyCoordinates)) {
    const Move move{coordinate, 0.1};
    const float margin = MarginOf(LiteralLogits(tiny, 0, {move}), options.target).item<float>();
    if (coordinate.index != ranked.index && (!better || margin > greatest)) {
      better = coordinate;
      greatest = margin;
    }
  }
  options.favourites = {*better};
  const CounterfactualResult result = Find(tiny, options);
  ASSERT_EQ(result.applied.size(), 2);
  EXPECT_EQ(result.applied[0].move.coordinate, *better);
  EXPECT_NE(result.applied[1].move.coordinate.index, better->index);
  ExpectHonest(tiny, result, options.target);
}

// No gradient, which costs as much as many moves, is computed if a favourite flips the image on its
// own.
TEST(CounterfactualTest, FavouritesThatFlipSaveTheGradient) {
  const TinyModel tiny = MakeTinyModel(16);
  CounterfactualOptions options{
      .target = RunnerUpOf(tiny), .max_attributes = 2, .minimal = false, .shortlist = 10};
  for (const Coordinate& coordinate : AllMoves(kTinyCoordinates)) {
    const torch::Tensor logits = LiteralLogits(tiny, 0, {{coordinate, 1}});
    if (logits.argmax().item<int64_t>() == options.target) {
      options.favourites = {coordinate};
      const CounterfactualResult result = Find(tiny, options);
      ASSERT_EQ(result.applied.size(), 1);
      EXPECT_EQ(result.applied[0].move.coordinate, coordinate);
      EXPECT_EQ(result.evaluations, 2);  // of the image, and of the favourite
      return;
    }
  }
  FAIL() << "no single move flips this image: take another seed";
}

// The least needed move is weakened to the decision boundary, whatever the request.
TEST(CounterfactualTest, WeakensToTheEdge) {
  for (const double probability : {0.0, 0.6}) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const TinyModel tiny = MakeTinyModel(seed);
      const CounterfactualOptions options{
          .target = RunnerUpOf(tiny), .target_probability = probability, .shortlist = 10};
      const CounterfactualResult result = Find(tiny, options);
      if (result.outcome != CounterfactualOutcome::kFlipped) {
        continue;
      }
      std::vector<Move> moves = MovesOf(result);
      const auto reached = [&](const std::vector<Move>& tried) {
        const torch::Tensor logits = LiteralLogits(tiny, 0, tried);
        return logits.argmax().item<int64_t>() == options.target &&
               torch::softmax(logits, 0)[options.target].item<double>() >= probability;
      };
      EXPECT_TRUE(reached(moves)) << "seed " << seed;
      moves.back().shift -= 1.0 / 200;
      EXPECT_FALSE(moves.back().shift > 0 && reached(moves)) << "seed " << seed;
    }
  }
}

// A shortlist ranked by gradients is nearly as good as trying all moves.
TEST(CounterfactualTest, ShortlistFindsNearlyTheBest) {
  for (uint64_t seed = 31; seed <= 34; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    CounterfactualOptions options{
        .target = RunnerUpOf(tiny), .max_attributes = 4, .shift = 0.02, .minimal = false};
    const CounterfactualResult all = Find(tiny, options);
    options.shortlist = 12;
    const CounterfactualResult few = Find(tiny, options);
    const float base = Margin(all.base_logits, options.target);
    EXPECT_GE(Margin(few.logits, options.target) - base,
              0.95 * (Margin(all.logits, options.target) - base))
        << "seed " << seed;
  }
}

TEST(CounterfactualTest, StopsAtOnceWhenCancelled) {
  const OneThread one_thread;
  const TinyModel tiny = MakeTinyModel(17);
  int polls = 0;
  CounterfactualOptions options{
      .target = RunnerUpOf(tiny), .shift = 0.01, .control = {.batch_size = 4}};
  options.control.give_way = [&] { return ++polls <= 3; };
  const int64_t before = tiny.classifier->images();
  const auto result =
      FindCounterfactual(tiny.stylex, tiny.styles, tiny.ranges, AllCoordinates(), options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(polls, 4);
  EXPECT_EQ(tiny.classifier->images() - before, 1 + 3 * 4);
}

TEST(GradientCandidatesTest, OrderIsThatOfSmallMoves) {
  const TinyModel tiny = MakeTinyModel(18);
  const int64_t target = RunnerUpOf(tiny);
  constexpr double kShift = 1e-3;  // small enough to be linear, great enough for float32
  const float base = Margin(LiteralLogits(tiny, 0, {}), target);
  const std::vector<Coordinate> candidates = GradientCandidates(
      tiny.stylex, tiny.styles, tiny.ranges, target, kShift, /*count=*/kTinyCoordinates);
  ASSERT_GT(candidates.size(), 20);
  const auto gain = [&](Coordinate coordinate) {
    return Margin(LiteralLogits(tiny, 0, {{coordinate, kShift}}), target) - base;
  };
  float best = -1;
  for (const Coordinate& coordinate : AllCoordinates()) {
    best = std::max(best, gain(coordinate));
  }
  float previous = best;
  EXPECT_NEAR(gain(candidates[0]), best, 0.02 * best);
  for (const Coordinate& candidate : candidates) {
    const float now = gain(candidate);
    EXPECT_GT(now, -0.05 * best);
    EXPECT_LT(now, previous + 0.05 * best);
    previous = now;
  }
}

// Decides like another classifier, and gives no gradients, as a user's TorchScript file may.
class WithoutGradients : public Classifier {
 public:
  explicit WithoutGradients(std::shared_ptr<const Classifier> inner) : inner_(std::move(inner)) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    return inner_->Logits(images.detach());
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return inner_->NumParameters(); }

 private:
  std::shared_ptr<const Classifier> inner_;
};

TEST(GradientCandidatesTest, AClassifierWithoutGradientsIsSaidToHaveNone) {
  const TinyModel tiny = MakeTinyModel(7);
  const Stylex opaque(tiny.stylex.config(), tiny.stylex.networks(),
                      std::make_shared<WithoutGradients>(tiny.classifier));
  std::string said;
  try {
    GradientCandidates(opaque, tiny.styles.Narrow(0, 1), tiny.ranges, /*target=*/1, /*shift=*/1,
                       /*count=*/3);
  } catch (const std::exception& error) {
    said = error.what();
  }
  EXPECT_THAT(said, testing::HasSubstr("the classifier gives no gradients"));
}

TEST(GradientCandidatesTest, FindTheStrongestMoves) {
  for (uint64_t seed = 21; seed <= 24; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    const int64_t target = RunnerUpOf(tiny);
    const std::vector<Coordinate> all = AllCoordinates();
    constexpr double kShift = 0.1;  // random networks are rougher than trained ones
    std::vector<std::pair<float, size_t>> exact;
    for (size_t i = 0; i < all.size(); ++i) {
      exact.emplace_back(-Margin(LiteralLogits(tiny, 0, {{all[i], kShift}}), target), i);
    }
    std::sort(exact.begin(), exact.end());
    const std::vector<Coordinate> candidates =
        GradientCandidates(tiny.stylex, tiny.styles, tiny.ranges, target, kShift, /*count=*/20);
    EXPECT_LE(candidates.size(), 20);
    int found = 0;
    for (int i = 0; i < 5; ++i) {
      found += std::count(candidates.begin(), candidates.end(), all[exact[i].second]) > 0;
    }
    EXPECT_GE(found, 4) << "of the five strongest, seed " << seed;
    for (size_t i = 0; i < candidates.size(); ++i) {
      for (size_t j = i + 1; j < candidates.size(); ++j) {
        EXPECT_NE(candidates[i].index, candidates[j].index) << "a coordinate in both directions";
      }
    }
  }
}

}  // namespace
}  // namespace stylex
