#include "trainer/commands/opening.h"

#include <ATen/Context.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <thread>

#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "models/device.h"
#include "models/pixels.h"
#include "trainer/training/train_config.h"

namespace stylex {

absl::StatusOr<v1::TrainConfig> ReadTrainConfig(const CommonOptions& common) {
  v1::TrainConfig overrides;
  if (!common.config.empty()) {
    STYLEX_RETURN_IF_ERROR(ReadJsonMessage(common.config, &overrides));
  }
  if (!common.preset.empty()) {
    overrides.set_preset(common.preset);
  }
  if (common.crop > 0) {
    overrides.mutable_data()->set_crop(common.crop);
  }
  return ResolveConfig(overrides);
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenData(const std::string& path,
                                                  v1::TrainConfig* config) {
  v1::ModelConfig& model = *config->mutable_model();
  DatasetOptions options;
  static_cast<Preparation&>(options) = PreparationFor(model);
  options.crop = config->data().crop();
  options.labels = {config->data().labels().begin(), config->data().labels().end()};
  STYLEX_ASSIGN_OR_RETURN(std::unique_ptr<Dataset> dataset, OpenDataset(path, options));
  model.mutable_labels()->Assign(dataset->labels().begin(), dataset->labels().end());
  // The server must prepare photographs as training did.
  if (const int padded_from = dataset->preparation().padded_from; padded_from > 0) {
    model.mutable_preprocessing()->set_padded_from(padded_from);
  }
  return dataset;
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
                                                    const std::string& path, int crop) {
  v1::TrainConfig config;
  config.mutable_data()->set_crop(crop);
  *config.mutable_model() = model;
  *config.mutable_data()->mutable_labels() = model.labels();
  return OpenData(path, &config);
}

}  // namespace stylex
