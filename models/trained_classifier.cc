#include "models/trained_classifier.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"

namespace stylex {
namespace {

constexpr char kClassifierWeightsFile[] = "classifier.safetensors";
constexpr char kClassifierConfigFile[] = "classifier.json";

absl::StatusOr<TrainedClassifier> ReadCheckpointClassifier(const std::string& directory) {
  TrainedClassifier trained;
  STYLEX_ASSIGN_OR_RETURN(trained.config, ReadVersion(directory));
  if (trained.config.classifier().architecture() == "torchscript") {
    return absl::InvalidArgumentError(absl::StrCat(directory,
                                                   ": its classifier is a TorchScript file; give ",
                                                   directory, "/", kClassifierFile));
  }
  trained.network = MakeClassifierNetwork(trained.config);
  const std::string path = absl::StrCat(directory, "/", kWeightsFile);
  STYLEX_ASSIGN_OR_RETURN(const SafeTensors content, ReadSafeTensors(path));
  SafeTensors own;
  for (const auto& [name, tensor] : content.tensors) {
    if (absl::string_view rest = name; absl::ConsumePrefix(&rest, kClassifierPrefix)) {
      own.tensors[std::string(rest)] = tensor;
    }
  }
  STYLEX_RETURN_IF_ERROR(CopyTensors(own, path, "its classifier", NamedTensors(trained.network)));
  google::protobuf::Map<std::string, double>& metrics = *trained.config.mutable_metrics();
  for (auto metric = metrics.begin(); metric != metrics.end();) {
    metric = metric->first.starts_with("classifier_") ? std::next(metric) : metrics.erase(metric);
  }
  return trained;
}

}  // namespace

MobileNetV2 MakeClassifierNetwork(const v1::ModelConfig& model) {
  return MobileNetV2(model.image_channels(), model.labels_size(),
                     model.classifier().width_multiplier());
}

absl::Status WriteTrainedClassifier(const TrainedClassifier& classifier,
                                    const std::string& directory) {
  SafeTensors content;
  content.tensors = NamedTensors(classifier.network);
  STYLEX_RETURN_IF_ERROR(
      WriteSafeTensors(content, absl::StrCat(directory, "/", kClassifierWeightsFile)));
  return WriteJsonMessage(classifier.config, absl::StrCat(directory, "/", kClassifierConfigFile));
}

absl::StatusOr<TrainedClassifier> LoadTrainedClassifier(const std::string& directory) {
  if (std::filesystem::exists(absl::StrCat(directory, "/", kModelFile))) {
    return ReadCheckpointClassifier(directory);
  }
  TrainedClassifier trained;
  STYLEX_RETURN_IF_ERROR(
      ReadJsonMessage(absl::StrCat(directory, "/", kClassifierConfigFile), &trained.config));
  trained.network = MakeClassifierNetwork(trained.config);
  const std::string path = absl::StrCat(directory, "/", kClassifierWeightsFile);
  STYLEX_ASSIGN_OR_RETURN(const SafeTensors content, ReadSafeTensors(path));
  STYLEX_RETURN_IF_ERROR(
      CopyTensors(content, path, "this classifier", NamedTensors(trained.network)));
  return trained;
}

absl::Status CheckSameTask(const std::string& path, const v1::ModelConfig& classifier,
                           const v1::ModelConfig& model) {
  const int crop = classifier.preprocessing().crop_pixels();
  if (crop > 0 && crop != model.preprocessing().crop_pixels()) {  // old ones do not tell
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the classifier was trained on central squares of ", crop,
                     " pixels, the crop here is ", model.preprocessing().crop_pixels(),
                     " (data.crop, --crop; 0: none)"));
  }
  if (classifier.resolution() == model.resolution() &&
      classifier.image_channels() == model.image_channels() &&
      classifier.labels_size() == model.labels_size()) {
    if (std::equal(classifier.labels().begin(), classifier.labels().end(),
                   model.labels().begin()) ||
        !std::is_permutation(classifier.labels().begin(), classifier.labels().end(),
                             model.labels().begin())) {
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": the classifier's classes are ", absl::StrJoin(classifier.labels(), ", "),
        ", those here the same in another order: ", absl::StrJoin(model.labels(), ", ")));
  }
  const auto task = [](const v1::ModelConfig& config) {
    return absl::StrCat(config.labels_size(), " classes of ", config.resolution(), "x",
                        config.resolution(), "x", config.image_channels(), " images");
  };
  return absl::InvalidArgumentError(absl::StrCat(path, ": the classifier was trained for ",
                                                 task(classifier), ", this run has ", task(model)));
}

}  // namespace stylex
