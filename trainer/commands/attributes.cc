#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "explain/attribute_search.h"
#include "explain/decisions.h"
#include "explain/effects.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/encoded_images.h"
#include "trainer/data/random_order.h"
#include "trainer/study/discriminator_filter.h"
#include "trainer/training/model_card.h"
#include "trainer/training/training_loop.h"
#include "trainer/training/training_state.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr int64_t kEncodeBatch = 128;
constexpr int64_t kSaveImages = 8;  // searched between two saved states
constexpr char kStateFile[] = "attributes_state";
// Purpose of the z's of a model without an encoder, see SeedFor.
constexpr uint64_t kRangeLatents = 81;
constexpr uint64_t kSearchLatents = 82;

// Ranges over images that a model without encoder draws.
StyleRanges RangesOverSamples(const Stylex& model, int64_t count, double tails, uint64_t seed,
                              WorkDirectory* run) {
  StyleRangeAccumulator accumulator(tails);
  run->Start("style ranges", 0, count);
  for (int64_t start = 0; start < count; start += kEncodeBatch) {
    const int64_t n = std::min(kEncodeBatch, count - start);
    const uint64_t batch_seed = SeedFor(seed, static_cast<uint64_t>(start), kRangeLatents);
    accumulator.Add(SampleStyles(model, n, batch_seed).conv);
    run->Advance(start + n, "");
  }
  run->End();
  return accumulator.Finish();
}

// Ranges over the training split; range_images 0: every image. Without an encoder, over the same
// number of images that the model draws.
absl::StatusOr<StyleRanges> RangesOverTraining(const Stylex& model, const Dataset& dataset,
                                               const AttributesOptions& options, uint64_t seed,
                                               WorkDirectory* run) {
  const int64_t limit = options.range_images;
  if (!model.has_encoder()) {
    return RangesOverSamples(model, limit > 0 ? limit : dataset.size(Split::kTrain),
                             options.range_tails, seed, run);
  }
  StyleRangeAccumulator accumulator(options.range_tails);
  STYLEX_RETURN_IF_ERROR(ForEachTrainingLatent(
      model, dataset, limit, "style ranges", run,
      [&](const torch::Tensor& w) { accumulator.Add(model.Styles(w).conv); }));
  return accumulator.Finish();
}

// Training images in a random order that the seed determines, so that classes are mixed; without an
// encoder, images that the model draws.
absl::StatusOr<StyleVectors> SearchStyles(const Stylex& model, const Dataset& dataset,
                                          int64_t count, uint64_t seed, WorkDirectory* run) {
  if (!model.has_encoder()) {
    return SampleStyles(model, count, SeedFor(seed, 0, kSearchLatents));
  }
  BatchLoaderOptions loading;
  loading.batch_size = std::min(count, dataset.size(Split::kTrain));
  loading.seed = seed;
  loading.ahead = 1;
  BatchLoader loader(dataset, loading, [run](const std::string& text) { run->Warn(text); });
  STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader.Next());
  std::vector<StyleVectors> parts;
  for (const torch::Tensor& part : batch.images.split(kEncodeBatch)) {
    parts.push_back(model.StylesOfImages(part));
  }
  return StyleVectors::Concatenate(parts);
}

// The effects computed so far, saved to a file so that an interrupted run can resume.
class SearchState {
 public:
  SearchState(const Stylex& model, const StyleVectors& styles, const std::string& fingerprint) {
    const int64_t images = styles.conv.size(0), size = styles.conv.size(1);
    effects_ = {torch::zeros({images, model.num_classes()}),
                torch::zeros({images, 2, size, model.num_classes()})};
    for (torch::Tensor* tensor : {&ranges_.min, &ranges_.max, &ranges_.mean, &ranges_.std}) {
      *tensor = torch::zeros({size});
    }
    state_.tensors = {{"min", ranges_.min}, {"max", ranges_.max},    {"mean", ranges_.mean},
                      {"std", ranges_.std}, {"base", effects_.base}, {"effect", effects_.effect}};
    state_.counters = {{"range_images", 0}, {"searched", 0}};
    state_.fingerprint = fingerprint;
  }

