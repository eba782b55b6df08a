#include "trainer/study/oracle.h"

#include <filesystem>
#include <utility>

#include "base/status_macros.h"
#include "models/trained_classifier.h"

namespace stylex {
namespace {

absl::StatusOr<Oracle> OpenOracle(const std::string& path, const v1::ModelConfig& model,
                                  const torch::Device& device) {
  Oracle oracle{path, nullptr};
  if (!std::filesystem::is_directory(path)) {
    STYLEX_ASSIGN_OR_RETURN(oracle.classifier,
                            LoadTorchScriptClassifier(path, model.image_channels(),
                                                      model.resolution(), model.labels_size(), 1));
  } else {
    STYLEX_ASSIGN_OR_RETURN(const TrainedClassifier trained, LoadTrainedClassifier(path));
    STYLEX_RETURN_IF_ERROR(CheckSameTask(path, trained.config, model));
    oracle.classifier = MakeMobileNetClassifier(trained.network, 1);
  }
  oracle.classifier->To(device);
  return oracle;
}

}  // namespace

absl::StatusOr<std::vector<Oracle>> OpenOracles(const std::vector<std::string>& paths,
                                                const v1::ModelConfig& model,
                                                const torch::Device& device) {
  std::vector<Oracle> oracles;
  for (const std::string& path : paths) {
    STYLEX_ASSIGN_OR_RETURN(Oracle oracle, OpenOracle(path, model, device));
    oracles.push_back(std::move(oracle));
  }
  return oracles;
}

}  // namespace stylex
