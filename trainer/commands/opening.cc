#include "trainer/commands/opening.h"

#include <ATen/Context.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "models/device.h"
#include "models/pixels.h"
#include "trainer/data/inventory.h"
#include "trainer/data/overview.h"
#include "trainer/training/train_config.h"

namespace stylex {

absl::StatusOr<GivenConfig> ReadTrainConfig(const CommonOptions& common) {
  GivenConfig config;
  config.anything = !common.config.empty() || !common.preset.empty();
  if (!common.config.empty()) {
    STYLEX_RETURN_IF_ERROR(ReadJsonMessage(common.config, &config.given));
  }
  if (!common.preset.empty()) {
    config.given.set_preset(common.preset);
  }
  if (common.crop > 0) {
    config.given.mutable_data()->set_crop(common.crop);
  }
  for (const auto& [folder, label] : common.classes) {
    (*config.given.mutable_data()->mutable_classes())[folder] = label;
  }
  STYLEX_ASSIGN_OR_RETURN(config.resolved, ResolveConfig(config.given));
  return config;
}

absl::StatusOr<OpenedData> OpenData(const CommonOptions& common, v1::TrainConfig* config) {
  v1::ModelConfig& model = *config->mutable_model();
  DatasetOptions options;
  static_cast<Preparation&>(options) = PreparationFor(model);
  if (const int crop = config->data().crop(); crop > 0) {
    options.crop = crop;
  }
  if (options.crop > 0 && options.crop < options.resolution) {
    return absl::InvalidArgumentError(absl::StrCat("data.crop (--crop) is ", options.crop,
                                                   ", expected at least the model's ",
                                                   options.resolution, " pixels"));
  }
  // The server must prepare photographs as training did.
  model.mutable_preprocessing()->set_crop_pixels(options.crop);
  options.max_pixels = common.max_pixels;
  options.labels = {config->data().labels().begin(), config->data().labels().end()};
  options.classes = {config->data().classes().begin(), config->data().classes().end()};
  OpenedData data;
  STYLEX_ASSIGN_OR_RETURN(data.dataset, OpenDataset(common.data, options));
  const std::vector<std::string>& labels = data.dataset->labels();
  model.mutable_labels()->Assign(labels.begin(), labels.end());
  if (const int padded_from = data.dataset->preparation().padded_from; padded_from > 0) {
    model.mutable_preprocessing()->set_padded_from(padded_from);
  }
  data.inventory = TakeInventory(*data.dataset);
  const Overview overview = LookOver(*data.dataset, data.inventory);
  for (const std::string& line : overview.lines) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  for (const std::string& warning : overview.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  STYLEX_RETURN_IF_ERROR(overview.status);
  return data;
}

absl::StatusOr<v1::RunRecord> RecordOf(const std::optional<StoredRun>& stored,
                                       const GivenConfig& given, const std::string& irrelevant) {
  v1::RunRecord record;
  *record.mutable_config() = given.resolved;
  *record.mutable_given() = given.given;
  if (stored) {
    STYLEX_ASSIGN_OR_RETURN(
        *record.mutable_config(),
        ConfigToGoOnWith(*stored, given.anything, given.given, given.resolved, irrelevant));
    if (!given.anything) {
      *record.mutable_given() = stored->record.given();
    }
    *record.mutable_precisions() = stored->record.precisions();
  }
  return record;
}

void AddInputs(const CommonOptions& common, const OpenedData& data, v1::RunRecord* record) {
  record->set_seed(common.seed);
  record->mutable_data()->Assign(data.inventory.begin(), data.inventory.end());
}

std::string FormerStateWarning(const StoredRun& stored) {
  return absl::StrCat(
      stored.path,
      ": was written by an earlier version, which did not record the data and the classifier: they "
      "are taken to be those of then, and recorded from the next saved state on");
}

absl::StatusOr<Checkpoint> OpenCheckpoint(const CommonOptions& common, const std::string& path,
                                          Encoding encoding) {
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ChooseDevice(common.device, common.threads));
  STYLEX_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(path));
  if (encoding == Encoding::kNeeded) {
    STYLEX_RETURN_IF_ERROR(NeedEncoder(checkpoint.model.config(), path));
  }
  checkpoint.model.To(device);
  return checkpoint;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataOf(const v1::ModelConfig& model,
                                                    const CommonOptions& common) {
  v1::TrainConfig config;
  *config.mutable_model() = model;
  v1::DatasetConfig& data = *config.mutable_data();
  *data.mutable_labels() = model.labels();
  data.set_crop(common.crop);
  data.mutable_classes()->insert(common.classes.begin(), common.classes.end());
  STYLEX_ASSIGN_OR_RETURN(OpenedData opened, OpenData(common, &config));
  return std::move(opened.dataset);
}

}  // namespace stylex
