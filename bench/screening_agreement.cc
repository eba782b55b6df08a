// Measures how often screened AttFind selects what the exhaustive one does, on random subsets of a
// pool of images, with every class as the target in turn.
#include <torch/types.h>
#include <torch/utils.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "bench/photographs.h"
#include "explain/effects.h"
#include "explain/metrics.h"
#include "explain/move_table.h"
#include "explain/screening.h"
#include "explain/selection.h"
#include "models/checkpoint.h"
#include "models/device.h"
#include "trainer/commands/opening.h"

namespace stylex {
namespace {

struct Options {
  std::vector<std::string> checkpoints;
  std::string data;
  int64_t pool = 192, subset = 128, runs = 100, attributes = 10;
  double explained_at = 2.5;
  double deviations = ScreeningOptions().deviations;
  uint64_t seed = 1;
  bool json = false;
};

struct Counts {
  int64_t runs = 0, same = 0, same_order = 0, audited = 0, audit_misses = 0;
  double confidence = 0, calls = 0, moves = 0;
};

std::set<std::pair<int64_t, int>> AsSet(const std::vector<SelectedAttribute>& attributes) {
  std::set<std::pair<int64_t, int>> moves;
  for (const SelectedAttribute& attribute : attributes) {
    moves.emplace(attribute.coordinate.index, attribute.coordinate.direction);
  }
  return moves;
}

bool SameOrder(const std::vector<SelectedAttribute>& a, const std::vector<SelectedAttribute>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const SelectedAttribute& x, const SelectedAttribute& y) {
                      return x.coordinate == y.coordinate;
                    });
}

// Chosen images of a pool whose effects have all been computed: searches look effects up, so that
// hundreds of searches cost no more than the pool.
class RecordedMoves : public MoveTable {
 public:
  RecordedMoves(const MoveTable& pool, const StyleEffects& effects, std::vector<int64_t> chosen,
                int64_t target)
      : MoveTable(static_cast<int64_t>(chosen.size()), pool.moves(), /*side_by_side=*/false, {}),
        pool_(pool),
        effect_(
            effects.effect.select(3, target).reshape({pool.images(), pool.moves()}).contiguous()),
        flips_(((effects.base.unsqueeze(1).unsqueeze(1) + effects.effect).argmax(3) == target)
                   .reshape({pool.images(), pool.moves()})
                   .contiguous()),
        chosen_(std::move(chosen)) {}

