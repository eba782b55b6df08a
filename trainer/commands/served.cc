// `evaluate --protocol served`: what the eye sees and others confirm, at the operating point that
// is served.
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "models/checkpoint.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/study/reconstruction_figures.h"
#include "trainer/study/served_explanations.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr int64_t kServedImages = 500;
constexpr int64_t kFew = 3;  // attributes

struct Figure {
  std::string name, title;
  double value = 0;
  Interval interval;
  int64_t images = 0;  // that it is of
};

using Explanations = std::vector<ServedExplanation>;

// Ratios of sums over images, with bootstrap intervals; of means the denominators are 1.
Figure RatioOf(const std::string& name, const std::string& title,
               const std::vector<double>& numerators, const std::vector<double>& denominators,
               uint64_t seed) {
  double numerator = 0, denominator = 0;
  for (size_t i = 0; i < numerators.size(); ++i) {
    numerator += numerators[i];
    denominator += denominators[i];
  }
  return {name, title, denominator != 0 ? numerator / denominator : 0,
          BootstrapInterval(numerators, denominators, seed),
          static_cast<int64_t>(numerators.size())};
}

Figure MeanOf(const std::string& name, const std::string& title, const std::vector<double>& values,
              uint64_t seed) {
  return RatioOf(name, title, values, std::vector<double>(values.size(), 1), seed);
}

Figure RateOf(const std::string& name, const std::string& title, const Explanations& explanations,
              const std::function<bool(const ServedExplanation&)>& holds) {
  const int64_t trials = static_cast<int64_t>(explanations.size());
  const int64_t successes = std::count_if(explanations.begin(), explanations.end(), holds);
  return {name, title,
          trials > 0 ? static_cast<double>(successes) / static_cast<double>(trials) : 0,
          WilsonInterval(successes, trials), trials};
}

std::vector<double> Values(const torch::Tensor& tensor) {
  const torch::Tensor values = tensor.to(torch::kFloat64).contiguous();
  const double* const begin = values.data_ptr<double>();
  return {begin, begin + values.numel()};
}

std::vector<double> Values(const Explanations& explanations,
                           const std::function<double(const ServedExplanation&)>& of) {
  std::vector<double> values;
  std::transform(explanations.begin(), explanations.end(), std::back_inserter(values), of);
  return values;
}

void AddReconstruction(const ReconstructionFigures& figures, uint64_t seed,
                       std::vector<Figure>* out) {
  const ReconstructionFigures::OfEachImage& each = figures.each;
  out->push_back({"agreement", "decided as the photograph", 0,
                  WilsonInterval(figures.agreeing, figures.images), figures.images});
  out->back().value = static_cast<double>(figures.agreeing) / static_cast<double>(figures.images);
  out->push_back(MeanOf("psnr", "PSNR, dB", Values(each.psnr), seed));
  out->push_back(MeanOf("ssim", "SSIM", Values(each.ssim), seed));
  out->push_back(
      RatioOf("sharpness", "sharpness", Values(each.drawn_gradient), Values(each.gradient), seed));
  out->push_back(RatioOf("small_parts", "area of small parts", Values(each.drawn_parts),
                         Values(each.parts), seed));
}

void AddSearches(const Explanations& all, uint64_t seed, std::vector<Figure>* out) {
  using One = ServedExplanation;
  out->push_back(RateOf("one_attribute", "just flips by one attribute chosen for the image", all,
                        [](const One& one) { return one.one_attribute; }));
  out->push_back(RateOf("convincing_3", "convincing with at most 3 attributes", all,
                        [](const One& one) { return one.convincing && one.moved <= kFew; }));
  out->push_back(RateOf("convincing_10", "convincing with at most 10 attributes", all,
                        [](const One& one) { return one.convincing; }));
  const std::vector<double> by_chance = Values(all, [](const One& one) {
    return static_cast<double>(one.random_flips) / static_cast<double>(kRandomTries);
  });
  out->push_back(MeanOf("random_flips", "one random attribute flips", by_chance, seed));
  out->push_back(RatioOf("random", "one random attribute against the chosen one", by_chance,
                         Values(all, [](const One& one) { return one.one_attribute ? 1.0 : 0.0; }),
                         seed));
}