  // Starts from scratch if the file belongs to a different search.
  absl::Status Load(WorkDirectory* run) {
    const absl::Status status = LoadTrainingState(run->Path(kStateFile), &state_);
    if (absl::IsFailedPrecondition(status)) {
      run->Warn(absl::StrCat(status.message(), "; starting over"));
      return absl::OkStatus();
    }
    ranges_.images = state_.counters["range_images"];
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }
  absl::Status Save(const WorkDirectory& run) const {
    return SaveTrainingState(state_, run.Path(kStateFile));
  }

  const StyleRanges& ranges() const { return ranges_; }
  void SetRanges(const StyleRanges& ranges) {
    ranges_.min.copy_(ranges.min);
    ranges_.max.copy_(ranges.max);
    ranges_.mean.copy_(ranges.mean);
    ranges_.std.copy_(ranges.std);
    ranges_.images = state_.counters["range_images"] = ranges.images;
  }
  const StyleEffects& effects() const { return effects_; }
  int64_t searched() const { return state_.counters.at("searched"); }
  void Add(const StyleEffects& part) {
    const int64_t length = part.base.size(0);
    effects_.base.narrow(0, searched(), length).copy_(part.base);
    effects_.effect.narrow(0, searched(), length).copy_(part.effect);
    state_.counters["searched"] += length;
  }

 private:
  StyleRanges ranges_;
  StyleEffects effects_;
  TrainingState state_;  // its tensors are the ones above
};

// Computes the effects that `state` lacks, saving the state every kSaveImages images.
absl::Status FindEffects(const Stylex& model, const StyleVectors& styles, double shift,
                         WorkDirectory* run, SearchState* state) {
  EffectOptions search;
  search.shift = shift;
  const int64_t images = styles.conv.size(0), moves = 2 * state->ranges().size();
  run->Start("attributes", state->searched() * moves, images * moves);
  while (state->searched() < images) {
    const int64_t start = state->searched();
    search.control.progress = [&](int64_t done, int64_t) {
      run->Advance(start * moves + done, "");
    };
    STYLEX_ASSIGN_OR_RETURN(
        const StyleEffects part,
        ComputeEffects(model, styles.Narrow(start, std::min(kSaveImages, images - start)),
                       state->ranges(), search));
    state->Add(part);
    STYLEX_RETURN_IF_ERROR(state->Save(*run));
  }
  run->End();
  return absl::OkStatus();
}

// Everything that the effects depend on.
std::string Fingerprint(const v1::ModelConfig& config, const CommonOptions& common,
                        const AttributesOptions& options) {
  std::string text = absl::StrCat("seed ", common.seed, " images ", options.images, " ranges ",
                                  options.range_images, " tails ", options.range_tails, " shift ",
                                  options.shift, " data ", common.data);
  for (const v1::FileHash& file : config.files()) {
    if (file.name() != kAttributesFile) {
      absl::StrAppend(&text, " ", file.ShortDebugString());
    }
  }
  return text;
}

v1::Attribute ToAttribute(const SelectedAttribute& selected, const StyleLayout& layout) {
  v1::Attribute attribute = ToAttribute(selected.coordinate, layout);
  attribute.set_mean_effect(selected.mean_effect);
  attribute.set_flip_rate(selected.flip_rate);
  return attribute;
}

// The images that are not already decided as `target`, of those that are kept, [N] bool.
torch::Tensor Others(const torch::Tensor& base, const torch::Tensor& kept, int64_t target) {
  return base.argmax(1).ne(target).logical_and(kept).nonzero().squeeze(1);
}

AttributeSearchOptions SearchOptionsOf(const AttributesOptions& options, int64_t target) {
  AttributeSearchOptions search;
  search.target = target;
  search.max_attributes = options.max_attributes;
  search.shift = options.shift;
  search.joint = options.subset;
  search.explained_at = options.explained_at;
  search.paper = options.rule == kPaperRule;
  search.threshold = options.threshold;
  return search;
}

