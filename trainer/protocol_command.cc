#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "image/codec.h"
#include "models/checkpoint.h"
#include "trainer/protocols.h"
#include "trainer/run.h"
#include "trainer/session.h"
#include "trainer/study_commands.h"

namespace stylex {
namespace {

constexpr int64_t kTable2Images = 1000;
constexpr int64_t kTable2Population = 380;
constexpr int64_t kHeldOutPopulation = 2000;

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
  const Interval interval = WilsonInterval(successes, trials);
  return absl::StrFormat("%.3f [%.3f, %.3f]",
                         static_cast<double>(successes) / static_cast<double>(trials), interval.low,
                         interval.high);
}

Report ReportOf(const HeldOutFigures& figures) {
  Report report;
  report.table = "| moved |";
  std::string rule = "| --- |";
  for (const int64_t count : kCounts) {
    absl::StrAppend(&report.table, " k = ", count, " |");
    absl::StrAppend(&rule, " --- |");
  }
  absl::StrAppend(&report.table, "\n", rule, "\n");
  for (const auto& [method, flips] : figures.flips) {
    absl::StrAppend(&report.table, "| ", TitleOf(method), " |");
    for (size_t i = 0; i < kCounts.size(); ++i) {
      absl::StrAppend(&report.table, " ", RateText(flips[i], figures.images), " |");
      report.json["flips"][NameOf(method)][absl::StrCat(kCounts[i])] = flips[i];
    }
    absl::StrAppend(&report.table, "\n");
  }
  absl::StrAppend(&report.table, "\nreconstructions decided otherwise than the photograph: ",
                  RateText(figures.reconstruction_flips, figures.images), " of ", figures.images,
                  " images\n");
  report.json["images"] = figures.images;
  report.json["reconstruction_flips"] = figures.reconstruction_flips;
  return report;
}

}  // namespace

absl::Status ProtocolCommand(const CommonOptions& common, const ProtocolCommandOptions& options) {
  const bool table2 = options.protocol == kTable2Protocol;
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common.data));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Run> run,
                          Run::Open(common.work_directory, "protocol_state", /*resume=*/true));
  ProtocolOptions protocol;
  protocol.seed = common.seed;
  protocol.images = table2 && options.images == 0 ? kTable2Images : options.images;
  protocol.population = table2 ? kTable2Population : kHeldOutPopulation;
  Report report;
  if (table2) {
    STYLEX_ASSIGN_OR_RETURN(const auto rates, Table2(checkpoint, *dataset, protocol, run.get()));
    report = ReportOf(rates);
  } else {
    STYLEX_ASSIGN_OR_RETURN(const HeldOutFigures figures,
                            HeldOut(checkpoint, *dataset, protocol, run.get()));
    report = ReportOf(figures);
  }
  std::printf("%s", report.table.c_str());
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path(options.protocol + ".md"), report.table));
  return WriteFileAtomic(run->Path(options.protocol + ".json"), report.json.dump(2) + "\n");
}

}  // namespace stylex
