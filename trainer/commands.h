// The subcommands of `stylex-train`, one function each.
#ifndef STYLEX_TRAINER_COMMANDS_H_
#define STYLEX_TRAINER_COMMANDS_H_

#include <cstdint>
#include <string>
#include <vector>

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
  int crop = 0;              // over the config's own, see DatasetConfig; 0: as that says
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
  std::string start_from;     // version folder, see StylexTraining::StartFrom; empty: from nothing
  std::string lpips_weights;  // see Lpips::Load; empty: the classifier's features instead
  bool export_only = false;
};
absl::Status StylexCommand(const CommonOptions& common, const StylexOptions& options,
                           const OutputOptions& output);
// The plain StyleGAN2 of the same config, see PlainStyleGan2; `lpips_weights` is not for it.
absl::Status StyleGan2Command(const CommonOptions& common, const StylexOptions& options,
                              const OutputOptions& output);

struct AttributesOptions {
  std::string checkpoint;    // version directory; the index is written into it
  int64_t images = 256;      // training images that AttFind evaluates
  int64_t range_images = 0;  // training images the ranges are taken over; 0: all
  int64_t max_attributes = 32;
  double shift = 1;
  double explained_at = 2.5;
  bool subset = false;    // joint greedy instead of independent
  bool screened = false;  // only moves that gradients do not rule out; not with `subset`
  // Attributes of less than this share of the strongest one's mean effect are left out.
  double least_effect = 0;
};
absl::Status AttributesCommand(const CommonOptions& common, const AttributesOptions& options);

struct ComponentsOptions {
  std::string checkpoint;  // version directory, which stays as it is
  int64_t images = 0;      // training images; 0: all
  int64_t count = 0;       // see ComponentOptions (explain/components.h)
  double variance = 0.97;
};
// Writes a version whose style coordinates are independent directions of the latent. Without
// attributes: `attributes` is to be run on it.
absl::Status ComponentsCommand(const CommonOptions& common, const ComponentsOptions& options,
                               const OutputOptions& output);

struct NameOptions {
  std::string checkpoint;
  std::vector<std::string> names;  // INDEX:min=NAME or INDEX:max=NAME; an empty name takes it away
};
// Writes people's words for attributes into a checkpoint's index: all or none. Of `common`, the
// device only.
absl::Status NameCommand(const CommonOptions& common, const NameOptions& options);

struct EvaluateOptions {
  std::string checkpoint;
  int64_t flip_images = 0;  // validation images whose flips are searched; 0: all
  // See FlipOptions.
  int64_t candidates = 96;
  int64_t joint_candidates = 32;
  int64_t beam = 8;
  bool record = true;                // write the figures into the checkpoint
  bool reconstruction_only = false;  // no flips, whose search takes longest and needs attributes
};
absl::Status EvaluateCommand(const CommonOptions& common, const EvaluateOptions& options);

}  // namespace stylex

#endif  // STYLEX_TRAINER_COMMANDS_H_