// What all classes' searches use.
struct ClassSearch {
  const Stylex& model;
  const StyleVectors& styles;
  const StyleRanges& ranges;
  torch::Tensor base;                    // [N, K]
  torch::Tensor kept;                    // [N] bool
  Discriminator discriminator{nullptr};  // null: no coordinate is left out because of it
};

absl::StatusOr<std::vector<SelectedAttribute>> SelectFrom(const StyleEffects& effects,
                                                          const ClassSearch& of, int64_t target,
                                                          const AttributesOptions& options,
                                                          WorkDirectory* run) {
  const torch::Tensor others = Others(of.base, of.kept, target);
  const StyleEffects part{effects.base.index_select(0, others),
                          effects.effect.index_select(0, others)};
  const StyleVectors styles = of.styles.Select(others.to(of.styles.conv.device()));
  AttributeSearchOptions search = SearchOptionsOf(options, target);
  int64_t refused = 0;
  if (!of.discriminator.is_empty()) {
    search.accepts = [&](int64_t index) {
      const double change =
          GreatestScoreChange(of.model, of.discriminator, styles, of.ranges, part, target, index);
      refused += change > options.most_score_change ? 1 : 0;
      return change <= options.most_score_change;
    };
  }
  STYLEX_ASSIGN_OR_RETURN(std::vector<SelectedAttribute> selected,
                          SelectFromEffects(of.model, styles, of.ranges, part, search));
  if (refused > 0) {
    run->Note(absl::StrCat(of.model.config().labels(static_cast<int>(target)), ": ", refused,
                           " coordinates left out, which change the discriminator's score by more "
                           "than ",
                           options.most_score_change));
  }
  return selected;
}

// The images that --drop-unstable keeps, [N] bool.
torch::Tensor KeptImages(const StyleEffects& effects, const AttributesOptions& options,
                         WorkDirectory* run) {
  if (options.drop_unstable == 0) {
    return torch::ones({effects.base.size(0)}, torch::kBool);
  }
  torch::Tensor kept = StableImages(effects, options.drop_unstable);
  run->Note(absl::StrCat(kept.logical_not().sum().item<int64_t>(), " of ", kept.size(0),
                         " images left out as unstable"));
  return kept;
}

absl::StatusOr<std::vector<SelectedAttribute>> SelectScreened(const ClassSearch& of, int64_t target,
                                                              const CommonOptions& common,
                                                              const AttributesOptions& options,
                                                              WorkDirectory* run) {
  const torch::Tensor others = Others(of.base, of.kept, target).to(of.styles.conv.device());
  if (others.numel() == 0) {
    return std::vector<SelectedAttribute>{};
  }
  AttributeSearchOptions search = SearchOptionsOf(options, target);
  search.screened = true;
  search.seed = common.seed;
  const std::string label = of.model.config().labels(static_cast<int>(target));
  run->Start(absl::StrCat("attributes of ", label, ", %"), 0, 100);
  search.control.progress = [run](int64_t done, int64_t total) {  // `total` is an estimate
    run->Advance(100 * done / std::max<int64_t>(total, 1), "");
  };
  STYLEX_ASSIGN_OR_RETURN(FoundAttributes found,
                          SearchAttributes(of.model, of.styles.Select(others), of.ranges, search));
  run->End();
  STYLEX_RETURN_IF_ERROR(run->Log("screened_search", target,
                                  {{"confidence", found.confidence},
                                   {"classifier_calls", static_cast<double>(found.evaluations)},
                                   {"audited", static_cast<double>(found.audited)},
                                   {"audit_misses", static_cast<double>(found.audit_misses)}}));
  return std::move(found.attributes);
}

void DropWeak(double least_effect, std::vector<SelectedAttribute>* selected) {
  double strongest = 0;
  for (const SelectedAttribute& attribute : *selected) {
    strongest = std::max(strongest, attribute.mean_effect);
  }
  std::erase_if(*selected, [&](const SelectedAttribute& attribute) {
    return attribute.mean_effect < least_effect * strongest;
  });
}