void AddConvincing(const Explanations& convincing, const std::vector<Oracle>& oracles,
                   uint64_t seed, std::vector<Figure>* out) {
  using One = ServedExplanation;
  const auto rate = [&](const char* name, const char* title, auto holds) {
    out->push_back(RateOf(name, title, convincing, holds));
  };
  std::vector<Figure> of_oracles;
  for (size_t o = 0; o < oracles.size(); ++o) {
    of_oracles.push_back(RateOf(absl::StrCat("oracle_", o + 1, "_follows"),
                                absl::StrCat("of these ", oracles[o].name, " follows"), convincing,
                                [o](const One& one) { return one.follows[o]; }));
  }
  if (!of_oracles.empty()) {
    out->push_back(
        *std::min_element(of_oracles.begin(), of_oracles.end(),
                          [](const Figure& a, const Figure& b) { return a.value < b.value; }));
    out->back().name = "oracles_follow";
    out->back().title = "of these the oracle follows that follows least";
  }
  out->insert(out->end(), of_oracles.begin(), of_oracles.end());
  rate("denoised", "still the target after a 3x3 median and when encoded anew",
       [](const One& one) { return one.after_median && one.encoded_anew; });
  rate("after_median", "after the median", [](const One& one) { return one.after_median; });
  rate("encoded_anew", "when encoded anew", [](const One& one) { return one.encoded_anew; });
  out->push_back(
      MeanOf("cout", "COUT", Values(convincing, [](const One& one) { return one.cout; }), seed));
  out->push_back(MeanOf("changed_area", "changed area",
                        Values(convincing, [](const One& one) { return one.changed_area; }), seed));
  rate("on_photograph", "holds on the photograph itself",
       [](const One& one) { return one.on_photograph; });
  rate("random_as_many", "as many random attributes flip",
       [](const One& one) { return one.random_as_many; });
}

// Samples of one image, or of images that are all alike, say nothing of how much others vary.
bool IsKnown(const Interval& interval) { return interval.low < interval.high; }

std::string TableOf(const std::vector<Figure>& figures) {
  std::string table = "| figure | value | 95 % interval | images |\n| --- | --- | --- | --- |\n";
  for (const Figure& figure : figures) {
    absl::StrAppendFormat(
        &table, "| %s (`%s`) | %.3f | %s | %d |\n", figure.title, figure.name, figure.value,
        IsKnown(figure.interval)
            ? absl::StrFormat("%.3f to %.3f", figure.interval.low, figure.interval.high)
            : "not known",
        figure.images);
  }
  return table;
}

nlohmann::json JsonOf(const std::vector<Figure>& figures) {
  nlohmann::json json;
  for (const Figure& figure : figures) {
    json[figure.name] = figure.value;
    if (IsKnown(figure.interval)) {
      json["intervals"][figure.name] = {figure.interval.low, figure.interval.high};
    }
    json["images"][figure.name] = figure.images;
  }
  return json;
}

// The figures under served_NAME, with served_NAME_low and served_NAME_high, in the checkpoint.
absl::Status Record(const CommonOptions& common, const std::string& path,
                    const Checkpoint& checkpoint, const std::vector<Figure>& figures) {
  v1::ModelConfig config = checkpoint.model.config();
  for (const Figure& figure : figures) {
    const std::string name = absl::StrCat("served_", figure.name);
    (*config.mutable_metrics())[name] = figure.value;
    config.mutable_metrics()->erase(name + "_low");
    config.mutable_metrics()->erase(name + "_high");
    if (IsKnown(figure.interval)) {
      (*config.mutable_metrics())[name + "_low"] = figure.interval.low;
      (*config.mutable_metrics())[name + "_high"] = figure.interval.high;
    }
  }
  config.mutable_provenance()->add_commands(common.command_line);
  return UpdateVersion(
      path, config,
      {{kCardFile, RenewedModelCard(path, config, checkpoint.attributes, checkpoint.truth)}});
}

}  // namespace

absl::Status ServedCommand(const CommonOptions& common, const ServedCommandOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  if (options.record) {
    STYLEX_RETURN_IF_ERROR(CheckVersionCanBeUpdated(options.checkpoint));
  }
  const Stylex& model = checkpoint.model;
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Oracle> oracles,
                          OpenOracles(options.oracles, model.config(), model.device()));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "served_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const ReconstructionFigures reconstruction,
                          EvaluateReconstruction(model, *dataset, run.get()));
  ServedOptions served;
  served.images = options.images > 0 ? options.images : kServedImages;
  served.seed = common.seed;
  served.workers = model.device().is_cpu() ? torch::get_num_threads() : 1;
  STYLEX_ASSIGN_OR_RETURN(const Explanations all,
                          ExplainAsServed(checkpoint, *dataset, oracles, served, run.get()));
  Explanations convincing;
  std::copy_if(all.begin(), all.end(), std::back_inserter(convincing),
               [](const ServedExplanation& one) { return one.convincing; });
  std::vector<Figure> figures;
  AddReconstruction(reconstruction, common.seed, &figures);
  AddSearches(all, common.seed, &figures);
  AddConvincing(convincing, oracles, common.seed, &figures);
  std::printf("%s", TableOf(figures).c_str());
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path("served.md"), TableOf(figures)));
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path("served.json"), JsonOf(figures).dump(2) + "\n"));
  return options.record ? Record(common, options.checkpoint, checkpoint, figures)
                        : absl::OkStatus();
}

}  // namespace stylex
