#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "models/checkpoint.h"
#include "trainer/commands/flip_options.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/study/counterfactual_quality.h"
#include "trainer/study/flip_protocols.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr int64_t kTable2Images = 1000;
constexpr int64_t kTable2Population = 380;
constexpr int64_t kHeldOutPopulation = 2000;
constexpr int64_t kCounterfactualImages = 500;

// A Markdown table and the same as JSON.
struct Report {
  std::string table;
  nlohmann::json json;
};

Report ReportOf(const std::map<Method, RepeatedRate>& rates) {
  Report report;
  std::string titles = "|", rule = "|", values = "|";
  for (const auto& [method, rate] : rates) {
    absl::StrAppend(&titles, " ", TitleOf(method), " |");
    absl::StrAppend(&rule, " --- |");
    absl::StrAppendFormat(&values, " %.3f (+- %.3f) |", rate.mean, rate.deviation);
    report.json[NameOf(method)] = {
        {"mean", rate.mean}, {"deviation", rate.deviation}, {"rates", rate.rates}};
  }
  report.table = absl::StrCat(titles, "\n", rule, "\n", values, "\n");
  return report;
}

std::string RateText(int64_t successes, int64_t trials) {
  if (trials == 0) {
    return "-";
  }
  const Interval interval = WilsonInterval(successes, trials);
  return absl::StrFormat("%.3f [%.3f, %.3f]",
                         static_cast<double>(successes) / static_cast<double>(trials), interval.low,
                         interval.high);
}

// One row per method with the counts `of(method, i)`, and the same as JSON.
void AddCounts(const std::map<Method, std::array<int64_t, kCounts.size()>>& counts,
               const std::function<int64_t(Method method, size_t i)>& of, std::string* table,
               nlohmann::json* json) {
  for (const auto& [method, row] : counts) {
    absl::StrAppend(table, "| ", TitleOf(method), " |");
    for (size_t i = 0; i < kCounts.size(); ++i) {
      absl::StrAppend(table, " ", RateText(row[i], of(method, i)), " |");
      (*json)[NameOf(method)][absl::StrCat(kCounts[i])] = row[i];
    }
    absl::StrAppend(table, "\n");
  }
}

Report ReportOf(const HeldOutFigures& figures) {
  Report report;
  std::string header = "| moved |", rule = "| --- |";
  for (const int64_t count : kCounts) {
    absl::StrAppend(&header, " k = ", count, " |");
    absl::StrAppend(&rule, " --- |");
  }
  absl::StrAppend(&header, "\n", rule, "\n");
  report.table = header;
  AddCounts(
      figures.flips, [&](Method, size_t) { return figures.images; }, &report.table,
      &report.json["flips"]);
  if (figures.reconstruction_flips) {
    absl::StrAppend(&report.table, "\nreconstructions decided otherwise than the photograph: ",
                    RateText(*figures.reconstruction_flips, figures.images), " of ", figures.images,
                    " images\n");
    report.json["reconstruction_flips"] = *figures.reconstruction_flips;
  }
  report.json["images"] = figures.images;
  for (const HeldOutOracle& oracle : figures.oracles) {
    absl::StrAppend(
        &report.table, "\n", oracle.name, " agrees on ", RateText(oracle.agreeing, figures.images),
        " of the reconstructions; of the flips above it decides as the target\n\n", header);
    nlohmann::json of_oracle = {{"name", oracle.name}, {"agreeing", oracle.agreeing}};
    AddCounts(
        oracle.convinced, [&](Method method, size_t i) { return figures.flips.at(method)[i]; },
        &report.table, &of_oracle["convinced"]);
    report.json["oracles"].push_back(std::move(of_oracle));
  }
  return report;
}

