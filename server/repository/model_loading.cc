#include "server/repository/model_loading.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/version_directory.h"
#include "server/repository/served_model.h"

namespace stylex {
namespace {

// How much a number may change with the batch size, relative to the greatest of its kind.
constexpr double kBatchTolerance = 1e-2;

absl::Status CheckSame(const torch::Tensor& batch, const torch::Tensor& single, const char* what) {
  if (!batch.isfinite().all().item<bool>()) {
    return absl::DataLossError(absl::StrCat("the networks give ", what, " that are not finite"));
  }
  const double scale = std::max(1.0, single.abs().max().item<double>());
  const double error = (batch - single).abs().max().item<double>();
  if (error > kBatchTolerance * scale) {
    return absl::DataLossError(absl::StrCat("the networks' ", what,
                                            " depend on what else is in a batch of ", batch.size(0),
                                            ": they differ by ", error));
  }
  return absl::OkStatus();
}

// The first call of a network with a batch of a new size is slow (allocators, thread pools, kernel
// compilation); and broken weights, or a classifier whose results depend on the other images of a
// batch, are detected here rather than in an answer. Alternates with calls of models that already
// serve.
absl::Status WarmUp(const ServedModel& served, const WarmUpOptions& options) {
  const torch::NoGradGuard no_grad;
  const Stylex& model = served.model();
  const v1::ModelConfig& config = model.config();
  const torch::Tensor image =
      torch::zeros({1, config.image_channels(), config.resolution(), config.resolution()},
                   torch::TensorOptions(model.device()));
  DeviceScheduler::Turn turn(options.device, [] { return true; });
  torch::Tensor single_w, single_logits;
  for (int64_t batch = 1; batch <= options.max_batch; ++batch) {
    const torch::Tensor images = image.expand({batch, -1, -1, -1}).contiguous();
    const torch::Tensor w = model.Encode(images, model.Logits(images));
    const torch::Tensor logits = model.LogitsOfStyles(model.Styles(w));
    if (batch == 1) {
      single_w = w;
      single_logits = logits;
    }
    STYLEX_RETURN_IF_ERROR(CheckSame(w, single_w, "latents"));
    STYLEX_RETURN_IF_ERROR(CheckSame(logits, single_logits, "logits"));
    turn.Yield();
  }
  if (const int64_t largest = served.explanation_batch(); largest > options.max_batch) {
    model.LogitsOfStyles(model.Styles(single_w).Expand(largest));
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedVersion> LoadAndWarmUp(const VersionPath& version, const torch::Device& device,
                                            const WarmUpOptions& warm_up) {
  STYLEX_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(version.path));
  STYLEX_RETURN_IF_ERROR(NeedEncoder(checkpoint.model.config(), version.path));
  if (checkpoint.model.config().classifier().architecture() == "torchscript") {
    spdlog::warn(
        "model {}: its classifier is a TorchScript file, a program that runs with all that this "
        "server may do: serve only those of a source that you trust",
        version.id());
  }
  checkpoint.model.To(device);
  auto served = std::make_shared<ServedModel>(version.name, version.version, std::move(checkpoint));
  STYLEX_RETURN_IF_ERROR(WarmUp(*served, warm_up));
  LoadedVersion loaded = {.model = served,
                          .resolution = served->model().config().resolution(),
                          .labels = served->shape().labels};
  return loaded;
}

// A version is exchanged by renaming a folder, and patched by writing files.
std::string SignatureOf(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0
             ? absl::StrCat(info.st_ino, ".", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec)
             : "";
}

}  // namespace

absl::StatusOr<LoadedVersion> LoadServedModel(const VersionPath& version,
                                              const torch::Device& device,
                                              const WarmUpOptions& warm_up) {
  try {
    return LoadAndWarmUp(version, device, warm_up);
  } catch (const std::exception& exception) {
    return absl::InternalError(exception.what());
  }
}

absl::StatusOr<std::vector<VersionPath>> ListServedVersions(const std::string& root) try {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<ModelVersion> found, ListVersions(root));
  std::vector<VersionPath> versions;
  for (const ModelVersion& version : found) {
    versions.push_back({version.name, version.version, version.path, SignatureOf(version.path)});
  }
  return versions;
} catch (const std::filesystem::filesystem_error& error) {
  return absl::PermissionDeniedError(error.what());
}

}  // namespace stylex
