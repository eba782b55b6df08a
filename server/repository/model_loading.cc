#include "server/repository/model_loading.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exceptions.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/version_directory.h"
#include "server/repository/served_model.h"
#include "server/rpc/errors.h"

namespace stylex {
namespace {

// How much a number may change with the batch size, relative to the greatest of its kind.
constexpr double kBatchTolerance = 1e-2;

// What the networks make of images of the trial.
struct Answers {
  torch::Tensor logits, w, drawn;
};

Answers AnswersTo(const Stylex& model, const torch::Tensor& images) {
  Answers answers;
  answers.logits = model.Logits(images);
  answers.w = model.Encode(images, answers.logits);
  answers.drawn = model.LogitsOfStyles(model.Styles(answers.w));
  return answers;
}

// A few images that differ: with equal ones a classifier that computes statistics of the batch
// would pass.
constexpr int64_t kDifferentImages = 4;

// Images `first`, `first` + 1, ... of the trial, [batch, C, R, R] in [-1, 1]: waves of different
// directions and brightness, the same each time.
torch::Tensor TrialImages(const v1::ModelConfig& config, int64_t first, int64_t batch) {
  const int64_t side = config.resolution();
  const torch::Tensor line = torch::linspace(0, 6.28, side);
  std::vector<torch::Tensor> images;
  for (int64_t i = first; i < first + batch; ++i) {
    const double kind = static_cast<double>(i % kDifferentImages);
    const torch::Tensor waves =
        torch::sin(line.view({1, side}) * (1 + kind) + line.view({side, 1}) * (3 - kind));
    images.push_back((0.4 * waves + 0.2 * kind - 0.3).expand({config.image_channels(), -1, -1}));
  }
  return torch::stack(images);
}

// `of_batch` and `single` are one image's.
absl::Status CheckSame(const torch::Tensor& of_batch, const torch::Tensor& single, int64_t batch,
                       const char* what) {
  if (!of_batch.isfinite().all().item<bool>()) {
    return absl::DataLossError(absl::StrCat("the networks give ", what, " that are not finite"));
  }
  const double scale = std::max(1.0, single.abs().max().item<double>());
  const double error = (of_batch - single).abs().max().item<double>();
  if (error > kBatchTolerance * scale) {
    return absl::DataLossError(absl::StrCat("the networks' ", what,
                                            " depend on what else is in a batch of ", batch,
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
  DeviceScheduler::Turn turn(options.device, [] { return true; });
  std::vector<Answers> alone;
  for (int64_t i = 0; i < kDifferentImages; ++i) {
    alone.push_back(AnswersTo(model, TrialImages(config, i, 1).to(model.device())));
    turn.Yield();
  }
  for (const int64_t batch : BatchSizes(options.max_batch)) {
    const Answers together = AnswersTo(model, TrialImages(config, 0, batch).to(model.device()));
    for (int64_t i = 0; i < batch; ++i) {
      const Answers& single = alone[static_cast<size_t>(i % kDifferentImages)];
      STYLEX_RETURN_IF_ERROR(CheckSame(together.w.narrow(0, i, 1), single.w, batch, "latents"));
      STYLEX_RETURN_IF_ERROR(
          CheckSame(together.logits.narrow(0, i, 1), single.logits, batch, "logits"));
      STYLEX_RETURN_IF_ERROR(
          CheckSame(together.drawn.narrow(0, i, 1), single.drawn, batch, "logits of drawn images"));
    }
    turn.Yield();
  }
  if (const int64_t largest = served.explanation_batch(); largest > options.max_batch) {
    model.LogitsOfStyles(model.Styles(alone[0].w).Expand(largest));
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

// Changes whenever a file of the version does: whether a folder is renamed into place, files are
// copied one by one, or one is overwritten.
std::string SignatureOf(const std::string& path) {
  std::vector<std::string> files;
  std::error_code ignored;
  std::filesystem::directory_iterator entry(path, ignored);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    struct stat info = {};
    // The model card may be edited.
    if (entry->path().filename() != kCardFile && stat(entry->path().c_str(), &info) == 0) {
      files.push_back(absl::StrCat(entry->path().filename().string(), ":", info.st_ino, ":",
                                   info.st_size, ":", info.st_mtim.tv_sec, ".",
                                   info.st_mtim.tv_nsec));
    }
  }
  std::sort(files.begin(), files.end());
  return absl::StrJoin(files, ";");
}

}  // namespace

std::vector<int64_t> BatchSizes(int64_t largest) {
  constexpr int64_t kEach = 8;
  std::vector<int64_t> sizes;
  for (int64_t size = 1; size < largest; size += size < kEach ? 1 : size) {
    sizes.push_back(size);
  }
  sizes.push_back(largest);
  return sizes;
}

absl::StatusOr<LoadedVersion> LoadServedModel(const VersionPath& version,
                                              const torch::Device& device,
                                              const WarmUpOptions& warm_up) {
  absl::StatusOr<LoadedVersion> loaded =
      WithoutExceptions([&] { return LoadAndWarmUp(version, device, warm_up); });
  if (IsOutOfMemory(loaded.status().message())) {  // LibTorch's allocators say so in words
    return absl::ResourceExhaustedError(loaded.status().message());
  }
  return loaded;
}

void StrayFolders::Warn(const std::string& root) {
  for (const std::string& stray : StrayVersions(root)) {
    if (warned_.insert(stray).second) {
      spdlog::warn("{}", stray);
    }
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
