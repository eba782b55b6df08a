#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "explain/exemplar_baseline.h"
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
constexpr char kStylexSystem[] = "stylex";
constexpr char kStyleGan2System[] = "stylegan2";

// A Markdown table and the same as JSON.
struct Report {
  std::string table;
  nlohmann::json json;
};

// Doubts, numbered in the order in which they are first told.
class Footnotes {
 public:
  // " [1] [2]", for behind the figures that they concern; "" without doubts.
  std::string Mark(const std::vector<std::string>& doubts) {
    std::string marks;
    for (const std::string& doubt : doubts) {
      auto found = std::find(texts_.begin(), texts_.end(), doubt);
      if (found == texts_.end()) {
        found = texts_.insert(texts_.end(), doubt);
      }
      absl::StrAppend(&marks, " [", found - texts_.begin() + 1, "]");
    }
    return marks;
  }
  // For below the table; "" without doubts.
  std::string Text() const {
    std::string text;
    for (size_t i = 0; i < texts_.size(); ++i) {
      absl::StrAppend(&text, "\n[", i + 1, "] ", texts_[i], "\n");
    }
    return text;
  }

 private:
  std::vector<std::string> texts_;
};

// One measured system: its name, "stylex" or "stylegan2", and its figures.
struct Table2Row {
  std::string system;
  std::map<Method, RepeatedRate> rates;
};

std::string SystemTitle(const std::string& system) {
  return system == kStyleGan2System ? "StyleGAN2" : "StylEx";
}

// One row a system; the column that names it is left out where there is one alone. The last
// system's figures are the report's own.
Report ReportOf(const std::vector<Table2Row>& systems) {
  Report report;
  Footnotes footnotes;
  const bool named = systems.size() > 1;
  std::string titles = named ? "| system |" : "|", rule = named ? "| --- |" : "|", values;
  for (const auto& [method, rate] : systems.back().rates) {
    absl::StrAppend(&titles, " ", TitleOf(method), " |");
    absl::StrAppend(&rule, " --- |");
  }
  for (const Table2Row& row : systems) {
    absl::StrAppend(&values, named ? absl::StrCat("| ", SystemTitle(row.system), " |") : "|");
    nlohmann::json of_system;
    for (const auto& [method, rate] : row.rates) {
      absl::StrAppendFormat(&values, " %.3f (+- %.3f)%s |", rate.mean, rate.deviation,
                            footnotes.Mark(rate.doubts));
      of_system[NameOf(method)] = {
          {"mean", rate.mean}, {"deviation", rate.deviation}, {"rates", rate.rates}};
      if (!rate.doubts.empty()) {
        of_system[NameOf(method)]["doubts"] = rate.doubts;
      }
    }
    absl::StrAppend(&values, "\n");
    if (&row == &systems.back()) {
      report.json.update(of_system);
    } else {
      report.json[row.system] = of_system;
    }
  }
  report.table = absl::StrCat(titles, "\n", rule, "\n", values, footnotes.Text());
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
               const std::function<int64_t(Method method, size_t i)>& of,
               const std::map<Method, std::string>& marks, std::string* table,
               nlohmann::json* json) {
  for (const auto& [method, row] : counts) {
    const auto mark = marks.find(method);
    absl::StrAppend(table, "| ", TitleOf(method), mark == marks.end() ? "" : mark->second, " |");
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
  Footnotes footnotes;
  std::map<Method, std::string> marks;
  for (const auto& [method, doubts] : figures.doubts) {
    marks[method] = footnotes.Mark(doubts);
    report.json["doubts"][NameOf(method)] = doubts;
  }
  AddCounts(
      figures.flips, [&](Method, size_t) { return figures.images; }, marks, &report.table,
      &report.json["flips"]);
  absl::StrAppend(&report.table, footnotes.Text());
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
        marks, &report.table, &of_oracle["convinced"]);
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

std::string SystemOf(const Checkpoint& checkpoint) {
  return checkpoint.model.has_encoder() ? kStylexSystem : kStyleGan2System;
}

// For above a table of a StyleGAN2's alone.
std::string Heading(const Checkpoint& checkpoint) {
  return checkpoint.model.has_encoder() ? ""
                                        : "StyleGAN2: images drawn from z, not photographs\n\n";
}

absl::StatusOr<Report> MeasureTable2(const std::vector<const Checkpoint*>& systems,
                                     const Dataset& dataset, const ProtocolOptions& protocol,
                                     WorkDirectory* run) {
  std::vector<Table2Row> rows;
  for (const Checkpoint* system : systems) {
    STYLEX_ASSIGN_OR_RETURN(auto rates, Table2(*system, dataset, protocol, run));
    rows.push_back({SystemOf(*system), std::move(rates)});
  }
  Report report = ReportOf(rows);
  report.table = absl::StrCat(systems.size() == 1 ? Heading(*systems[0]) : "", report.table);
  return report;
}

// The last system's figures are the report's own.
absl::StatusOr<Report> MeasureHeldOut(const std::vector<const Checkpoint*>& systems,
                                      const Dataset& dataset, const std::vector<Oracle>& oracles,
                                      const ProtocolOptions& protocol, WorkDirectory* run) {
  Report report;
  for (const Checkpoint* system : systems) {
    STYLEX_ASSIGN_OR_RETURN(const HeldOutFigures figures,
                            HeldOut(*system, dataset, oracles, protocol, run));
    const Report of_system = ReportOf(figures);
    absl::StrAppend(&report.table, report.table.empty() ? "" : "\nStylEx: photographs\n\n",
                    Heading(*system), of_system.table);
    if (system == systems.back()) {
      report.json.update(of_system.json);
    } else {
      report.json[SystemOf(*system)] = of_system.json;
    }
  }
  return report;
}

absl::Status CheckOptions(const ProtocolCommandOptions& options) {
  const auto only = [&](const std::string& flag, const std::string& of) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " is for --protocol ", of, ", not ", options.protocol));
  };
  const bool table2 = options.protocol == kTable2Protocol;
  const bool held_out = options.protocol == kHeldOutProtocol;
  if (!options.oracles.empty() && table2) {
    return only("--oracle", absl::StrCat(kCounterfactualsProtocol, " or ", kHeldOutProtocol));
  }
  if (options.lists_only && !held_out) {
    return only("--lists-only", kHeldOutProtocol);
  }
  if (!options.stylegan2.empty() && !table2 && !held_out) {
    return only("--stylegan2", absl::StrCat(kTable2Protocol, " or ", kHeldOutProtocol));
  }
  return absl::OkStatus();
}