 protected:
  absl::Status PredictImages(int64_t start, int64_t length, std::span<int64_t> decided,
                             std::span<float> predicted) override {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t image = chosen_[static_cast<size_t>(start + i)];
      decided[static_cast<size_t>(i)] = pool_.decided(image);
      for (int64_t m = 0; m < moves(); ++m) {
        predicted[static_cast<size_t>(i * moves() + m)] = pool_.predicted(image, m);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Outcome>> EvaluateImage(int64_t image, std::span<const int64_t> wanted,
                                                     const GiveWay&) override {
    const int64_t at = chosen_[static_cast<size_t>(image)] * moves();
    std::vector<Outcome> outcomes;
    for (const int64_t m : wanted) {
      outcomes.push_back({effect_.data_ptr<float>()[at + m], flips_.data_ptr<bool>()[at + m]});
    }
    return outcomes;
  }

 private:
  const MoveTable& pool_;
  const torch::Tensor effect_, flips_;  // [pool, moves]
  const std::vector<int64_t> chosen_;
};

// One run over `chosen` images of the pool.
absl::Status CompareOnce(const MoveTable& pool, const StyleEffects& effects,
                         const std::vector<int64_t>& chosen, int64_t target, uint64_t seed,
                         const Options& options, Counts* counts) {
  SelectionOptions exhaustive;
  exhaustive.max_attributes = options.attributes;
  exhaustive.explained_at = options.explained_at;
  const torch::Tensor indices = torch::tensor(chosen);
  const std::vector<SelectedAttribute> expected = SelectAttributes(
      {effects.base.index_select(0, indices), effects.effect.index_select(0, indices)}, target,
      exhaustive);
  ScreeningOptions screening;
  screening.max_attributes = options.attributes;
  screening.explained_at = options.explained_at;
  screening.seed = seed;
  screening.deviations = options.deviations;
  RecordedMoves moves(pool, effects, chosen, target);
  STYLEX_ASSIGN_OR_RETURN(const ScreenedSelection found,
                          SelectAttributesScreened(&moves, screening));
  ++counts->runs;
  counts->same += AsSet(expected) == AsSet(found.attributes) ? 1 : 0;
  counts->same_order += SameOrder(expected, found.attributes) ? 1 : 0;
  counts->confidence += found.confidence;
  counts->audited += found.audited;
  counts->audit_misses += found.audit_misses;
  counts->calls += static_cast<double>(found.classifier_calls);
  counts->moves += static_cast<double>(moves.images() * (moves.moves() + 1));
  return absl::OkStatus();
}

absl::Status CompareCheckpoint(const std::string& path, const Options& options, int64_t runs,
                               Counts* counts) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, LoadCheckpoint(path));
  if (!checkpoint.attributes) {
    return absl::FailedPreconditionError(path + " has no attribute index");
  }
  const Stylex& model = checkpoint.model;
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  STYLEX_ASSIGN_OR_RETURN(const StyleVectors pool,
                          StylesOfPhotographs(model, options.data, options.pool));
  STYLEX_ASSIGN_OR_RETURN(const StyleEffects effects, ComputeEffects(model, pool, ranges, {}));
  std::vector<std::unique_ptr<ModelMoves>> predictions;  // per target
  for (int64_t target = 0; target < model.num_classes(); ++target) {
    predictions.push_back(
        std::make_unique<ModelMoves>(model, pool, ranges, target, 1, SearchControl()));
    STYLEX_RETURN_IF_ERROR(predictions.back()->Predict());
  }
  std::mt19937_64 random(options.seed);
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t target = run % model.num_classes();
    const ModelMoves& moves = *predictions[static_cast<size_t>(target)];
    std::vector<int64_t> others;
    for (int64_t n = 0; n < moves.images(); ++n) {
      if (moves.decided(n) != target) {
        others.push_back(n);
      }
    }
    if (others.empty()) {
      continue;
    }
    std::shuffle(others.begin(), others.end(), random);
    others.resize(std::min(others.size(), static_cast<size_t>(options.subset)));
    STYLEX_RETURN_IF_ERROR(CompareOnce(moves, effects, others, target, random(), options, counts));
    std::fprintf(stderr, "\r%s: %lld of %lld runs the same", path.c_str(),
                 static_cast<long long>(counts->same), static_cast<long long>(counts->runs));
  }
  std::fprintf(stderr, "\n");
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  const torch::NoGradGuard no_grad;
  if (const auto device = ChooseDevice("cpu", /*threads=*/0); !device.ok()) {
    return device.status();
  }
  Counts counts;
  const int64_t each = options.runs / static_cast<int64_t>(options.checkpoints.size());
  for (const std::string& path : options.checkpoints) {
    STYLEX_RETURN_IF_ERROR(CompareCheckpoint(path, options, each, &counts));
  }
  if (counts.runs == 0) {
    return absl::InvalidArgumentError("--runs gives no run to each checkpoint");
  }
  const Interval interval = WilsonInterval(counts.same, counts.runs);
  const auto runs = static_cast<double>(counts.runs);
  std::printf(
      "the same %lld attributes in %lld of %lld runs (95 %% interval %.3f to %.3f), in the "
      "same order in %lld\n",
      static_cast<long long>(options.attributes), static_cast<long long>(counts.same),
      static_cast<long long>(counts.runs), interval.low, interval.high,
      static_cast<long long>(counts.same_order));
  std::printf(
      "mean reported confidence %.3f; %.1f times fewer classifier calls; audit: %lld pruned "
      "moves evaluated, %lld should not have been pruned\n",
      counts.confidence / runs, counts.moves / counts.calls, static_cast<long long>(counts.audited),
      static_cast<long long>(counts.audit_misses));
  if (options.json) {
    const nlohmann::json result = {{"runs", counts.runs},
                                   {"same", counts.same},
                                   {"same_order", counts.same_order},
                                   {"mean_confidence", counts.confidence / runs},
                                   {"classifier_calls_ratio", counts.moves / counts.calls}};
    std::printf("%s\n", result.dump().c_str());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  CLI::App app("counts how often the screened AttFind selects what the exhaustive one does");
  stylex::Options options;
  app.add_option("CHECKPOINT", options.checkpoints, "version folders")->required();
  app.add_option("--data", options.data, "IDX files or class folders; validation images are taken")
      ->required();
  app.add_option("--pool", options.pool, "images whose every effect is computed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--subset", options.subset, "of those, at most so many a run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--runs", options.runs, "over all checkpoints")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--attributes", options.attributes)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--explained-at", options.explained_at, "see docs/training.md; 0: plain ranking")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--deviations", options.deviations, "when a move is left out")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  app.add_flag("--json", options.json, "ends with one JSON object");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = stylex::Run(options);
  if (!status.ok()) {
    std::fprintf(stderr, "screening_agreement: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}
