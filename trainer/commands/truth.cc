#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/opening.h"
#include "trainer/commands/study_options.h"
#include "trainer/study/truth/attribute_truth.h"
#include "trainer/study/truth/truth_dataset.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

std::string ShareText(const std::optional<double>& share) {
  return share ? absl::StrFormat("%.2f", *share) : "none";
}

nlohmann::json ShareJson(const std::optional<double>& share) {
  return share ? nlohmann::json(*share) : nlohmann::json();
}

const char* NameOf(Finding finding) {
  switch (finding) {
    case Finding::kTrue:
      return "true";
    case Finding::kFalse:
      return "false";
    case Finding::kUnclear:
      return "unclear";
  }
  return "";
}

void PrintClass(const ClassTruth& truth, const KnownWorld& world, const std::string& label) {
  const std::vector<int> signs = world.signs();
  std::printf("class %s\n  %-5s %-12s %-9s %-11s %-7s %-8s %s\n", label.c_str(), "rank",
              "coordinate", "effect", "factor", "purity", "change", "finding");
  for (size_t i = 0; i < truth.attributes.size(); ++i) {
    const AttributeTruth& attribute = truth.attributes[i];
    std::printf("  %-5zu %5lld to %s %+8.3f  %-11s %.2f    %+.2f    %s\n", i + 1,
                static_cast<long long>(attribute.coordinate.index),
                attribute.coordinate.direction == 0 ? "min" : "max", attribute.mean_effect,
                world.factors()[attribute.factor].name.c_str(), attribute.purity,
                attribute.mean_change[attribute.factor], NameOf(FindingOf(attribute, signs)));
  }
  std::printf("  %-11s %-8s %-11s %s\n", "factor", "in rule", "true effect", "attributed");
  for (size_t j = 0; j < signs.size(); ++j) {
    std::printf("  %-11s %-8s %+8.3f    %8.3f\n", world.factors()[j].name.c_str(),
                signs[j] == 0                             ? "-"
                : (signs[j] > 0) == (truth.class_id == 1) ? "for"
                                                          : "against",
                truth.mean_effect[j], truth.attributed[j]);
  }
  std::printf(
      "  recall %s, precision %.2f, false discoveries %.2f, signs %s, rank correlation %s, "
      "duplicates %lld\n",
      ShareText(truth.recall).c_str(), truth.precision, truth.false_discoveries,
      ShareText(truth.sign_accuracy).c_str(), ShareText(truth.rank_correlation).c_str(),
      static_cast<long long>(truth.duplicates));
}

nlohmann::json AttributeJson(const AttributeTruth& attribute, const KnownWorld& world) {
  return {{"coordinate", attribute.coordinate.index},
          {"direction", attribute.coordinate.direction == 0 ? "min" : "max"},
          {"mean_effect", attribute.mean_effect},
          {"images", attribute.images},
          {"factor", world.factors()[attribute.factor].name},
          {"purity", attribute.purity},
          {"finding", NameOf(FindingOf(attribute, world.signs()))},
          {"change", attribute.change},
          {"mean_change", attribute.mean_change}};
}

nlohmann::json ClassJson(const ClassTruth& truth, const KnownWorld& world,
                         const std::string& label) {
  nlohmann::json attributes = nlohmann::json::array();
  for (const AttributeTruth& attribute : truth.attributes) {
    attributes.push_back(AttributeJson(attribute, world));
  }
  return {{"class", label},
          {"attributes", attributes},
          {"true_effect", truth.effect},
          {"true_mean_effect", truth.mean_effect},
          {"attributed", truth.attributed},
          {"recall", ShareJson(truth.recall)},
          {"precision", truth.precision},
          {"false_discoveries", truth.false_discoveries},
          {"sign_accuracy", ShareJson(truth.sign_accuracy)},
          {"rank_correlation", ShareJson(truth.rank_correlation)},
          {"duplicates", truth.duplicates}};
}

nlohmann::json FactorsJson(const TruthFigures& figures, const KnownWorld& world) {
  nlohmann::json factors = nlohmann::json::array();
  for (size_t j = 0; j < world.factors().size(); ++j) {
    factors.push_back({{"name", world.factors()[j].name},
                       {"sign", world.factors()[j].sign},
                       {"reading_error", figures.reading_error[j]}});
  }
  return factors;
}

// What was found, in the checkpoint.
absl::Status Record(const CommonOptions& common, const std::string& path,
                    const Checkpoint& checkpoint, const v1::KnownTruth& truth) {
  v1::ModelConfig config = checkpoint.model.config();
  config.mutable_provenance()->add_commands(common.command_line);
  STYLEX_ASSIGN_OR_RETURN(const std::string json, ToJson(truth));
  return UpdateVersion(path, config,
                       {{kTruthFile, json},
                        {kCardFile, RenewedModelCard(path, config, checkpoint.attributes, truth)}});
}

}  // namespace

absl::Status TruthCommand(const CommonOptions& common, const TruthCommandOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<KnownWorld> world, OpenKnownWorld(common.data));
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  const v1::ModelConfig& config = checkpoint.model.config();
  if (options.record) {
    STYLEX_RETURN_IF_ERROR(CheckVersionCanBeUpdated(options.checkpoint));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataOf(config, common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "truth_state", /*resume=*/true));
  TruthOptions measured;
  measured.top = options.top;
  measured.images = options.images;
  measured.seed = common.seed;
  STYLEX_ASSIGN_OR_RETURN(const TruthFigures figures,
                          MeasureTruth(checkpoint, *world, *dataset, measured, run.get()));
  std::printf(
      "%lld validation images; classifier accuracy %.3f; reconstructions are read with a "
      "residual of %.1f bytes\n",
      static_cast<long long>(figures.images), figures.accuracy, figures.residual);
  nlohmann::json classes = nlohmann::json::array();
  for (const ClassTruth& truth : figures.classes) {
    const std::string& label = config.labels(static_cast<int>(truth.class_id));
    PrintClass(truth, *world, label);
    classes.push_back(ClassJson(truth, *world, label));
  }
  const nlohmann::json json = {{"images", figures.images},
                               {"accuracy", figures.accuracy},
                               {"residual", figures.residual},
                               {"factors", FactorsJson(figures, *world)},
                               {"classes", classes}};
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path("truth.json"), json.dump(2) + "\n"));
  return options.record
             ? Record(common, options.checkpoint, checkpoint, ToKnownTruth(figures, *world))
             : absl::OkStatus();
}

absl::Status WorldCommand(const WorldOptions& options) {
  WorldDatasetOptions dataset;
  dataset.output = options.output;
  dataset.resolution = options.resolution;
  dataset.train = options.train;
  dataset.validation = options.validation;
  dataset.seed = options.seed;
  dataset.correlation = options.correlation;
  dataset.doubt = options.doubt;
  if (options.mark_on.empty()) {
    STYLEX_RETURN_IF_ERROR(WriteFaces(dataset, options.rule));
  } else {
    PlantedMarkOptions mark;
    mark.source = options.mark_on;
    mark.classes = absl::StrSplit(options.classes, ',');
    mark.rho = options.rho;
    mark.side = options.mark_side;
    STYLEX_RETURN_IF_ERROR(WritePlantedMark(dataset, mark));
  }
  std::printf("wrote %s: train, val, factors.csv, world.json\n", options.output.c_str());
  return absl::OkStatus();
}

}  // namespace stylex
