#include <torch/types.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"
#include "models/device.h"
#include "models/trained_classifier.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/training/classifier_check.h"
#include "trainer/training/lpips.h"
#include "trainer/training/model_card.h"
#include "trainer/training/precision.h"
#include "trainer/training/run_record.h"
#include "trainer/training/train_config.h"
#include "trainer/training/training_loop.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

struct FrozenClassifier {
  std::shared_ptr<Classifier> classifier;
  MobileNetV2 network{nullptr};  // built-in classifier
  std::string torchscript;       // or the path of a TorchScript file
  std::string sha256;            // of the file, or of the network's tensors
};

absl::StatusOr<FrozenClassifier> OpenTorchScript(const std::string& path, v1::ModelConfig* model) {
  FrozenClassifier frozen;
  model->mutable_classifier()->Clear();
  model->mutable_classifier()->set_architecture("torchscript");
  STYLEX_ASSIGN_OR_RETURN(
      frozen.classifier,
      LoadTorchScriptClassifier(path, model->image_channels(), model->resolution(),
                                model->labels_size(), model->classifier().temperature()));
  frozen.torchscript = path;
  STYLEX_ASSIGN_OR_RETURN(frozen.sha256, Sha256OfFile(path));
  return frozen;
}

// Copies what the classifier's training determined into the config: architecture and scores.
absl::StatusOr<FrozenClassifier> Freeze(const std::string& path, const TrainedClassifier& trained,
                                        v1::ModelConfig* model) {
  STYLEX_RETURN_IF_ERROR(CheckSameTask(path, trained.config, *model));
  FrozenClassifier frozen;
  *model->mutable_classifier() = trained.config.classifier();
  *model->mutable_metrics() = trained.config.metrics();
  frozen.network = trained.network;
  STYLEX_ASSIGN_OR_RETURN(const std::string bytes,
                          SerializeSafeTensors({NamedTensors(trained.network), {}}));
  frozen.sha256 = Sha256(bytes);
  frozen.classifier = MakeMobileNetClassifier(trained.network, model->classifier().temperature());
  return frozen;
}

// Null without a path.
absl::StatusOr<std::shared_ptr<Lpips>> OpenLpips(const std::string& path,
                                                 const v1::TrainConfig& config) {
  if (path.empty()) {
    return nullptr;
  }
  STYLEX_ASSIGN_OR_RETURN(std::shared_ptr<Lpips> lpips, Lpips::Load(path));
  const int resolution = config.model().resolution();
  if (resolution < lpips->smallest_resolution()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", lpips->trunk(), " needs images of at least ",
                     lpips->smallest_resolution(), " pixels, model.resolution is ", resolution));
  }
  if (config.stylex().weights().perceptual() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": would not be used, stylex.weights.perceptual is 0"));
  }
  return lpips;
}

// Describes the perceptual loss for the log and the model card; empty without an encoder, where
// nothing is reconstructed.
std::string PerceptualLossText(const v1::TrainConfig& config, const FrozenClassifier& frozen,
                               const Lpips* lpips) {
  if (!HasEncoder(config.model())) {
    return "";
  }
  if (lpips != nullptr) {
    return absl::StrCat("LPIPS v0.1, ", lpips->trunk(), ", weights ", lpips->sha256());
  }
  if (config.stylex().weights().perceptual() == 0) {
    return "none";
  }
  return frozen.torchscript.empty() ? "the classifier's features"
                                    : "none (a TorchScript classifier's features are not known)";
}

// What was written from a run, so that going on with a complete one does not write it again.
constexpr char kPublishedFile[] = "published.json";

absl::Status NotePublished(const std::string& work_directory, int64_t step,
                           const std::string& version) {
  return WriteFileAtomic(absl::StrCat(work_directory, "/", kPublishedFile),
                         nlohmann::json({{"step", step}, {"path", version}}).dump() + "\n");
}

// The version that was written from the state of this step; empty if none was.
std::string PublishedAt(const std::string& work_directory, int64_t step) {
  const auto file = ReadFile(absl::StrCat(work_directory, "/", kPublishedFile));
  const auto parsed = nlohmann::json::parse(file.value_or(""), nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() && parsed.value("step", int64_t{-1}) == step ? parsed.value("path", "")
                                                                         : "";
}

// One `stylex` or `stylegan2` command.
struct Command {
  const CommonOptions& common;
  const StylexOptions& options;
  const OutputOptions& output;
  GivenConfig config;

  std::string StatePath() const {
    return absl::StrCat(common.work_directory, "/", StylexStateFile(config.resolved.model()));
  }
};

// The saved run that the command goes on with or exports; none when it starts one.
absl::StatusOr<std::optional<StoredRun>> FindStoredRun(const Command& command) {
  const bool exists = std::filesystem::exists(command.StatePath());
  if (!exists && command.options.export_only) {
    return absl::NotFoundError(
        absl::StrCat(command.common.work_directory, ": holds no saved state to export"));
  }
  if (!exists || !(command.common.resume || command.options.export_only)) {
    return std::nullopt;
  }
  return ReadStoredRun(command.StatePath());
}

// What a run reads besides its config.
struct Inputs {
  OpenedData data;
  FrozenClassifier frozen;
  std::shared_ptr<Lpips> lpips;
  std::string perceptual_loss;
};

// INVALID_ARGUMENT when the config names other labels than the classifier has, in any order.
absl::Status CheckSameLabels(const std::string& path, const v1::ModelConfig& classifier,
                             const v1::DatasetConfig& data) {
  const std::set<std::string> there(classifier.labels().begin(), classifier.labels().end());
  const std::set<std::string> here(data.labels().begin(), data.labels().end());
  if (here.empty() || here == there) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": the classifier's labels are {", absl::StrJoin(classifier.labels(), ", "),
      "}, data.labels {", absl::StrJoin(data.labels(), ", "),
      "}; leave data.labels out, or say by data.classes which folder has which of its labels"));
}