// The model to measure beside `checkpoint`: it must be another system around the same classifier.
absl::StatusOr<Checkpoint> OpenBeside(const CommonOptions& common, const std::string& path,
                                      const Checkpoint& checkpoint) {
  STYLEX_ASSIGN_OR_RETURN(Checkpoint beside, OpenCheckpoint(common, path, Encoding::kOptional));
  if (beside.model.has_encoder() || !checkpoint.model.has_encoder()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--stylegan2 ", path, ": must be a model without encoder, and --checkpoint one with it"));
  }
  const v1::ModelConfig& config = checkpoint.model.config();
  const auto shape = [](const v1::ModelConfig& of) {
    return absl::StrCat(of.resolution(), " pixels, ", of.image_channels(), " channels, classes ",
                        absl::StrJoin(of.labels(), ", "));
  };
  torch::NoGradGuard no_grad;
  const bool same_shape = shape(beside.model.config()) == shape(config);
  const torch::Tensor x =
      torch::linspace(-1, 1, config.image_channels() * config.resolution() * config.resolution())
          .view({1, config.image_channels(), config.resolution(), config.resolution()})
          .to(checkpoint.model.device());
  if (!same_shape || !beside.model.Logits(x).allclose(checkpoint.model.Logits(x), 1e-3, 1e-3)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": is not around the same classifier: ", shape(beside.model.config()),
        "; the checkpoint's has ", shape(config), same_shape ? ", and other weights" : ""));
  }
  return beside;
}

absl::StatusOr<ProtocolOptions> ProtocolOf(const ProtocolCommandOptions& options, uint64_t seed,
                                           const Stylex& model) {
  const bool table2 = options.protocol == kTable2Protocol;
  ProtocolOptions protocol;
  protocol.seed = seed;
  const int64_t asked = options.evaluate.flip_images;
  protocol.images = table2 && asked == 0 ? kTable2Images : asked;
  if (options.lists_only) {
    protocol.search.reset();
  } else {
    protocol.search = FlipOptionsOf(options.evaluate, seed, model);
  }
  protocol.population = table2 ? kTable2Population : kHeldOutPopulation;
  STYLEX_ASSIGN_OR_RETURN(protocol.exemplars, ParseExemplars(options.exemplars));
  return protocol;
}

}  // namespace

absl::Status ProtocolCommand(const CommonOptions& common, const ProtocolCommandOptions& options) {
  STYLEX_RETURN_IF_ERROR(CheckOptions(options));
  const bool of_reconstructions = options.protocol == kCounterfactualsProtocol;
  STYLEX_ASSIGN_OR_RETURN(
      const Checkpoint checkpoint,
      OpenCheckpoint(common, options.evaluate.checkpoint,
                     of_reconstructions ? Encoding::kNeeded : Encoding::kOptional));
  std::optional<Checkpoint> beside;
  std::vector<const Checkpoint*> systems = {&checkpoint};
  if (!options.stylegan2.empty()) {
    STYLEX_ASSIGN_OR_RETURN(beside, OpenBeside(common, options.stylegan2, checkpoint));
    systems.insert(systems.begin(), &*beside);
  }
  STYLEX_ASSIGN_OR_RETURN(const ProtocolOptions protocol,
                          ProtocolOf(options, common.seed, checkpoint.model));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::vector<Oracle> oracles,
      OpenOracles(options.oracles, checkpoint.model.config(), checkpoint.model.device()));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "protocol_state", /*resume=*/true));
  Report report;
  if (options.protocol == kTable2Protocol) {
    STYLEX_ASSIGN_OR_RETURN(report, MeasureTable2(systems, *dataset, protocol, run.get()));
  } else if (of_reconstructions) {
    STYLEX_ASSIGN_OR_RETURN(report, Counterfactuals(checkpoint, *dataset, oracles, common.seed,
                                                    options.evaluate, run.get()));
  } else {
    STYLEX_ASSIGN_OR_RETURN(report,
                            MeasureHeldOut(systems, *dataset, oracles, protocol, run.get()));
  }
  report.json["system"] = SystemOf(checkpoint);
  if (!of_reconstructions) {
    report.json["exemplars"] = NameOf(protocol.exemplars);
  }
  std::printf("%s", report.table.c_str());
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path(options.protocol + ".md"), report.table));
  return WriteFileAtomic(run->Path(options.protocol + ".json"), report.json.dump(2) + "\n");
}

}  // namespace stylex
