// The subcommands of `stylex-train`, one function each.
#ifndef STYLEX_TRAINER_COMMANDS_H_
#define STYLEX_TRAINER_COMMANDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace stylex {

struct CommonOptions {
  std::string data;
  std::string work_directory;
  std::string config;  // path; empty: the preset alone
  std::string preset;  // over the config's own, when set
  uint64_t seed = 1;
  bool resume = false;
  std::string device = "auto";
  int threads = 0;
  std::string command_line;  // for the checkpoint's provenance
};

struct OutputOptions {
  std::string root;
  std::string name;
  int64_t version = 0;
  bool replace = false;
};

absl::Status ClassifierCommand(const CommonOptions& common);

struct StylexOptions {
  std::string classifier;
  bool export_only = false;
};
absl::Status StylexCommand(const CommonOptions& common, const StylexOptions& options,
                           const OutputOptions& output);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_H_
