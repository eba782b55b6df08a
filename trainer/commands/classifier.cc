#include "base/status_macros.h"
#include "models/device.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/training/classifier_training.h"
#include "trainer/work_directory.h"

namespace stylex {

absl::Status ClassifierCommand(const CommonOptions& common) {
  STYLEX_ASSIGN_OR_RETURN(v1::TrainConfig config, ReadTrainConfig(common));
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ChooseDevice(common.device, common.threads));
  PreferSpeed(device);
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenData(common.data, &config));
  if (!dataset->labelled()) {
    return absl::InvalidArgumentError(
        common.data + ": its images have no labels; a classifier needs some, e.g. in train/CLASS");
  }
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, kClassifierStateFile, common.resume));
  return TrainClassifier(config, *dataset, common.seed, device, run.get());
}

}  // namespace stylex
