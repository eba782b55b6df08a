#include "trainer/study/flip_protocols.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "trainer/data/encoded_images.h"
#include "trainer/data/random_order.h"
#include "trainer/study/image_workers.h"

namespace stylex {
namespace {

constexpr uint64_t kPopulation = 61;
constexpr uint64_t kRepeat = 62;
constexpr uint64_t kRandomLists = 63;
constexpr uint64_t kNoiseSeeds = 64;

// How images are synthesized before they are classified.
enum class Drawing { kFixedClamped, kRandomClamped, kRandomUnclamped };

// [N, K] on the CPU.
torch::Tensor LogitsOf(const Stylex& model, const StyleVectors& styles, Drawing drawing) {
  std::vector<torch::Tensor> logits;
  for (int64_t start = 0; start < styles.conv.size(0); start += kDrawBatch) {
    const StyleVectors part =
        styles.Narrow(start, std::min(kDrawBatch, styles.conv.size(0) - start));
    torch::Tensor images;
    if (drawing == Drawing::kFixedClamped) {
      images = Rendering::Png().Apply(model.Synthesize(part));
    } else {
      Generator generator = model.networks().generator;
      images = generator->synthesize(part, Noise::kRandom);
      images = drawing == Drawing::kRandomClamped ? images.clamp(-1, 1) : images;
    }
    logits.push_back(model.Logits(images).to(torch::kCPU));
  }
  return torch::cat(logits);
}

// Decisions of the explained classifier, followed by those of each oracle, on the images of
// held-out styles: [N] each, on the CPU.
std::vector<torch::Tensor> DecisionsOf(const Stylex& model, const std::vector<Oracle>& oracles,
                                       const StyleVectors& styles) {
  std::vector<std::vector<torch::Tensor>> parts(oracles.size() + 1);
  for (int64_t start = 0; start < styles.conv.size(0); start += kDrawBatch) {
    const torch::Tensor images = Rendering::Png().Apply(
        model.Synthesize(styles.Narrow(start, std::min(kDrawBatch, styles.conv.size(0) - start))));
    parts[0].push_back(model.Logits(images).argmax(1).to(torch::kCPU));
    for (size_t o = 0; o < oracles.size(); ++o) {
      parts[o + 1].push_back(oracles[o].classifier->Logits(images).argmax(1).to(torch::kCPU));
    }
  }
  std::vector<torch::Tensor> decisions;
  for (const std::vector<torch::Tensor>& of_one : parts) {
    decisions.push_back(torch::cat(of_one));
  }
  return decisions;
}

// Counts flips of `decisions`, see DecisionsOf, to `targets` with the first kCounts[i] moved.
void CountFlips(const std::vector<torch::Tensor>& decisions, const torch::Tensor& targets,
                Method method, size_t i, HeldOutFigures* figures) {
  const torch::Tensor flipped = decisions[0].eq(targets);
  figures->flips[method][i] += flipped.sum().item<int64_t>();
  for (size_t o = 0; o < figures->oracles.size(); ++o) {
    figures->oracles[o].convinced[method][i] +=
        flipped.logical_and(decisions[o + 1].eq(targets)).sum().item<int64_t>();
  }
}

// The first `count` of each image's list set to their extremes.
StyleVectors Moved(const StyleVectors& styles, const StyleRanges& ranges,
                   const std::vector<const std::vector<Coordinate>*>& lists, int64_t count) {
  torch::Tensor conv = styles.conv.to(torch::kCPU).clone();
  auto values = conv.accessor<float, 2>();
  for (size_t n = 0; n < lists.size(); ++n) {
    const std::vector<Coordinate>& list = *lists[n];
    for (size_t i = 0; i < list.size() && static_cast<int64_t>(i) < count; ++i) {
      values[static_cast<int64_t>(n)][list[i].index] = ranges.Extreme(list[i]);
    }
  }
  return {conv.to(styles.conv.device()), styles.rgb};
}

std::vector<Coordinate> RandomList(int64_t size, uint64_t seed) {
  std::vector<Coordinate> list;
  for (const int64_t index : EpochOrder(size, seed, /*epoch=*/0)) {
    if (static_cast<int64_t>(list.size()) == kMovedAtOnce) {
      break;
    }
    const int direction = static_cast<int>(SeedFor(seed, static_cast<uint64_t>(index), 0) % 2);
    list.push_back({index, direction});
  }
  return list;
}

std::vector<Coordinate> TurnedRoundList(std::vector<Coordinate> list) {
  for (Coordinate& coordinate : list) {
    coordinate.direction = 1 - coordinate.direction;
  }
  return list;
}

struct Lists {
  ClassLists nothing, exemplars, attfind;
  std::vector<std::vector<Coordinate>> random;  // per image
  Doubts doubts;
};

std::vector<const std::vector<Coordinate>*> ListsOfImages(const Lists& lists, Method method,
                                                          const torch::Tensor& targets) {
  std::vector<const std::vector<Coordinate>*> result;
  for (int64_t n = 0; n < targets.size(0); ++n) {
    const size_t target = static_cast<size_t>(targets[n].item<int64_t>());
    switch (method) {
      case Method::kNothing:
        result.push_back(&lists.nothing[target]);
        break;
      case Method::kRandom:
        result.push_back(&lists.random[static_cast<size_t>(n)]);
        break;
      case Method::kExemplars:
        result.push_back(&lists.exemplars[target]);
        break;
      case Method::kAttFind:
        result.push_back(&lists.attfind[target]);
        break;
      case Method::kJoint:
        break;  // has no list
    }
  }
  return result;
}

void MakeRandomLists(int64_t images, int64_t size, uint64_t seed, Lists* lists) {
  lists->random.clear();
  for (int64_t n = 0; n < images; ++n) {
    lists->random.push_back(
        RandomList(size, SeedFor(seed, static_cast<uint64_t>(n), kRandomLists)));
  }
}

absl::StatusOr<std::vector<Coordinate>> ExemplarList(const torch::Tensor& styles,
                                                     const torch::Tensor& logits, int64_t target,
                                                     ExemplarOptions options) {
  options.max_attributes = kMovedAtOnce;
  STYLEX_ASSIGN_OR_RETURN(const std::vector<ExemplarAttribute> attributes,
                          ExemplarAttributes(styles, logits, target, options));
  std::vector<Coordinate> list;
  for (const ExemplarAttribute& attribute : attributes) {
    list.push_back(attribute.coordinate);
  }
  return list;
}

std::vector<int64_t> AllClasses(int64_t count) {
  std::vector<int64_t> classes(static_cast<size_t>(count));
  std::iota(classes.begin(), classes.end(), 0);
  return classes;
}

// One list for each of `classes`. The list of a class without exemplars is empty, with a warning
// and a doubt.
ClassLists ExemplarLists(const torch::Tensor& styles, const torch::Tensor& logits,
                         const std::vector<int64_t>& classes, const ExemplarOptions& options,
                         Progress* progress, Doubts* doubts) {
  ClassLists lists;
  for (const int64_t k : classes) {
    absl::StatusOr<std::vector<Coordinate>> list = ExemplarList(styles, logits, k, options);
    if (!list.ok()) {
      const std::string why =
          absl::StrCat("Wu et al.: ", list.status().message(), "; nothing is moved for it");
      progress->Warn(why);
      (*doubts)[Method::kExemplars].push_back(why);
    }
    lists.push_back(list.value_or(std::vector<Coordinate>()));
  }
  return lists;
}

// Classes of the index without attributes, and why. `joined`: both classes have one list.
void DoubtEmptyLists(const v1::AttributeIndex& index, const v1::ModelConfig& model, bool joined,
                     Doubts* doubts) {
  for (int k = 0; k < model.labels_size(); ++k) {
    const auto entry = std::find_if(index.classes().begin(), index.classes().end(),
                                    [k](const auto& of) { return of.class_id() == k; });
    if (entry != index.classes().end() && !entry->attributes().empty()) {
      continue;
    }
    const bool searched = entry != index.classes().end() && entry->images() > 0;
    (*doubts)[Method::kAttFind].push_back(absl::StrCat(
        "AttFind: ", searched ? "no coordinate raises" : "no image was decided otherwise than",
        " \"", model.labels(k), "\" in the search, so that class has no attributes; ",
        joined ? "the list is the other class's alone" : "nothing is moved for it"));
  }
}

// Repeats that cannot differ in their images.
void DoubtRepeats(const Dataset& dataset, const ProtocolOptions& options, Doubts* doubts) {
  const int64_t size = dataset.size(Split::kTrain);
  if (options.repeats < 2 || size > options.images) {
    return;
  }
  for (const Method method : kListMethods) {
    (*doubts)[method].push_back(absl::StrCat(
        "the training split has ", size, " images and a repeat ", options.images,
        ": all repeats have the same images, and the spread is that of the noise alone"));
  }
}

// kJoint: the search on each image, towards its target.
absl::Status SearchEach(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                        const ClassLists& index, const torch::Tensor& targets,
                        const std::vector<Oracle>& oracles, const FlipOptions& options,
                        Progress* progress, HeldOutFigures* figures) {
  Mutex mutex;
  figures->flips[Method::kJoint].fill(0);
  for (HeldOutOracle& oracle : figures->oracles) {
    oracle.convinced[Method::kJoint].fill(0);
  }
  return OnEach(
      figures->images, options.workers, "joint search", progress, [&](int64_t n) -> absl::Status {
        const StyleVectors of_image = styles.Narrow(n, 1);
        STYLEX_ASSIGN_OR_RETURN(
            const CounterfactualResult found,
            SearchJointly(model, of_image, ranges, index, targets[n].item<int64_t>(), options));
        if (found.outcome != CounterfactualOutcome::kFlipped) {
          return absl::OkStatus();
        }
        std::vector<Move> moves;
        for (const AppliedMove& applied : found.applied) {
          moves.push_back(applied.move);
        }
        const std::vector<torch::Tensor> decisions =
            DecisionsOf(model, oracles, ApplyMoves(of_image, ranges, moves));
        MutexLock lock(&mutex);
        for (size_t i = 0; i < kCounts.size(); ++i) {
          if (static_cast<int64_t>(moves.size()) <= kCounts[i]) {
            CountFlips(decisions, targets.narrow(0, n, 1), Method::kJoint, i, figures);
          }
        }
        return absl::OkStatus();
      });
}

void Finish(RepeatedRate* rate) {
  const double n = static_cast<double>(rate->rates.size());
  double sum = 0, squares = 0;
  for (const double value : rate->rates) {
    sum += value;
  }
  rate->mean = sum / n;
  for (const double value : rate->rates) {
    squares += (value - rate->mean) * (value - rate->mean);
  }
  rate->deviation = std::sqrt(squares / n);
}

}  // namespace

std::string NameOf(Method method) {
  switch (method) {
    case Method::kNothing:
      return "nothing";
    case Method::kRandom:
      return "random";
    case Method::kExemplars:
      return "wu";
    case Method::kAttFind:
      return "attfind";
    case Method::kJoint:
      return "joint";
  }
  return "";
}

std::string TitleOf(Method method) {
  switch (method) {
    case Method::kNothing:
      return "nothing moved";
    case Method::kRandom:
      return "random coordinates";
    case Method::kExemplars:
      return "Wu et al.";
    case Method::kAttFind:
      return "AttFind";
    case Method::kJoint:
      return "chosen for the image";
  }
  return "";
}

ClassLists TurnedRound(const std::vector<Coordinate>& towards_first) {
  return {towards_first, TurnedRoundList(towards_first)};
}

ClassLists JoinedLists(const v1::AttributeIndex& index) {
  struct Entry {
    double effect;
    Coordinate coordinate;
  };
  std::vector<Entry> entries;
  std::set<int64_t> of_first;
  for (const int class_id : {0, 1}) {
    for (const v1::ClassAttributes& of_class : index.classes()) {
      if (of_class.class_id() != class_id) {
        continue;
      }
      for (const v1::Attribute& attribute : of_class.attributes()) {
        Coordinate coordinate = ToCoordinate(attribute);
        if (class_id == 0) {
          of_first.insert(coordinate.index);
        } else if (of_first.contains(coordinate.index)) {
          continue;
        } else {
          coordinate.direction = 1 - coordinate.direction;
        }
        entries.push_back({attribute.mean_effect(), coordinate});
      }
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.effect > b.effect; });
  std::vector<Coordinate> list;
  for (const Entry& entry : entries) {
    list.push_back(entry.coordinate);
  }
  return TurnedRound(list);
}

absl::StatusOr<std::map<Method, RepeatedRate>> Table2(const Checkpoint& checkpoint,
                                                      const Dataset& dataset,
                                                      const ProtocolOptions& options,
                                                      Progress* progress) {
  torch::NoGradGuard no_grad;
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const Stylex& model = checkpoint.model;
  const int64_t classes = model.num_classes();
  STYLEX_ASSIGN_OR_RETURN(const EncodedImages population,
                          EncodeImages(model, dataset, Split::kTrain, options.population,
                                       SeedFor(options.seed, 0, kPopulation), progress));
  torch::manual_seed(SeedFor(options.seed, 0, kNoiseSeeds));
  const torch::Tensor of_population = LogitsOf(model, population.styles, Drawing::kRandomClamped);
  Lists lists;
  lists.nothing.resize(static_cast<size_t>(classes));
  const auto exemplars_of = [&](const std::vector<int64_t>& of) {
    return ExemplarLists(population.styles.conv, of_population, of, options.exemplars, progress,
                         &lists.doubts);
  };
  if (classes == 2) {
    lists.attfind = JoinedLists(*checkpoint.attributes);
    lists.exemplars = TurnedRound(exemplars_of({0})[0]);
  } else {
    lists.attfind = IndexLists(*checkpoint.attributes, classes);
    lists.exemplars = exemplars_of(AllClasses(classes));
  }
  DoubtEmptyLists(*checkpoint.attributes, model.config(), classes == 2, &lists.doubts);
  if (model.has_encoder()) {  // otherwise images are drawn, as many as are wanted
    DoubtRepeats(dataset, options, &lists.doubts);
  }
  std::map<Method, RepeatedRate> rates;
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    STYLEX_ASSIGN_OR_RETURN(
        const EncodedImages images,
        EncodeImages(model, dataset, Split::kTrain, options.images,
                     SeedFor(options.seed, static_cast<uint64_t>(repeat), kRepeat), progress));
    StyleRangeAccumulator extremes;
    extremes.Add(images.styles.conv);
    const StyleRanges ranges = extremes.Finish();
    torch::manual_seed(SeedFor(options.seed, static_cast<uint64_t>(repeat) + 1, kNoiseSeeds));
    const torch::Tensor base = LogitsOf(model, images.styles, Drawing::kRandomUnclamped);
    const torch::Tensor targets = RunnersUp(base);
    MakeRandomLists(base.size(0), ranges.size(),
                    SeedFor(options.seed, static_cast<uint64_t>(repeat), kRandomLists), &lists);
    for (const Method method : kListMethods) {
      const StyleVectors moved =
          Moved(images.styles, ranges, ListsOfImages(lists, method, targets), kMovedAtOnce);
      const torch::Tensor flipped =
          LogitsOf(model, moved, Drawing::kRandomClamped).argmax(1).ne(base.argmax(1));
      rates[method].rates.push_back(flipped.to(torch::kFloat64).mean().item<double>());
    }
  }
  for (auto& [method, rate] : rates) {
    Finish(&rate);
    rate.doubts = lists.doubts[method];
  }
  return rates;
}

