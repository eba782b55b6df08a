#include <torch/types.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/model_config.h"
#include "models/device.h"
#include "models/trained_classifier.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/training/lpips.h"
#include "trainer/training/model_card.h"
#include "trainer/training/train_config.h"
#include "trainer/training/training_loop.h"

namespace stylex {
namespace {

struct FrozenClassifier {
  std::shared_ptr<Classifier> classifier;
  MobileNetV2 network{nullptr};  // built-in classifier
  std::string torchscript;       // or the path of a TorchScript file
};

// Copies what the classifier's training determined into the config: architecture, labels and
// scores.
absl::StatusOr<FrozenClassifier> OpenClassifier(const std::string& path, v1::ModelConfig* model) {
  FrozenClassifier frozen;
  if (path.ends_with(".pt")) {
    model->mutable_classifier()->Clear();
    model->mutable_classifier()->set_architecture("torchscript");
    STYLEX_ASSIGN_OR_RETURN(
        frozen.classifier,
        LoadTorchScriptClassifier(path, model->image_channels(), model->resolution(),
                                  model->labels_size(), model->classifier().temperature()));
    frozen.torchscript = path;
    return frozen;
  }
  STYLEX_ASSIGN_OR_RETURN(TrainedClassifier trained, LoadTrainedClassifier(path));
  STYLEX_RETURN_IF_ERROR(CheckSameTask(path, trained.config, *model));
  *model->mutable_classifier() = trained.config.classifier();
  *model->mutable_labels() = trained.config.labels();
  *model->mutable_metrics() = trained.config.metrics();
  frozen.network = trained.network;
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

absl::Status Export(const v1::TrainConfig& config, const CommonOptions& common,
                    const OutputOptions& output, const FrozenClassifier& frozen,
                    const std::string& perceptual_loss, const Dataset& dataset,
                    const v1::Provenance& earlier, const StylexTraining& training) {
  CheckpointToWrite checkpoint;
  checkpoint.config = config.model();
  checkpoint.config.set_schema_version(1);
  checkpoint.config.set_name(output.name);
  v1::Provenance& provenance = *checkpoint.config.mutable_provenance();
  provenance.set_dataset(config.data().description().empty() ? common.data
                                                             : config.data().description());
  provenance.set_training_images(dataset.size(Split::kTrain));
  provenance.set_images_shown(earlier.images_shown() + training.images_seen());
  provenance.set_steps(earlier.steps() + training.step());
  provenance.set_seed(common.seed);
  provenance.set_code_version(STYLEX_CODE_VERSION);
  provenance.set_created(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
  *provenance.mutable_commands() = earlier.commands();
  provenance.add_commands(common.command_line);
  provenance.set_perceptual_loss(perceptual_loss);
  checkpoint.networks = training.averaged_networks();
  checkpoint.classifier = frozen.network;
  checkpoint.torchscript_classifier = frozen.torchscript;
  checkpoint.model_card = ModelCard(checkpoint.config, std::nullopt);
  STYLEX_ASSIGN_OR_RETURN(
      const std::string path,
      WriteCheckpoint(checkpoint, output.root, output.name, output.version, output.replace));
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

// `config` must be resolved.
absl::Status TrainAndExport(v1::TrainConfig config, const CommonOptions& common,
                            const StylexOptions& options, const OutputOptions& output) {
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ChooseDevice(common.device, common.threads));
  PreferSpeed(device);
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenData(common.data, &config));
  STYLEX_ASSIGN_OR_RETURN(FrozenClassifier frozen,
                          OpenClassifier(options.classifier, config.mutable_model()));
  STYLEX_ASSIGN_OR_RETURN(const std::shared_ptr<Lpips> lpips,
                          OpenLpips(options.lpips_weights, config));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, StylexStateFile(config.model()),
                          common.resume || options.export_only));
  frozen.classifier->To(device);
  if (lpips != nullptr) {
    lpips->To(device);
  }
  const std::string perceptual_loss = PerceptualLossText(config, frozen, lpips.get());
  StylexTraining training(config, frozen.classifier, lpips, common.seed, device);
  v1::Provenance earlier;
  if (!options.start_from.empty()) {
    STYLEX_ASSIGN_OR_RETURN(const Checkpoint start, OpenCheckpoint(common, options.start_from));
    STYLEX_RETURN_IF_ERROR(training.StartFrom(start));
    earlier = start.model.config().provenance();
  }
  if (run->resuming()) {
    STYLEX_RETURN_IF_ERROR(RestoreStylexTraining(config, &training, run.get()));
  } else if (options.export_only) {
    return absl::NotFoundError(
        absl::StrCat(common.work_directory, ": holds no saved state to export"));
  } else if (!perceptual_loss.empty()) {
    run->Note("perceptual loss: " + perceptual_loss);
  }
  if (!options.export_only) {
    STYLEX_RETURN_IF_ERROR(RunStylexTraining(config, *dataset, common.seed, &training, run.get()));
  }
  return Export(config, common, output, frozen, perceptual_loss, *dataset, earlier, training);
}

}  // namespace

absl::Status StylexCommand(const CommonOptions& common, const StylexOptions& options,
                           const OutputOptions& output) {
  STYLEX_ASSIGN_OR_RETURN(v1::TrainConfig config, ReadTrainConfig(common));
  return TrainAndExport(std::move(config), common, options, output);
}

absl::Status StyleGan2Command(const CommonOptions& common, const StylexOptions& options,
                              const OutputOptions& output) {
  STYLEX_ASSIGN_OR_RETURN(v1::TrainConfig config, ReadTrainConfig(common));
  return TrainAndExport(PlainStyleGan2(std::move(config)), common, options, output);
}

}  // namespace stylex
