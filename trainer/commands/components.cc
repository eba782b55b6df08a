#include "explain/components.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/data/encoded_images.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr char kNoState[] = "components_state";  // never written: the command takes a minute

// The encoder's latents of training images, without the condition, [N, L] on the CPU.
absl::StatusOr<torch::Tensor> LatentsOfTraining(const Stylex& model, const Dataset& dataset,
                                                int64_t limit, WorkDirectory* run) {
  const int64_t length = model.config().generator().latent_size();
  std::vector<torch::Tensor> latents;
  STYLEX_RETURN_IF_ERROR(
      ForEachTrainingLatent(model, dataset, limit, "latents", run, [&](const torch::Tensor& w) {
        latents.push_back(w.narrow(1, 0, length).to(torch::kCPU).contiguous());
      }));
  return torch::cat(latents);
}

// The checkpoint's files, with the components among the weights.
absl::StatusOr<std::map<std::string, std::string>> FilesWith(const Components& components,
                                                             const std::string& version,
                                                             const v1::ModelConfig& config) {
  STYLEX_ASSIGN_OR_RETURN(SafeTensors weights,
                          ReadSafeTensors(absl::StrCat(version, "/", kWeightsFile)));
  weights.tensors["generator.components_mean"] = components.basis.mean;
  weights.tensors["generator.components_basis"] = components.basis.basis;
  weights.tensors["generator.components_readout"] = components.basis.readout;
  std::map<std::string, std::string> files;
  STYLEX_ASSIGN_OR_RETURN(files[kWeightsFile], SerializeSafeTensors(weights));
  if (config.classifier().architecture() == "torchscript") {
    STYLEX_ASSIGN_OR_RETURN(files[kClassifierFile],
                            ReadFile(absl::StrCat(version, "/", kClassifierFile)));
  }
  files[kCardFile] = ModelCard(config, std::nullopt);
  return files;
}

void Print(const Components& components) {
  std::printf("%lld components, %.2f %% of the latents' variance; excess kurtosis of each:\n ",
              static_cast<long long>(components.count), 100 * components.variance);
  for (int64_t k = 0; k < components.count; ++k) {
    std::printf(" %.2f", components.kurtosis[k].item<double>());
  }
  std::printf("\n");
}

}  // namespace

absl::Status ComponentsCommand(const CommonOptions& common, const ComponentsOptions& options,
                               const OutputOptions& output) {
  const torch::NoGradGuard no_grad;
  STYLEX_RETURN_IF_ERROR(
      CheckVersionCanBeWritten(output.root, output.name, output.version, output.replace));
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  v1::ModelConfig config = checkpoint.model.config();
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataOf(config, common));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<WorkDirectory> run,
                          WorkDirectory::Open(common.work_directory, kNoState, /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const torch::Tensor latents,
                          LatentsOfTraining(checkpoint.model, *dataset, options.images, run.get()));
  ComponentOptions sought;
  sought.count = options.count;
  sought.variance = options.variance;
  STYLEX_ASSIGN_OR_RETURN(const Components components,
                          FindComponents(latents, ConditionSize(config), sought));
  Print(components);
  config.set_name(output.name);
  config.mutable_generator()->set_components(static_cast<int32_t>(components.count));
  config.clear_metrics();  // measured in other coordinates
  v1::Provenance& provenance = *config.mutable_provenance();
  provenance.add_commands(common.command_line);
  provenance.set_created(absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()));
  using Files = std::map<std::string, std::string>;
  STYLEX_ASSIGN_OR_RETURN(const Files files, FilesWith(components, options.checkpoint, config));
  STYLEX_ASSIGN_OR_RETURN(
      const std::string path,
      WriteVersion(config, files, output.root, output.name, output.version, output.replace));
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace stylex
