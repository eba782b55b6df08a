#include "models/checkpoint.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/safetensors.h"
#include "models/checkpoint/version_directory.h"

namespace stylex {
namespace {

constexpr int kAttributeSchemaVersion = 1;

absl::Status CheckAttributes(const v1::AttributeIndex& index, const Stylex& model,
                             const std::string& path) {
  if (index.schema_version() != kAttributeSchemaVersion) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": schemaVersion is ",
                                                   index.schema_version(), ", expected ",
                                                   kAttributeSchemaVersion));
  }
  const int64_t coordinates = model.layout().num_conv();
  if (index.styles_size() != coordinates) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has ranges of ", index.styles_size(),
                                                   " style coordinates, the generator has ",
                                                   coordinates));
  }
  for (int i = 0; i < index.styles_size(); ++i) {
    const v1::StyleRange& range = index.styles(i);
    if (!std::isfinite(range.min()) || !std::isfinite(range.max()) || range.min() > range.max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": style coordinate ", i, " ranges from ", range.min(), " to ", range.max()));
    }
  }
  for (const v1::ClassAttributes& entry : index.classes()) {
    if (entry.class_id() < 0 || entry.class_id() >= model.num_classes()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": names class ", entry.class_id(),
                                                     ", the model has ", model.num_classes()));
    }
    for (const v1::Attribute& attribute : entry.attributes()) {
      if (attribute.index() < 0 || attribute.index() >= coordinates) {
        return absl::InvalidArgumentError(absl::StrCat(path, ": names style coordinate ",
                                                       attribute.index(), ", the generator has ",
                                                       coordinates));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTruth(const v1::KnownTruth& truth, const Stylex& model, const std::string& path) {
  if (truth.schema_version() != kKnownTruthSchemaVersion) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": schemaVersion is ",
                                                   truth.schema_version(), ", expected ",
                                                   kKnownTruthSchemaVersion));
  }
  for (const v1::ClassTruth& of_class : truth.classes()) {
    if (of_class.class_id() < 0 || of_class.class_id() >= model.num_classes()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": names class ", of_class.class_id(),
                                                     ", the model has ", model.num_classes()));
    }
    if (of_class.factors_size() != truth.factors_size()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": class ", of_class.class_id(),
                                                     " has effects of ", of_class.factors_size(),
                                                     " factors, there are ", truth.factors_size()));
    }
  }
  return absl::OkStatus();
}

bool AreItsFirst(const v1::ClassTruth& truth, const v1::ClassAttributes& of_class) {
  return truth.attributes_size() <= of_class.attributes_size() &&
         std::equal(truth.attributes().begin(), truth.attributes().end(),
                    of_class.attributes().begin(),
                    [](const v1::AttributeTruth& measured, const v1::Attribute& attribute) {
                      return measured.index() == attribute.index() &&
                             measured.direction() == attribute.direction();
                    });
}

// Earlier versions listed some coordinates that raise no class.
void DropWithoutEffect(v1::AttributeIndex* index) {
  for (v1::ClassAttributes& of_class : *index->mutable_classes()) {
    auto* attributes = of_class.mutable_attributes();
    attributes->erase(std::remove_if(attributes->begin(), attributes->end(),
                                     [](const v1::Attribute& attribute) {
                                       return !(attribute.mean_effect() > 0);
                                     }),
                      attributes->end());
  }
}

