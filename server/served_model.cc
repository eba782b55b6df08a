#include "server/served_model.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/model_config.h"
#include "models/version_directory.h"

namespace stylex {
namespace {

constexpr int64_t kMaxSearchBatch = 64;

// Multiply-adds of the generator's 3x3 convolutions for one image.
double GeneratorMacs(const v1::GeneratorConfig& config) {
  double macs = 0;
  double side = 4;
  double in = config.channels_size() > 0 ? config.channels(0) : 0;
  for (const int32_t out : config.channels()) {
    macs += 9 * side * side * out * (side == 4 ? in : in + out);
    in = out;
    side *= 2;
  }
  return macs;
}

// How many variants of an image are computed at once: of `macs` multiply-adds together, on a CPU.
int64_t BatchOf(const Stylex& model, double macs, double fewest) {
  if (model.device().is_cuda()) {
    return kMaxSearchBatch;
  }
  const double each = std::max(1.0, GeneratorMacs(model.config().generator()));
  return static_cast<int64_t>(
      std::clamp(macs / each, fewest, static_cast<double>(kMaxSearchBatch)));
}

// A chunk of a search is what an Encode may have to wait for, so on a CPU it should take no longer
// than an Encode does. Measured on 2 cores with bench/serving, a search computing on both: p99 of
// Encode beside it was 15.4 ms with 2e8, 10.2 ms with 1e8 and about as much, with shorter waits,
// with 6e7, which makes the search itself 9 % slower than 2e8 does.
int64_t SearchBatch(const Stylex& model) { return BatchOf(model, 6e7, 2); }

// An explanation of one image is short, and somebody waits for it: its chunks are larger.
int64_t ExplanationBatch(const Stylex& model) { return BatchOf(model, 4e8, 4); }

ModelShape MakeShape(const std::string& name, int64_t version, const Checkpoint& checkpoint) {
  const Stylex& model = checkpoint.model;
  const auto& labels = model.config().labels();
  return {
      .id = absl::StrCat(name, "/", version),
      .labels = {labels.begin(), labels.end()},
      .latent_size = model.w_size(),
      .num_styles = model.layout().num_conv(),
      .num_to_rgb_styles = model.layout().num_rgb(),
      .has_ranges = checkpoint.attributes.has_value() && checkpoint.attributes->styles_size() > 0};
}

// How far a number may move with the size of its batch, relative to the greatest of its kind.
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

// The first call of a network with a batch of some size is slow (allocators, thread pools, kernels
// made for it), and broken weights or a classifier that mixes images show here rather than in
// someone's answer. Takes turns with the calls of models that serve already.
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

// A version is exchanged by renaming another folder into its place, and patched by writing files.
std::string SignatureOf(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0
             ? absl::StrCat(info.st_ino, ".", info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec)
             : "";
}

}  // namespace

ServedModel::ServedModel(std::string name, int64_t version, Checkpoint checkpoint)
    : checkpoint_(std::move(checkpoint)),
      passes_(&checkpoint_.model),
      name_(std::move(name)),
      version_(version),
      shape_(MakeShape(name_, version_, checkpoint_)),
      search_batch_(SearchBatch(checkpoint_.model)),
      explanation_batch_(ExplanationBatch(checkpoint_.model)) {
  if (shape_.has_ranges) {
    ranges_ = RangesFromIndex(*checkpoint_.attributes);
  }
}

const v1::ClassAttributes* ServedModel::AttributesOf(int64_t class_id) const {
  if (checkpoint_.attributes.has_value()) {
    for (const v1::ClassAttributes& of_class : checkpoint_.attributes->classes()) {
      if (of_class.class_id() == class_id) {
        return &of_class;
      }
    }
  }
  return nullptr;
}

v1::Model ServedModel::Describe() const {
  const v1::ModelConfig& config = model().config();
  v1::Model out;
  v1::ModelSummary* summary = out.mutable_summary();
  summary->set_name(name_);
  summary->set_version(version_);
  summary->set_state(v1::MODEL_STATE_READY);
  summary->set_resolution(config.resolution());
  *summary->mutable_labels() = config.labels();
  out.set_image_channels(config.image_channels());
  out.set_latent_size(static_cast<int32_t>(shape_.latent_size));
  out.set_num_styles(static_cast<int32_t>(shape_.num_styles));
  out.set_num_to_rgb_styles(static_cast<int32_t>(shape_.num_to_rgb_styles));
  for (const int64_t coordinates : model().layout().conv) {
    out.add_layer_styles(static_cast<int32_t>(coordinates));
  }
  *out.mutable_generator() = config.generator();
  *out.mutable_encoder() = config.encoder();
  *out.mutable_classifier() = config.classifier();
  if (attributes().has_value()) {
    *out.mutable_attributes() = *attributes();
    out.mutable_attributes()->clear_styles();
  }
  *out.mutable_metrics() = config.metrics();
  *out.mutable_provenance() = config.provenance();
  out.set_num_parameters(model().NumParameters());
  return out;
}

v1::Attribute ServedModel::DescribeAttribute(Coordinate coordinate, int64_t target) const {
  v1::Attribute out;
  out.set_index(static_cast<int32_t>(coordinate.index));
  out.set_layer(static_cast<int32_t>(model().layout().LayerOf(coordinate.index)));
  out.set_channel(static_cast<int32_t>(model().layout().ChannelOf(coordinate.index)));
  out.set_direction(ToProto(coordinate.direction));
  if (const v1::ClassAttributes* stored = AttributesOf(target)) {
    for (const v1::Attribute& attribute : stored->attributes()) {
      if (attribute.index() == out.index() && attribute.direction() == out.direction()) {
        out.set_name(attribute.name());
      }
    }
  }
  return out;
}

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