absl::StatusOr<HeldOutFigures> HeldOut(const Checkpoint& checkpoint, const Dataset& dataset,
                                       const std::vector<Oracle>& oracles,
                                       const ProtocolOptions& options, Progress* progress) {
  torch::NoGradGuard no_grad;
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  const Stylex& model = checkpoint.model;
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  STYLEX_ASSIGN_OR_RETURN(const EncodedImages population,
                          EncodeImages(model, dataset, Split::kTrain, options.population,
                                       SeedFor(options.seed, 0, kPopulation), progress));
  STYLEX_ASSIGN_OR_RETURN(
      const EncodedImages images,
      EncodeImages(model, dataset, Split::kValidation, options.images, options.seed, progress));
  Lists lists;
  lists.nothing.resize(static_cast<size_t>(model.num_classes()));
  lists.attfind = IndexLists(*checkpoint.attributes, model.num_classes());
  lists.exemplars = ExemplarLists(
      population.styles.conv, LogitsOf(model, population.styles, Drawing::kFixedClamped),
      AllClasses(model.num_classes()), options.exemplars, progress, &lists.doubts);
  DoubtEmptyLists(*checkpoint.attributes, model.config(), /*joined=*/false, &lists.doubts);
  const torch::Tensor base = LogitsOf(model, images.styles, Drawing::kFixedClamped);
  const torch::Tensor targets = RunnersUp(base);
  MakeRandomLists(base.size(0), ranges.size(), options.seed, &lists);
  HeldOutFigures figures;
  figures.images = base.size(0);
  figures.doubts = lists.doubts;
  if (model.has_encoder()) {
    figures.reconstruction_flips = base.argmax(1).ne(images.logits.argmax(1)).sum().item<int64_t>();
  }
  if (!oracles.empty()) {
    const std::vector<torch::Tensor> unmoved = DecisionsOf(model, oracles, images.styles);
    for (size_t o = 0; o < oracles.size(); ++o) {
      figures.oracles.push_back(
          {oracles[o].name, unmoved[o + 1].eq(unmoved[0]).sum().item<int64_t>(), {}});
    }
  }
  for (const Method method : kListMethods) {
    const auto of_images = ListsOfImages(lists, method, targets);
    for (size_t i = 0; i < kCounts.size(); ++i) {
      const StyleVectors moved = Moved(images.styles, ranges, of_images, kCounts[i]);
      CountFlips(DecisionsOf(model, oracles, moved), targets, method, i, &figures);
    }
  }
  if (options.search) {
    STYLEX_RETURN_IF_ERROR(SearchEach(model, images.styles, ranges, lists.attfind, targets, oracles,
                                      *options.search, progress, &figures));
  }
  return figures;
}

}  // namespace stylex
