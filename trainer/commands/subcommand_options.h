// The options that every subcommand of `stylex-train` has.
#ifndef STYLEX_TRAINER_COMMANDS_SUBCOMMAND_OPTIONS_H_
#define STYLEX_TRAINER_COMMANDS_SUBCOMMAND_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>

#include "trainer/data/dataset.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace stylex {

struct CommonOptions {
  std::string data;
  std::string work_directory;
  std::string config;  // path; empty: preset only
  std::string preset;  // overrides the config's when set
  uint64_t seed = 1;
  std::map<std::string, std::string> classes;  // label of a class folder, see DatasetConfig
  int64_t max_pixels = kMaxTrainingPixels;
  bool resume = false;
  std::string device = "auto";
  int threads = 0;
  int crop = 0;              // overrides the config's data.crop; 0: as the config says
  std::string command_line;  // for the checkpoint's provenance
};

// Gives a subcommand the flags of CommonOptions.
void AddCommonOptions(CLI::App* command, CommonOptions* options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_SUBCOMMAND_OPTIONS_H_