// Opens everything that the record's config needs and completes the record.
absl::StatusOr<Inputs> OpenInputs(const Command& command, const torch::Device& device,
                                  v1::RunRecord* record) {
  v1::TrainConfig& config = *record->mutable_config();
  Inputs inputs;
  const std::string& path = command.options.classifier;
  if (std::filesystem::is_directory(path)) {
    STYLEX_ASSIGN_OR_RETURN(const TrainedClassifier trained, LoadTrainedClassifier(path));
    // The data's classes are numbered as the classifier's, by name.
    v1::TrainConfig as_trained = config;
    *as_trained.mutable_data()->mutable_labels() = trained.config.labels();
    STYLEX_RETURN_IF_ERROR(CheckSameLabels(path, trained.config, config.data()));
    if (const int crop = trained.config.preprocessing().crop_pixels();
        crop > 0 && config.data().crop() == 0) {
      as_trained.mutable_data()->set_crop(crop);  // it is to see what it learned from
    }
    STYLEX_ASSIGN_OR_RETURN(inputs.data, OpenData(command.common, &as_trained));
    *config.mutable_model() = as_trained.model();
    STYLEX_ASSIGN_OR_RETURN(inputs.frozen, Freeze(path, trained, config.mutable_model()));
  } else {
    STYLEX_ASSIGN_OR_RETURN(inputs.data, OpenData(command.common, &config));
    STYLEX_ASSIGN_OR_RETURN(inputs.frozen, OpenTorchScript(path, config.mutable_model()));
  }
  STYLEX_ASSIGN_OR_RETURN(inputs.lpips, OpenLpips(command.options.lpips_weights, config));
  inputs.frozen.classifier->To(device);
  if (inputs.lpips != nullptr) {
    inputs.lpips->To(device);
    record->set_lpips(inputs.lpips->sha256());
  }
  inputs.perceptual_loss = PerceptualLossText(config, inputs.frozen, inputs.lpips.get());
  record->set_classifier(inputs.frozen.sha256);
  AddInputs(command.common, inputs.data, record);
  return inputs;
}

// A user's own classifier is looked at before anything is trained.
absl::Status LookAtClassifier(const Command& command, const Inputs& inputs,
                              const torch::Device& device) {
  const std::string& path = inputs.frozen.torchscript;
  const auto warn = [](const std::string& text) {
    std::fprintf(stderr, "warning: %s\n", text.c_str());
  };
  STYLEX_ASSIGN_OR_RETURN(const ClassifierReport report,
                          CheckClassifier(*inputs.frozen.classifier, *inputs.data.dataset, device,
                                          command.common.seed, warn));
  if (!report.accuracy.empty()) {
    std::fprintf(stderr, "%s\n", report.accuracy.c_str());
  }
  if (report.faults.empty()) {
    return absl::OkStatus();
  }
  const std::string faults = absl::StrCat(path, ": ", absl::StrJoin(report.faults, "; it "));
  if (command.options.anyway) {
    warn(faults);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(faults, ". (--anyway trains nevertheless.)"));
}

// Compares with the stored run, if there is one, and takes over its last state.
absl::Status RestoreRun(const std::optional<StoredRun>& stored, const v1::RunRecord& record,
                        const Inputs& inputs, StylexTraining* training, WorkDirectory* run) {
  if (!stored) {
    if (!inputs.perceptual_loss.empty()) {
      run->Note("perceptual loss: " + inputs.perceptual_loss);
    }
    return absl::OkStatus();
  }
  STYLEX_RETURN_IF_ERROR(CompareInputs(*stored, record));
  const auto warn = [run](const std::string& text) {
    run == nullptr ? static_cast<void>(std::fprintf(stderr, "warning: %s\n", text.c_str()))
                   : run->Warn(text);
  };
  if (!stored->complete) {
    warn(FormerStateWarning(*stored));
  }
  if (run == nullptr) {
    return LoadLastState(record, stored->path, /*before_last=*/false, training, warn);
  }
  return RestoreStylexTraining(record, *inputs.data.dataset, training, run);
}

