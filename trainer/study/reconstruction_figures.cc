#include "trainer/study/reconstruction_figures.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/gradient_candidates.h"
#include "explain/image_variants.h"
#include "explain/metrics.h"
#include "explain/reconstruction_errors.h"
#include "models/pixels.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/random_order.h"
#include "trainer/study/image_workers.h"

namespace stylex {
namespace {

constexpr int64_t kEvaluationBatch = 128;
constexpr uint64_t kRandomMoves = 31;

using Flipped = std::array<bool, kMostAttributes>;  // [k - 1]: flipped with at most k attributes

struct Ordered {
  Flipped flipped{};      // by the first 1, 2, ... moves or fewer
  bool together = false;  // by all of them at once
};

// Moves the first 1, 2, ... coordinates together and records when the target is reached.
absl::StatusOr<Ordered> FlipByOrder(const ImageVariants& variants,
                                    std::span<const Coordinate> order, int64_t target) {
  std::vector<MoveSet> prefixes;
  MoveSet moves;
  for (const Coordinate& coordinate :
       order.first(std::min(order.size(), static_cast<size_t>(kMostAttributes)))) {
    moves.push_back({coordinate, 1});
    prefixes.push_back(moves);
  }
  Ordered ordered;
  if (prefixes.empty()) {
    return ordered;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants.Logits(prefixes));
  const torch::Tensor decided = logits.argmax(1);
  bool reached = false;
  for (int64_t k = 0; k < kMostAttributes; ++k) {
    reached = reached || (k < decided.size(0) && decided[k].item<int64_t>() == target);
    ordered.flipped[static_cast<size_t>(k)] = reached;
  }
  ordered.together = decided[-1].item<int64_t>() == target;
  return ordered;
}

// Coordinates sorted by exact effect on the target's margin, strongest first.
absl::StatusOr<std::vector<Coordinate>> OrderBySingles(const ImageVariants& variants,
                                                       std::vector<Coordinate> candidates,
                                                       int64_t target) {
  if (candidates.empty()) {
    return candidates;
  }
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor logits, variants.LogitsOfSingles(candidates, 1));
  const torch::Tensor order = MarginOf(logits, target).argsort(0, /*descending=*/true);
  std::vector<Coordinate> sorted;
  for (int64_t i = 0; i < order.size(0); ++i) {
    sorted.push_back(candidates[static_cast<size_t>(order[i].item<int64_t>())]);
  }
  return sorted;
}

struct ImageOutcome {
  bool agrees = false;
  std::map<Choice, Flipped> flipped;
  bool random_together = false;
};

absl::StatusOr<ImageOutcome> EvaluateImage(const Stylex& model, const StyleRanges& ranges,
                                           const ClassLists& index, const Bitmap& bitmap,
                                           int64_t number, const FlipOptions& options) {
  const torch::Tensor x = BitmapToTensor(bitmap).to(model.device());
  const torch::Tensor original = model.Logits(x);
  const StyleVectors styles = model.Styles(model.Encode(x, original));
  const ImageVariants variants(model, ranges, styles, {.rendering = Rendering::Png()});
  const torch::Tensor base = variants.BaseLogits();
  const int64_t target = RunnerUp(base);
  ImageOutcome outcome;
  outcome.agrees = original.argmax(1).item<int64_t>() == base.argmax().item<int64_t>();
  const auto flip = [&](const std::vector<Coordinate>& order) {
    return FlipByOrder(variants, order, target);
  };
  STYLEX_ASSIGN_OR_RETURN(const Ordered by_index, flip(index[static_cast<size_t>(target)]));
  outcome.flipped[Choice::kGlobalIndex] = by_index.flipped;
  std::mt19937_64 random(SeedFor(options.seed, static_cast<uint64_t>(number), kRandomMoves));
  STYLEX_ASSIGN_OR_RETURN(const Ordered by_chance,
                          flip(RandomCoordinates(ranges.size(), kMostAttributes, &random)));
  outcome.flipped[Choice::kRandom] = by_chance.flipped;
  outcome.random_together = by_chance.together;
  STYLEX_ASSIGN_OR_RETURN(
      const std::vector<Coordinate> strongest,
      OrderBySingles(variants,
                     GradientCandidates(model, styles, ranges, target, 1, options.candidates),
                     target));
  STYLEX_ASSIGN_OR_RETURN(const Ordered by_strength, flip(strongest));
  outcome.flipped[Choice::kStrongestSingles] = by_strength.flipped;
  STYLEX_ASSIGN_OR_RETURN(const CounterfactualResult found,
                          SearchJointly(model, styles, ranges, index, target, options));
  Flipped& joint = outcome.flipped[Choice::kJoint];
  joint.fill(false);
  if (found.outcome == CounterfactualOutcome::kFlipped) {
    std::fill(joint.begin() + static_cast<int64_t>(found.applied.size()) - 1, joint.end(), true);
  }
  return outcome;
}

void Count(const ImageOutcome& outcome, FlipFigures* figures) {
  ++figures->images;
  figures->agreeing += outcome.agrees ? 1 : 0;
  figures->random_together += outcome.random_together ? 1 : 0;
  for (const auto& [choice, flipped] : outcome.flipped) {
    for (size_t k = 0; k < flipped.size(); ++k) {
      figures->flips[choice][k] += flipped[k] ? 1 : 0;
      figures->agreeing_flips[choice][k] += flipped[k] && outcome.agrees ? 1 : 0;
    }
  }
}

}  // namespace