// One figure of every found counterfactual for which it is defined.
std::vector<double> Collect(
    const std::vector<CounterfactualFigures>& found,
    const std::function<std::optional<double>(const CounterfactualFigures&)>& figure) {
  std::vector<double> values;
  for (const CounterfactualFigures& of_one : found) {
    if (const std::optional<double> value = figure(of_one)) {
      values.push_back(*value);
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

void AddRow(const std::string& name, const std::string& title, const std::vector<double>& sorted,
            Report* report) {
  if (sorted.empty()) {
    return;
  }
  const auto quantile = [&](double q) {
    return sorted[static_cast<size_t>(std::lround(q * static_cast<double>(sorted.size() - 1)))];
  };
  const double mean =
      std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  report->json["counterfactuals"][name] = {{"median", quantile(0.5)},
                                           {"mean", mean},
                                           {"quartiles", {quantile(0.25), quantile(0.75)}},
                                           {"images", sorted.size()}};
  absl::StrAppendFormat(&report->table, "| %s | %.3f | %.3f | %.3f to %.3f |\n", title,
                        quantile(0.5), mean, quantile(0.25), quantile(0.75));
}

Report ReportOf(const QualityFigures& figures) {
  using Figures = CounterfactualFigures;
  Report report;
  const int64_t found = static_cast<int64_t>(figures.found.size());
  report.json["images"] = figures.images;
  report.json["found"] = found;
  report.table =
      absl::StrCat("found with at most ", kMostAttributes,
                   " attributes: ", RateText(found, figures.images), " of ", figures.images,
                   " images\n\n| counterfactual and reconstruction | "
                   "median | mean | quartiles |\n| --- | --- | --- | --- |\n");
  const auto row = [&](const std::string& name, const std::string& title, auto figure) {
    AddRow(name, title, Collect(figures.found, figure), &report);
  };
  row("attributes", "attributes moved", [](const Figures& f) { return f.attributes; });
  row("distance", "distance in style space", [](const Figures& f) { return f.distance; });
  row("changed_area", "changed area", [](const Figures& f) { return f.changed_area; });
  row("l1", "L1", [](const Figures& f) { return f.l1; });
  row("ssim", "SSIM", [](const Figures& f) { return f.ssim; });
  row("gain", "gain of the target's probability", [](const Figures& f) { return f.gain; });
  row("cout", "COUT", [](const Figures& f) { return f.cout; });
  row("monotonicity", "monotonicity (Spearman)", [](const Figures& f) { return f.monotonicity; });
  if (!figures.oracles.empty()) {
    absl::StrAppend(&report.table,
                    "\n| another classifier | agrees on photographs | decides the counterfactual "
                    "as the target | the reconstruction already |\n| --- | --- | --- | --- |\n");
  }
  for (const OracleFigures& oracle : figures.oracles) {
    absl::StrAppend(
        &report.table, "| ", oracle.name, " | ", RateText(oracle.agreeing, figures.images), " | ",
        RateText(oracle.convinced, found), " | ", RateText(oracle.by_the_image, found), " |\n");
    report.json["oracles"].push_back({{"name", oracle.name},
                                      {"agreeing", oracle.agreeing},
                                      {"convinced", oracle.convinced},
                                      {"by_the_image", oracle.by_the_image}});
  }
  return report;
}

absl::StatusOr<Report> Counterfactuals(const Checkpoint& checkpoint, const Dataset& dataset,
                                       const std::vector<Oracle>& oracles, uint64_t seed,
                                       const EvaluateOptions& options, WorkDirectory* run) {
  FlipOptions search = FlipOptionsOf(options, seed, checkpoint.model);
  search.images = search.images > 0 ? search.images : kCounterfactualImages;
  STYLEX_ASSIGN_OR_RETURN(const QualityFigures figures,
                          EvaluateQuality(checkpoint, dataset, oracles, search, run));
  return ReportOf(figures);
}

}  // namespace

absl::Status ProtocolCommand(const CommonOptions& common, const ProtocolCommandOptions& options) {
  const bool table2 = options.protocol == kTable2Protocol;
  if (!options.oracles.empty() && table2) {
    return absl::InvalidArgumentError(absl::StrCat("--oracle is for --protocol ",
                                                   kCounterfactualsProtocol, " or ",
                                                   kHeldOutProtocol, ", not ", options.protocol));
  }
  if (options.lists_only && options.protocol != kHeldOutProtocol) {
    return absl::InvalidArgumentError(absl::StrCat("--lists-only is for --protocol ",
                                                   kHeldOutProtocol, ", not ", options.protocol));
  }
  const bool of_reconstructions = options.protocol == kCounterfactualsProtocol;
  STYLEX_ASSIGN_OR_RETURN(
      const Checkpoint checkpoint,
      OpenCheckpoint(common, options.evaluate.checkpoint,
                     of_reconstructions ? Encoding::kNeeded : Encoding::kOptional));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::vector<Oracle> oracles,
      OpenOracles(options.oracles, checkpoint.model.config(), checkpoint.model.device()));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "protocol_state", /*resume=*/true));
  ProtocolOptions protocol;
  protocol.seed = common.seed;
  const int64_t asked = options.evaluate.flip_images;
  protocol.images = table2 && asked == 0 ? kTable2Images : asked;
  if (options.lists_only) {
    protocol.search.reset();
  } else {
    protocol.search = FlipOptionsOf(options.evaluate, common.seed, checkpoint.model);
  }
  protocol.population = table2 ? kTable2Population : kHeldOutPopulation;
  Report report;
  if (table2) {
    STYLEX_ASSIGN_OR_RETURN(const auto rates, Table2(checkpoint, *dataset, protocol, run.get()));
    report = ReportOf(rates);
  } else if (of_reconstructions) {
    STYLEX_ASSIGN_OR_RETURN(report, Counterfactuals(checkpoint, *dataset, oracles, common.seed,
                                                    options.evaluate, run.get()));
  } else {
    STYLEX_ASSIGN_OR_RETURN(const HeldOutFigures figures,
                            HeldOut(checkpoint, *dataset, oracles, protocol, run.get()));
    report = ReportOf(figures);
  }
  if (!checkpoint.model.has_encoder()) {
    report.table =
        absl::StrCat("StyleGAN2: images drawn from z, not photographs\n\n", report.table);
  }
  report.json["system"] = checkpoint.model.has_encoder() ? "stylex" : "stylegan2";
  std::printf("%s", report.table.c_str());
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path(options.protocol + ".md"), report.table));
  return WriteFileAtomic(run->Path(options.protocol + ".json"), report.json.dump(2) + "\n");
}

}  // namespace stylex
