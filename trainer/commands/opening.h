// The first steps of every training command: reads the config, chooses the device, opens the data.
#ifndef STYLEX_TRAINER_COMMANDS_OPENING_H_
#define STYLEX_TRAINER_COMMANDS_OPENING_H_

#include <torch/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/checkpoint.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/commands/commands.h"
#include "trainer/data/dataset.h"
#include "trainer/training/run_record.h"

namespace stylex {

// The config of a command; data path and labels are filled in by OpenData.
struct GivenConfig {
  v1::TrainConfig given;     // what config file and flags say
  v1::TrainConfig resolved;  // the same over the preset
  bool anything = false;     // whether a config or a preset was named
};
absl::StatusOr<GivenConfig> ReadTrainConfig(const CommonOptions& common);

// A data set and its files.
struct OpenedData {
  std::unique_ptr<Dataset> dataset;
  std::vector<v1::DataFile> inventory;
};
// Opens the data set that the command names as the config says, writes its labels into the config's
// model, and tells on stderr what is in it (see LookOver).
absl::StatusOr<OpenedData> OpenData(const CommonOptions& common, v1::TrainConfig* config);

// The record of a run that starts with this config or, if there is a stored one, goes on with its
// (see ConfigToGoOnWith; `irrelevant` is the config's section that this kind of run does not use).
absl::StatusOr<v1::RunRecord> RecordOf(const std::optional<StoredRun>& stored,
                                       const GivenConfig& given, const std::string& irrelevant);
// Adds seed and files of the data to it.
void AddInputs(const CommonOptions& common, const OpenedData& data, v1::RunRecord* record);
// What to say when a run goes on from a state of an earlier version.
std::string FormerStateWarning(const StoredRun& stored);

// Whether a command needs the checkpoint's encoder; kOptional also accepts a plain StyleGAN2.
enum class Encoding { kNeeded, kOptional };
// Loads a version folder onto the command's device. FAILED_PRECONDITION if it has no encoder but
// one is needed.
absl::StatusOr<Checkpoint> OpenCheckpoint(const CommonOptions& common, const std::string& path,
                                          Encoding encoding = Encoding::kNeeded);
// Opens the data set that the command names for a finished model: its classes are paired with the
// model's labels by name (IDX files: by number).
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataOf(const v1::ModelConfig& model,
                                                    const CommonOptions& common);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_OPENING_H_