std::vector<Coordinate> RandomCoordinates(int64_t num_styles, int64_t count,
                                          std::mt19937_64* random) {
  std::set<int64_t> chosen;
  std::vector<Coordinate> coordinates;
  while (static_cast<int64_t>(coordinates.size()) < std::min(count, num_styles)) {
    const int64_t index = static_cast<int64_t>((*random)() % static_cast<uint64_t>(num_styles));
    if (chosen.insert(index).second) {
      coordinates.push_back({index, static_cast<int>((*random)() % 2)});
    }
  }
  return coordinates;
}

std::string NameOf(Choice choice) {
  switch (choice) {
    case Choice::kGlobalIndex:
      return "index";
    case Choice::kStrongestSingles:
      return "singles";
    case Choice::kJoint:
      return "joint";
    case Choice::kRandom:
      return "random";
  }
  return "";
}

namespace {

// Columns of ReconstructionFigures::OfEachImage, a batch at a time.
struct EachImage {
  std::vector<torch::Tensor> psnr, ssim;
  std::vector<torch::Tensor> gradient, drawn_gradient, parts, drawn_parts, found_parts;

  void Add(const torch::Tensor& photographs, const torch::Tensor& drawn) {
    psnr.push_back(PsnrPerImage(photographs, drawn).cpu());
    ssim.push_back(SsimPerImage(photographs, drawn).cpu());
    gradient.push_back(GradientPerImage(photographs).cpu());
    drawn_gradient.push_back(GradientPerImage(drawn).cpu());
    const SmallParts original = FindSmallParts(photographs);
    const SmallParts reconstructed = FindSmallParts(drawn);
    parts.push_back(original.AreaPerImage().cpu());
    drawn_parts.push_back(reconstructed.AreaPerImage().cpu());
    found_parts.push_back(FoundAreaPerImage(original, reconstructed).cpu());
  }

  ReconstructionFigures::OfEachImage Together() const {
    return {torch::cat(psnr),           torch::cat(ssim),  torch::cat(gradient),
            torch::cat(drawn_gradient), torch::cat(parts), torch::cat(drawn_parts),
            torch::cat(found_parts)};
  }
};

void WriteDetail(const ReconstructionFigures::OfEachImage& each, ReconstructionFigures* figures) {
  const auto share = [](const torch::Tensor& of, const torch::Tensor& all) {
    const double whole = all.sum(torch::kFloat64).item<double>();
    return whole > 0 ? of.sum(torch::kFloat64).item<double>() / whole : 0;
  };
  figures->psnr = each.psnr.mean(torch::kFloat64).item<double>();
  figures->ssim = each.ssim.mean(torch::kFloat64).item<double>();
  figures->sharpness = share(each.drawn_gradient, each.gradient);
  figures->small_parts = share(each.drawn_parts, each.parts);
  figures->small_parts_found = share(each.found_parts, each.parts);
}

// Does nothing where images have no labels and `classes` is empty.
void CountByClass(const torch::Tensor& labels, const torch::Tensor& decided,
                  const torch::Tensor& decided_of_drawn,
                  std::vector<ReconstructionFigures::OfClass>* classes) {
  for (size_t k = 0; k < classes->size(); ++k) {
    const torch::Tensor of_class = labels.eq(static_cast<int64_t>(k));
    const auto count = [&of_class](const torch::Tensor& mask) {
      return mask.logical_and(of_class).sum().item<int64_t>();
    };
    (*classes)[k].images += of_class.sum().item<int64_t>();
    (*classes)[k].correct += count(decided.eq(labels));
    (*classes)[k].agreeing += count(decided.eq(decided_of_drawn));
  }
}

}  // namespace

