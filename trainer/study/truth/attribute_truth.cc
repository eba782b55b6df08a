#include "trainer/study/truth/attribute_truth.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/metrics.h"
#include "explain/side_by_side.h"
#include "models/pixels.h"
#include "trainer/data/encoded_images.h"

namespace stylex {
namespace {

using Readings = std::vector<KnownWorld::Reading>;

torch::Tensor ClassifyAll(const Stylex& model, const std::vector<Bitmap>& bitmaps) {
  std::vector<torch::Tensor> logits;
  for (size_t start = 0; start < bitmaps.size(); start += kDrawBatch) {
    const size_t length = std::min(static_cast<size_t>(kDrawBatch), bitmaps.size() - start);
    logits.push_back(
        model.Logits(BitmapsToTensor(std::span(bitmaps).subspan(start, length)).to(model.device()))
            .to(torch::kCPU));
  }
  return torch::cat(logits);
}

// guesses[i] belongs to bitmaps[i].
absl::StatusOr<Readings> ReadAll(const KnownWorld& world, const std::vector<Bitmap>& bitmaps,
                                 const std::vector<std::vector<double>>& guesses) {
  Readings readings(bitmaps.size());
  STYLEX_RETURN_IF_ERROR(SideBySide(static_cast<int64_t>(bitmaps.size()), /*parallel=*/true, {},
                                    [&](int64_t i, const GiveWay&) {
                                      const size_t n = static_cast<size_t>(i);
                                      readings[n] = world.Read(bitmaps[n], guesses[n]);
                                      return absl::OkStatus();
                                    }));
  return readings;
}

struct Measurement {
  const Checkpoint& checkpoint;
  const KnownWorld& world;
  const EncodedImages& images;
  StyleRanges ranges;
  const std::vector<Bitmap>& reconstructions;
  torch::Tensor decided;  // [N], of the reconstructions
  Readings readings;      // of the reconstructions

  std::vector<int64_t> NotDecidedAs(int64_t target) const {
    std::vector<int64_t> others;
    for (int64_t n = 0; n < decided.size(0); ++n) {
      if (decided[n].item<int64_t>() != target) {
        others.push_back(n);
      }
    }
    return others;
  }

  // The share of the change of the target's logit from `before` to `after` that is undone when the
  // factor is reset; none if it cannot be reset.
  std::optional<double> ShareOfEffect(const std::vector<Bitmap>& before,
                                      const std::vector<Bitmap>& after, size_t factor,
                                      int64_t target) const {
    std::vector<Bitmap> undone;
    for (size_t i = 0; i < after.size(); ++i) {
      std::optional<Bitmap> bitmap = world.Undo(before[i], after[i], factor);
      if (!bitmap) {
        return std::nullopt;
      }
      undone.push_back(*std::move(bitmap));
    }
    const auto logit = [&](const std::vector<Bitmap>& bitmaps) {
      return ClassifyAll(checkpoint.model, bitmaps).select(1, target).mean().item<double>();
    };
    const double moved = logit(after);
    const double effect = moved - logit(before);
    return effect > 0 ? std::clamp((moved - logit(undone)) / effect, 0.0, 1.0) : 0;
  }

