#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/device.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/training/classifier_training.h"
#include "trainer/training/run_record.h"
#include "trainer/work_directory.h"

namespace stylex {

absl::Status ClassifierCommand(const CommonOptions& common) {
  STYLEX_ASSIGN_OR_RETURN(const GivenConfig given, ReadTrainConfig(common));
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ChooseDevice(common.device, common.threads));
  PreferSpeed(device);
  const std::string state_path = absl::StrCat(common.work_directory, "/", kClassifierStateFile);
  std::optional<StoredRun> stored;
  if (common.resume && std::filesystem::exists(state_path)) {
    STYLEX_ASSIGN_OR_RETURN(stored, ReadStoredRun(state_path));
  }
  STYLEX_ASSIGN_OR_RETURN(v1::RunRecord record, RecordOf(stored, given, "stylex."));
  STYLEX_ASSIGN_OR_RETURN(const OpenedData data, OpenData(common, record.mutable_config()));
  if (!data.dataset->labelled()) {
    return absl::InvalidArgumentError(
        common.data + ": its images have no labels; a classifier needs some, e.g. in train/CLASS");
  }
  AddInputs(common, data, &record);
  if (stored) {
    STYLEX_RETURN_IF_ERROR(CompareInputs(*stored, record));
  }
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, kClassifierStateFile, common.resume));
  if (stored && !stored->complete) {
    run->Warn(FormerStateWarning(*stored));
  }
  return TrainClassifier(record, *data.dataset, device, run.get());
}

}  // namespace stylex
