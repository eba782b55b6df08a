// How versions of the model repository's folder are found, loaded and warmed up.
#ifndef STYLEX_SERVER_REPOSITORY_MODEL_LOADING_H_
#define STYLEX_SERVER_REPOSITORY_MODEL_LOADING_H_

#include <torch/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/repository/model_repository.h"
#include "server/scheduling/device_scheduler.h"

namespace stylex {

struct WarmUpOptions {
  DeviceScheduler* device = nullptr;
  int64_t max_batch = 1;  // largest batch that calls may share
};

// The sizes of batches that a model is warmed up with: every size up to 8; beyond, where trying
// each would take minutes, powers of two and the largest.
std::vector<int64_t> BatchSizes(int64_t largest);

// Loads a version, moves it to the device, and warms it up with batches of BatchSizes: results for
// different images must be finite and must not depend on the batch. LibTorch's exceptions become
// INTERNAL with their cause, or RESOURCE_EXHAUSTED where memory was wanting.
absl::StatusOr<LoadedVersion> LoadServedModel(const VersionPath& version,
                                              const torch::Device& device,
                                              const WarmUpOptions& warm_up);

// Logs a warning, once for each, of folders under `root` whose names are no versions.
class StrayFolders {
 public:
  void Warn(const std::string& root);

 private:
  std::set<std::string> warned_;
};

// Every NAME/VERSION under `root`; see models/checkpoint/version_directory.h.
absl::StatusOr<std::vector<VersionPath>> ListServedVersions(const std::string& root);

}  // namespace stylex

#endif  // STYLEX_SERVER_REPOSITORY_MODEL_LOADING_H_