  absl::StatusOr<AttributeTruth> Measure(const v1::Attribute& attribute,
                                         const std::vector<int64_t>& others, int64_t target) const {
    AttributeTruth truth;
    truth.coordinate = ToCoordinate(attribute);
    truth.mean_effect = attribute.mean_effect();
    truth.images = static_cast<int64_t>(others.size());
    const size_t count = world.factors().size();
    truth.change.assign(count, 0);
    truth.mean_change.assign(count, 0);
    const Move move{truth.coordinate, 1};
    const StyleVectors before =
        images.styles.Select(torch::tensor(others).to(images.styles.conv.device()));
    std::vector<std::vector<double>> guesses;
    std::vector<Bitmap> drawn_before;
    for (const int64_t n : others) {
      guesses.push_back(readings[static_cast<size_t>(n)].values);
      drawn_before.push_back(reconstructions[static_cast<size_t>(n)]);
    }
    const std::vector<Bitmap> drawn_after =
        DrawAll(checkpoint.model, ApplyMoves(before, ranges, {&move, 1}));
    STYLEX_ASSIGN_OR_RETURN(const Readings after, ReadAll(world, drawn_after, guesses));
    for (size_t i = 0; i < after.size(); ++i) {
      for (size_t j = 0; j < count; ++j) {
        const double change = (after[i].values[j] - guesses[i][j]) / world.factors()[j].deviation /
                              static_cast<double>(after.size());
        truth.change[j] += std::abs(change);
        truth.mean_change[j] += change;
      }
    }
    const auto most = std::max_element(truth.change.begin(), truth.change.end());
    const double all = std::accumulate(truth.change.begin(), truth.change.end(), 0.0);
    truth.factor = static_cast<size_t>(most - truth.change.begin());
    truth.purity = ShareOfEffect(drawn_before, drawn_after, truth.factor, target)
                       .value_or(all > 0 ? *most / all : 0);
    truth.found = *most >= kLeastChange && truth.purity >= kLeastPurity;
    return truth;
  }
};

// Every factor's effect on every class.
absl::Status MeasureEffects(const Stylex& model, const KnownWorld& world,
                            const std::vector<Bitmap>& photographs,
                            const std::vector<std::vector<double>>& values,
                            std::vector<ClassTruth>* classes) {
  for (size_t j = 0; j < world.factors().size(); ++j) {
    std::vector<Bitmap> low, high;
    for (size_t n = 0; n < photographs.size(); ++n) {
      low.push_back(world.Intervene(photographs[n], values[n], j, world.factors()[j].low));
      high.push_back(world.Intervene(photographs[n], values[n], j, world.factors()[j].high));
    }
    const torch::Tensor change =
        (ClassifyAll(model, high) - ClassifyAll(model, low)).to(torch::kFloat64);  // [N, K]
    for (size_t k = 0; k < classes->size(); ++k) {
      const torch::Tensor of_class = change.select(1, static_cast<int64_t>(k));
      (*classes)[k].effect.push_back(of_class.abs().mean().item<double>());
      (*classes)[k].mean_effect.push_back(of_class.mean().item<double>());
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFit(const Checkpoint& checkpoint, const KnownWorld& world) {
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const v1::ModelConfig& model = checkpoint.model.config();
  if (model.resolution() != world.resolution() || model.image_channels() != world.channels() ||
      model.labels_size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the model is for ", model.labels_size(), " classes of ", model.resolution(), "x",
        model.resolution(), "x", model.image_channels(), " images, the world has 2 classes of ",
        world.resolution(), "x", world.resolution(), "x", world.channels()));
  }
  return absl::OkStatus();
}

struct Photographs {
  std::vector<Bitmap> bitmaps;
  std::vector<std::vector<double>> values;
};

absl::StatusOr<Photographs> LoadPhotographs(const KnownWorld& world, const Dataset& dataset,
                                            const torch::Tensor& indices) {
  Photographs photographs;
  for (int64_t n = 0; n < indices.size(0); ++n) {
    const int64_t index = indices[n].item<int64_t>();
    STYLEX_ASSIGN_OR_RETURN(Bitmap bitmap, dataset.Load(Split::kValidation, index));
    STYLEX_ASSIGN_OR_RETURN(std::vector<double> values,
                            world.ValuesOf(dataset.name(Split::kValidation, index)));
    photographs.bitmaps.push_back(std::move(bitmap));
    photographs.values.push_back(std::move(values));
  }
  return photographs;
}

void AddReadingErrors(const KnownWorld& world, const Readings& readings,
                      const std::vector<std::vector<double>>& values, TruthFigures* figures) {
  figures->reading_error.assign(world.factors().size(), 0);
  const double n = static_cast<double>(readings.size());
  for (size_t i = 0; i < readings.size(); ++i) {
    for (size_t j = 0; j < figures->reading_error.size(); ++j) {
      figures->reading_error[j] +=
          std::abs(readings[i].values[j] - values[i][j]) / world.factors()[j].deviation / n;
    }
    figures->residual += readings[i].residual / n;
  }
}

v1::TruthFinding ToProto(Finding finding) {
  switch (finding) {
    case Finding::kTrue:
      return v1::TRUTH_FINDING_TRUE;
    case Finding::kFalse:
      return v1::TRUTH_FINDING_FALSE;
    case Finding::kUnclear:
      return v1::TRUTH_FINDING_UNCLEAR;
  }
  return v1::TRUTH_FINDING_UNSPECIFIED;
}

v1::ClassTruth ToProto(const ClassTruth& truth, int32_t class_id, const KnownWorld& world) {
  v1::ClassTruth out;
  out.set_class_id(class_id);
  for (size_t j = 0; j < world.factors().size(); ++j) {
    v1::FactorEffect* effect = out.add_factors();
    effect->set_effect(truth.effect[j]);
    effect->set_mean_effect(truth.mean_effect[j]);
    effect->set_attributed(truth.attributed[j]);
  }
  const std::vector<int> signs = world.signs();
  for (const AttributeTruth& attribute : truth.attributes) {
    v1::AttributeTruth* measured = out.add_attributes();
    measured->set_index(static_cast<int32_t>(attribute.coordinate.index));
    measured->set_direction(attribute.coordinate.direction == 0 ? v1::DIRECTION_TO_MIN
                                                                : v1::DIRECTION_TO_MAX);
    measured->set_factor(world.factors()[attribute.factor].name);
    measured->set_change(attribute.mean_change[attribute.factor]);
    measured->set_purity(attribute.purity);
    measured->set_finding(ToProto(FindingOf(attribute, signs)));
  }
  if (truth.recall) {
    out.set_recall(*truth.recall);
  }
  out.set_precision(truth.precision);
  out.set_false_discoveries(truth.false_discoveries);
  if (truth.sign_accuracy) {
    out.set_sign_accuracy(*truth.sign_accuracy);
  }
  if (truth.rank_correlation) {
    out.set_rank_correlation(*truth.rank_correlation);
  }
  return out;
}

}  // namespace

Finding FindingOf(const AttributeTruth& attribute, const std::vector<int>& signs) {
  if (!attribute.found) {
    return Finding::kUnclear;
  }
  return signs[attribute.factor] != 0 ? Finding::kTrue : Finding::kFalse;
}

void SummarizeClass(const std::vector<int>& signs, ClassTruth* truth) {
  const int direction = truth->class_id == 1 ? 1 : -1;  // signs are for class 1
  std::set<size_t> found;
  int64_t right = 0, wrong = 0, right_way = 0;
  truth->attributed.assign(signs.size(), 0);
  truth->duplicates = 0;
  for (const AttributeTruth& attribute : truth->attributes) {
    if (!attribute.found) {
      continue;
    }
    truth->duplicates += found.insert(attribute.factor).second ? 0 : 1;
    truth->attributed[attribute.factor] += attribute.mean_effect;
    if (FindingOf(attribute, signs) == Finding::kFalse) {
      ++wrong;
      continue;
    }
    ++right;
    right_way += attribute.mean_change[attribute.factor] * signs[attribute.factor] * direction > 0;
  }
  int64_t in_rule = 0, found_in_rule = 0;
  for (size_t j = 0; j < signs.size(); ++j) {
    in_rule += signs[j] != 0 ? 1 : 0;
    found_in_rule += signs[j] != 0 && found.contains(j) ? 1 : 0;
  }
  const auto share = [](int64_t part, int64_t of) {
    return of == 0 ? std::optional<double>() : static_cast<double>(part) / static_cast<double>(of);
  };
  const int64_t all = static_cast<int64_t>(truth->attributes.size());
  truth->recall = share(found_in_rule, in_rule);
  truth->precision = share(right, all).value_or(0);
  truth->false_discoveries = share(wrong, all).value_or(0);
  truth->sign_accuracy = share(right_way, right);
  truth->rank_correlation = Spearman(truth->effect, truth->attributed);
}

absl::StatusOr<TruthFigures> MeasureTruth(const Checkpoint& checkpoint, const KnownWorld& world,
                                          const Dataset& dataset, const TruthOptions& options,
                                          Progress* progress) {
  torch::NoGradGuard no_grad;
  STYLEX_RETURN_IF_ERROR(CheckFit(checkpoint, world));
  const Stylex& model = checkpoint.model;
  STYLEX_ASSIGN_OR_RETURN(
      const EncodedImages images,
      EncodeImages(model, dataset, Split::kValidation, options.images, options.seed, progress));
  STYLEX_ASSIGN_OR_RETURN(const Photographs photographs,
                          LoadPhotographs(world, dataset, images.indices));
  TruthFigures figures;
  figures.images = images.indices.size(0);
  figures.accuracy =
      images.logits.argmax(1).eq(images.labels).to(torch::kFloat64).mean().item<double>();
  const std::vector<Bitmap> reconstructions = DrawAll(model, images.styles);
  STYLEX_ASSIGN_OR_RETURN(Readings readings, ReadAll(world, reconstructions, photographs.values));
  AddReadingErrors(world, readings, photographs.values, &figures);
  const Measurement measurement{checkpoint,
                                world,
                                images,
                                RangesFromIndex(*checkpoint.attributes),
                                reconstructions,
                                ClassifyAll(model, reconstructions).argmax(1),
                                std::move(readings)};
  const std::vector<int> signs = world.signs();
  figures.classes.resize(static_cast<size_t>(model.num_classes()));
  STYLEX_RETURN_IF_ERROR(
      MeasureEffects(model, world, photographs.bitmaps, photographs.values, &figures.classes));
  int64_t done = 0;
  progress->Start("attributes", 0, options.top * model.num_classes());
  for (const v1::ClassAttributes& of_class : checkpoint.attributes->classes()) {
    ClassTruth& truth = figures.classes[static_cast<size_t>(of_class.class_id())];
    truth.class_id = of_class.class_id();
    const std::vector<int64_t> others = measurement.NotDecidedAs(truth.class_id);
    for (const v1::Attribute& attribute : of_class.attributes()) {
      if (others.empty() || static_cast<int64_t>(truth.attributes.size()) == options.top) {
        break;
      }
      STYLEX_ASSIGN_OR_RETURN(truth.attributes.emplace_back(),
                              measurement.Measure(attribute, others, truth.class_id));
      progress->Advance(++done, "");
    }
    SummarizeClass(signs, &truth);
  }
  progress->End();
  return figures;
}

v1::KnownTruth ToKnownTruth(const TruthFigures& figures, const KnownWorld& world) {
  v1::KnownTruth out;
  out.set_schema_version(kKnownTruthSchemaVersion);
  out.set_images(figures.images);
  out.set_accuracy(figures.accuracy);
  for (size_t j = 0; j < world.factors().size(); ++j) {
    v1::KnownFactor* factor = out.add_factors();
    factor->set_name(world.factors()[j].name);
    factor->set_sign(world.factors()[j].sign);
    factor->set_reading_error(figures.reading_error[j]);
  }
  for (size_t k = 0; k < figures.classes.size(); ++k) {
    if (!figures.classes[k].attributes.empty()) {
      *out.add_classes() = ToProto(figures.classes[k], static_cast<int32_t>(k), world);
    }
  }
  return out;
}

}  // namespace stylex