// Needs the attributes; drops what is said of attributes that are not in the index.
absl::Status ReadTruth(const VersionFiles& version, const std::string& path,
                       Checkpoint* checkpoint) {
  const auto json = version.files.find(kTruthFile);
  if (json == version.files.end()) {
    return absl::OkStatus();
  }
  v1::KnownTruth truth;
  STYLEX_RETURN_IF_ERROR(FromJson(json->second, path, &truth));
  STYLEX_RETURN_IF_ERROR(CheckTruth(truth, checkpoint->model, path));
  if (checkpoint->attributes && TruthMatches(truth, *checkpoint->attributes)) {
    checkpoint->truth = std::move(truth);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Checkpoint> LoadCheckpoint(const std::string& version_directory) {
  STYLEX_ASSIGN_OR_RETURN(VersionFiles version, ReadVersionFiles(version_directory));
  const v1::ModelConfig& config = version.config;
  const std::filesystem::path folder = version_directory;
  const std::string weights = (folder / kWeightsFile).string();
  STYLEX_ASSIGN_OR_RETURN(const SafeTensors stored,
                          ParseSafeTensors(version.files[kWeightsFile], weights));
  version.files.erase(kWeightsFile);
  Networks networks = Networks::Make(config);
  std::map<std::string, torch::Tensor> tensors = networks.NamedTensors();
  std::shared_ptr<Classifier> classifier;
  if (config.classifier().architecture() == "torchscript") {
    STYLEX_ASSIGN_OR_RETURN(
        classifier, LoadTorchScriptClassifier(
                        (folder / kClassifierFile).string(), config.image_channels(),
                        config.resolution(), config.labels_size(),
                        config.classifier().temperature(), &version.files[kClassifierFile]));
    STYLEX_RETURN_IF_ERROR(CopyTensors(stored, weights, "this model", tensors));
  } else {
    MobileNetV2 network(config.image_channels(), config.labels_size(),
                        config.classifier().width_multiplier());
    tensors.merge(NamedTensors(network, kClassifierPrefix));
    STYLEX_RETURN_IF_ERROR(CopyTensors(stored, weights, "this model", tensors));
    classifier = MakeMobileNetClassifier(network, config.classifier().temperature());
  }
  networks.SetTrainable(false);
  Checkpoint checkpoint{Stylex(config, networks, std::move(classifier)), std::nullopt,
                        std::nullopt};
  const std::string attributes = (folder / kAttributesFile).string();
  if (const auto json = version.files.find(kAttributesFile); json != version.files.end()) {
    checkpoint.attributes.emplace();
    STYLEX_RETURN_IF_ERROR(FromJson(json->second, attributes, &*checkpoint.attributes));
    STYLEX_RETURN_IF_ERROR(CheckAttributes(*checkpoint.attributes, checkpoint.model, attributes));
    DropWithoutEffect(&*checkpoint.attributes);
  }
  STYLEX_RETURN_IF_ERROR(ReadTruth(version, (folder / kTruthFile).string(), &checkpoint));
  return checkpoint;
}

bool TruthMatches(const v1::KnownTruth& truth, const v1::AttributeIndex& index) {
  return std::all_of(
      truth.classes().begin(), truth.classes().end(), [&](const v1::ClassTruth& of_class) {
        const auto listed = std::find_if(index.classes().begin(), index.classes().end(),
                                         [&](const v1::ClassAttributes& attributes) {
                                           return attributes.class_id() == of_class.class_id();
                                         });
        return listed != index.classes().end() && AreItsFirst(of_class, *listed);
      });
}

absl::StatusOr<std::string> WriteCheckpoint(const CheckpointToWrite& checkpoint,
                                            const std::string& root, const std::string& name,
                                            int64_t version, bool replace) {
  SafeTensors content;
  content.tensors = checkpoint.networks.NamedTensors();
  std::map<std::string, std::string> files;
  if (!checkpoint.torchscript_classifier.empty()) {
    STYLEX_ASSIGN_OR_RETURN(files[kClassifierFile], ReadFile(checkpoint.torchscript_classifier));
  } else {
    content.tensors.merge(NamedTensors(checkpoint.classifier, kClassifierPrefix));
  }
  STYLEX_ASSIGN_OR_RETURN(files[kWeightsFile], SerializeSafeTensors(content));
  if (checkpoint.attributes) {
    STYLEX_ASSIGN_OR_RETURN(files[kAttributesFile], ToJson(*checkpoint.attributes));
  }
  files[kCardFile] = checkpoint.model_card;
  return WriteVersion(checkpoint.config, files, root, name, version, replace);
}

absl::Status NeedAttributes(const Checkpoint& checkpoint) {
  return checkpoint.attributes ? absl::OkStatus()
                               : absl::FailedPreconditionError(
                                     "the checkpoint has no attribute index; run "
                                     "`stylex-train attributes` first");
}

}  // namespace stylex