// Writes the averaged networks as a checkpoint; returns its path. FAILED_PRECONDITION if they are
// not finite.
absl::StatusOr<std::string> Export(const v1::RunRecord& record, const Command& command,
                                   const Inputs& inputs, const v1::Provenance& earlier,
                                   StylexTraining* training) {
  const v1::TrainConfig& config = record.config();
  if (const absl::Status finite = CheckFinite(training->State()); !finite.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(command.StatePath(), ": ", finite.message(),
                                                      "; no checkpoint is written from it"));
  }
  const CommonOptions& common = command.common;
  const OutputOptions& output = command.output;
  CheckpointToWrite checkpoint;
  checkpoint.config = config.model();
  checkpoint.config.set_schema_version(1);
  checkpoint.config.set_name(output.name);
  v1::Provenance& provenance = *checkpoint.config.mutable_provenance();
  provenance.set_dataset(config.data().description().empty() ? common.data
                                                             : config.data().description());
  provenance.set_training_images(inputs.data.dataset->size(Split::kTrain));
  provenance.set_images_shown(earlier.images_shown() + training->images_seen());
  provenance.set_steps(earlier.steps() + training->step());
  provenance.set_seed(common.seed);
  provenance.set_code_version(STYLEX_CODE_VERSION);
  provenance.set_created(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
  *provenance.mutable_commands() = earlier.commands();
  provenance.add_commands(common.command_line);
  provenance.set_perceptual_loss(inputs.perceptual_loss);
  provenance.set_precision(PrecisionText(record));
  checkpoint.networks = training->averaged_networks();
  checkpoint.classifier = inputs.frozen.network;
  checkpoint.torchscript_classifier = inputs.frozen.torchscript;
  checkpoint.model_card = ModelCard(checkpoint.config, std::nullopt);
  return WriteCheckpoint(checkpoint, output.root, output.name, output.version, output.replace);
}

absl::Status TrainAndExport(const Command& command) {
  const auto& [common, options, output, given] = command;
  STYLEX_RETURN_IF_ERROR(
      CheckVersionCanBeWritten(output.root, output.name, output.version, output.replace));
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ChooseDevice(common.device, common.threads));
  PreferSpeed(device);
  STYLEX_ASSIGN_OR_RETURN(const Precision precision, ChoosePrecision(options.precision, device));
  STYLEX_ASSIGN_OR_RETURN(const std::optional<StoredRun> stored, FindStoredRun(command));
  STYLEX_ASSIGN_OR_RETURN(v1::RunRecord record, RecordOf(stored, given, "classifier."));
  STYLEX_ASSIGN_OR_RETURN(Inputs inputs, OpenInputs(command, device, &record));
  if (!stored && !inputs.frozen.torchscript.empty()) {
    STYLEX_RETURN_IF_ERROR(LookAtClassifier(command, inputs, device));
  }
  std::unique_ptr<WorkDirectory> run;  // none to export: the run may be at work
  if (!options.export_only) {
    STYLEX_ASSIGN_OR_RETURN(
        run, WorkDirectory::Open(common.work_directory, StylexStateFile(record.config().model()),
                                 common.resume));
  }
  StylexTraining training(record.config(), inputs.frozen.classifier, inputs.lpips, common.seed,
                          device);
  v1::Provenance earlier;
  if (!options.start_from.empty()) {
    STYLEX_ASSIGN_OR_RETURN(const Checkpoint start, OpenCheckpoint(common, options.start_from));
    STYLEX_RETURN_IF_ERROR(training.StartFrom(start));
    earlier = start.model.config().provenance();
    record.set_started_from(training.started_from());
  }
  STYLEX_RETURN_IF_ERROR(RestoreRun(stored, record, inputs, &training, run.get()));
  if (run != nullptr && training.done()) {
    if (const std::string path = PublishedAt(common.work_directory, training.step());
        !path.empty()) {
      std::printf("the run is complete, and %s was written from it; --export-only writes another\n",
                  path.c_str());
      return absl::OkStatus();
    }
  }
  if (run != nullptr) {
    training.SetPrecision(precision);
    if (RecordPrecision(precision, training.images_seen(), &record)) {
      run->Note(absl::StrCat("computed in ", PrecisionName(precision), " from image ",
                             training.images_seen(), " on"));
    }
    STYLEX_RETURN_IF_ERROR(RunStylexTraining(record, *inputs.data.dataset, &training, run.get()));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::string path,
                          Export(record, command, inputs, earlier, &training));
  std::printf("wrote %s\n", path.c_str());
  return run == nullptr ? absl::OkStatus()
                        : NotePublished(common.work_directory, training.step(), path);
}

}  // namespace

absl::Status StylexCommand(const CommonOptions& common, const StylexOptions& options,
                           const OutputOptions& output) {
  STYLEX_ASSIGN_OR_RETURN(GivenConfig config, ReadTrainConfig(common));
  return TrainAndExport({common, options, output, std::move(config)});
}

absl::Status StyleGan2Command(const CommonOptions& common, const StylexOptions& options,
                              const OutputOptions& output) {
  STYLEX_ASSIGN_OR_RETURN(GivenConfig config, ReadTrainConfig(common));
  config.resolved = PlainStyleGan2(std::move(config.resolved));
  return TrainAndExport({common, options, output, std::move(config)});
}

}  // namespace stylex