v1::ClassAttributes ToClass(const std::vector<SelectedAttribute>& selected, int64_t target,
                            const ClassSearch& of) {
  v1::ClassAttributes result;
  result.set_class_id(static_cast<int>(target));
  result.set_images(static_cast<int>(Others(of.base, of.kept, target).size(0)));
  for (const SelectedAttribute& attribute : selected) {
    *result.add_attributes() = ToAttribute(attribute, of.model.layout());
  }
  return result;
}

// Every class's entry in the index.
absl::Status SelectAll(const CommonOptions& common, const AttributesOptions& options,
                       const StyleEffects& effects, const ClassSearch& of, WorkDirectory* run,
                       v1::AttributeIndex* index) {
  for (int64_t target = 0; target < of.model.num_classes(); ++target) {
    STYLEX_ASSIGN_OR_RETURN(std::vector<SelectedAttribute> selected,
                            options.screened ? SelectScreened(of, target, common, options, run)
                                             : SelectFrom(effects, of, target, options, run));
    DropWeak(options.least_effect, &selected);
    *index->add_classes() = ToClass(selected, target, of);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AttributesCommand(const CommonOptions& common, const AttributesOptions& options) {
  torch::NoGradGuard no_grad;
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          OpenCheckpoint(common, options.checkpoint, Encoding::kOptional));
  STYLEX_RETURN_IF_ERROR(CheckVersionCanBeUpdated(options.checkpoint));
  const Stylex& model = checkpoint.model;
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<WorkDirectory> run,
                          WorkDirectory::Open(common.work_directory, kStateFile, /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const StyleVectors styles,
                          SearchStyles(model, *dataset, options.images, common.seed, run.get()));
  SearchState state(model, styles, Fingerprint(model.config(), common, options));
  STYLEX_RETURN_IF_ERROR(state.Load(run.get()));
  if (state.ranges().images == 0) {
    STYLEX_ASSIGN_OR_RETURN(const StyleRanges over_training,
                            RangesOverTraining(model, *dataset, options, common.seed, run.get()));
    state.SetRanges(over_training);
    STYLEX_RETURN_IF_ERROR(state.Save(*run));
  }
  ClassSearch search = {model, styles, state.ranges(), {}, {}};
  if (!options.discriminator.empty()) {
    STYLEX_ASSIGN_OR_RETURN(search.discriminator,
                            LoadDiscriminator(options.discriminator, model.config()));
    search.discriminator->to(model.device());
  }
  if (options.screened) {
    search.base = LogitsOf(model, styles);
    search.kept = torch::ones({search.base.size(0)}, torch::kBool);
  } else {
    STYLEX_RETURN_IF_ERROR(FindEffects(model, styles, options.shift, run.get(), &state));
    search.base = state.effects().base;
    search.kept = KeptImages(state.effects(), options, run.get());
  }
  v1::AttributeIndex index;
  index.set_schema_version(1);
  index.set_search_images(static_cast<int>(styles.conv.size(0)));
  index.set_shift(options.shift);
  index.set_strategy(options.subset ? v1::STRATEGY_SUBSET : v1::STRATEGY_INDEPENDENT);
  RangesToIndex(search.ranges, &index);
  index.set_range_images(static_cast<int>(search.ranges.images));
  index.set_range_tails(options.range_tails);
  STYLEX_RETURN_IF_ERROR(SelectAll(common, options, state.effects(), search, run.get(), &index));
  v1::ModelConfig config = model.config();
  config.mutable_provenance()->add_commands(common.command_line);
  STYLEX_ASSIGN_OR_RETURN(const std::string json, ToJson(index));
  std::optional<v1::KnownTruth> truth = checkpoint.truth;
  if (truth && !TruthMatches(*truth, index)) {
    truth.reset();  // measured on attributes of before
  }
  STYLEX_RETURN_IF_ERROR(
      UpdateVersion(options.checkpoint, config,
                    {{kAttributesFile, json},
                     {kCardFile, RenewedModelCard(options.checkpoint, config, index, truth)}}));
  std::filesystem::remove(run->Path(kStateFile));
  std::printf("wrote %s/%s\n", options.checkpoint.c_str(), kAttributesFile);
  return absl::OkStatus();
}

}  // namespace stylex