absl::StatusOr<ReconstructionFigures> EvaluateReconstruction(const Stylex& model,
                                                             const Dataset& dataset,
                                                             Progress* progress) {
  torch::NoGradGuard no_grad;
  ReconstructionFigures figures;
  EachImage each;
  std::vector<torch::Tensor> kl, l1, all_logits, all_labels;
  figures.classes.resize(dataset.labelled() ? static_cast<size_t>(model.num_classes()) : 0);
  progress->Start("reconstruction", 0, dataset.size(Split::kValidation));
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kValidation, kEvaluationBatch, 0,
      [progress](const std::string& text) { progress->Warn(text); },
      [&](const Batch& batch) {
        const torch::Tensor x = batch.images.to(model.device());
        const torch::Tensor logits = model.Logits(x);
        const torch::Tensor drawn = model.Synthesize(model.Styles(model.Encode(x, logits)));
        const torch::Tensor drawn_logits = model.Logits(drawn);
        const torch::Tensor decided = logits.argmax(1);
        figures.images += x.size(0);
        figures.agreeing += decided.eq(drawn_logits.argmax(1)).sum().item<int64_t>();
        CountByClass(batch.labels, decided.cpu(), drawn_logits.argmax(1).cpu(), &figures.classes);
        kl.push_back(KlPerImage(logits, drawn_logits).cpu());
        l1.push_back(L1PerImage(x, drawn).cpu());
        all_logits.push_back(logits.cpu());
        all_labels.push_back(batch.labels);
        figures.l1 += l1.back().sum().item<double>();
        each.Add(x, drawn);
        progress->Advance(figures.images, "");
        return absl::OkStatus();
      }));
  progress->End();
  const double n = static_cast<double>(figures.images);
  figures.l1 /= n;
  figures.each = each.Together();
  WriteDetail(figures.each, &figures);
  if (dataset.labelled()) {
    int64_t correct = 0, commonest = 0;
    for (const ReconstructionFigures::OfClass& of_class : figures.classes) {
      correct += of_class.correct;
      commonest = std::max(commonest, of_class.images);
    }
    figures.classifier_accuracy = static_cast<double>(correct) / n;
    figures.constant_accuracy = static_cast<double>(commonest) / n;
  }
  figures.median_kl = torch::cat(kl).median().item<double>();
  figures.logits = torch::cat(all_logits);
  const torch::Tensor decisions = figures.logits.argmax(1).bincount({}, model.num_classes());
  figures.commonest_decision = decisions.argmax().item<int64_t>();
  figures.commonest_share = decisions.max().item<double>() / n;
  figures.labels = torch::cat(all_labels);
  figures.errors = DistributionOf(torch::cat(l1), figures.each.ssim, torch::cat(kl));
  return figures;
}

bool NothingToExplain(const ReconstructionFigures& figures) {
  if (!figures.classifier_accuracy || !figures.constant_accuracy) {
    const int64_t commonest =
        std::llround(figures.commonest_share * static_cast<double>(figures.images));
    return WilsonInterval(figures.images - commonest, figures.images).low <= kFewDecisions;
  }
  const int64_t correct =
      std::llround(*figures.classifier_accuracy * static_cast<double>(figures.images));
  return WilsonInterval(correct, figures.images).low <= *figures.constant_accuracy;
}

absl::StatusOr<CounterfactualResult> SearchJointly(const Stylex& model, const StyleVectors& styles,
                                                   const StyleRanges& ranges,
                                                   const ClassLists& index, int64_t target,
                                                   const FlipOptions& options) {
  CounterfactualOptions search;
  search.target = target;
  search.max_attributes = kMostAttributes;
  search.minimal = false;
  search.shortlist = options.joint_candidates;
  search.favourites = index[static_cast<size_t>(target)];
  search.beam = options.beam;
  search.rendering = Rendering::Png();
  return FindCounterfactual(model, styles, ranges, AllMoves(ranges.size()), search);
}

absl::StatusOr<FlipFigures> EvaluateFlips(const Checkpoint& checkpoint, const Dataset& dataset,
                                          const FlipOptions& options, Progress* progress) {
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const Stylex& model = checkpoint.model;
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  const ClassLists index = IndexLists(*checkpoint.attributes, model.num_classes());
  const std::vector<int64_t> order =
      DrawnIndices(dataset.size(Split::kValidation), options.seed, options.images);
  Mutex mutex;
  FlipFigures figures;
  STYLEX_RETURN_IF_ERROR(OnEachImage(
      dataset, Split::kValidation, order, options.workers, "flips", progress,
      [&](const Bitmap& bitmap, size_t i) -> absl::Status {
        STYLEX_ASSIGN_OR_RETURN(const ImageOutcome outcome,
                                EvaluateImage(model, ranges, index, bitmap, order[i], options));
        MutexLock lock(&mutex);
        Count(outcome, &figures);
        return absl::OkStatus();
      }));
  return figures;
}

}  // namespace stylex
