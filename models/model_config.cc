#include "models/model_config.h"

#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace stylex {
namespace {

using Channels = google::protobuf::RepeatedField<int32_t>;

class Faults {
 public:
  template <typename Value>
  void Check(bool ok, absl::string_view field, const Value& value, absl::string_view expected) {
    if (!ok) {
      faults_.push_back(absl::StrCat(field, " is ", value, ", expected ", expected));
    }
  }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  std::vector<std::string> faults_;
};

void CheckChannels(const Channels& channels, absl::string_view network, int resolution,
                   Faults* faults) {
  const int levels = std::countr_zero(static_cast<unsigned>(resolution)) - 1;
  faults->Check(channels.size() == levels, absl::StrCat(network, ".channels' length"),
                channels.size(),
                absl::StrCat(levels, " (one entry each for 4, 8, ..., ", resolution, " pixels)"));
  for (const int count : channels) {
    faults->Check(count >= 1 && count <= 1024, absl::StrCat(network, ".channels"), count,
                  "1 to 1024");
  }
}

void CheckLabels(const v1::ModelConfig& config, Faults* faults) {
  faults->Check(config.labels_size() >= 2 && config.labels_size() <= 1000, "number of labels",
                config.labels_size(), "2 to 1000");
  std::set<std::string> seen;
  for (const std::string& label : config.labels()) {
    faults->Check(!label.empty(), "label", "\"\"", "a name");
    faults->Check(seen.insert(label).second, "label", absl::StrCat("\"", label, "\" twice"),
                  "different labels");
  }
}

void CheckGenerator(const v1::GeneratorConfig& generator, Faults* faults) {
  faults->Check(generator.latent_size() >= 1 && generator.latent_size() <= 2048,
                "generator.latentSize", generator.latent_size(), "1 to 2048");
  faults->Check(v1::Conditioning_IsValid(generator.conditioning()), "generator.conditioning",
                generator.conditioning(), "a known conditioning");
  const double scale = generator.condition_scale();
  faults->Check(scale >= 0 && scale <= 1, "generator.conditionScale", scale, "0 to 1");
  faults->Check(generator.mapping_layers() >= 0 && generator.mapping_layers() <= 16,
                "generator.mappingLayers", generator.mapping_layers(), "0 to 16");
  const double multiplier = generator.mapping_lr_multiplier();
  faults->Check(generator.mapping_layers() == 0 || (multiplier > 0 && multiplier <= 1),
                "generator.mappingLrMultiplier", multiplier, "greater than 0, at most 1");
}

void CheckClassifier(const v1::ClassifierConfig& classifier, Faults* faults) {
  const bool built_in = classifier.architecture() == "mobilenet_v2";
  faults->Check(built_in || classifier.architecture() == "torchscript", "classifier.architecture",
                absl::StrCat("\"", classifier.architecture(), "\""), "mobilenet_v2 or torchscript");
  const double width = classifier.width_multiplier();
  faults->Check(!built_in || (width > 0 && width <= 4), "classifier.widthMultiplier", width,
                "greater than 0, at most 4");
  const double temperature = classifier.temperature();
  faults->Check(temperature >= 0 && std::isfinite(temperature), "classifier.temperature",
                temperature, "0 (read as 1) or greater");
}

}  // namespace

absl::Status ValidateModelConfig(const v1::ModelConfig& config, const std::string& origin) {
  Faults faults;
  faults.Check(config.schema_version() >= 1 && config.schema_version() <= kModelSchemaVersion,
               "schemaVersion", config.schema_version(),
               absl::StrCat(kModelSchemaVersion, " (a greater one: written by a newer program)"));
  const int resolution = config.resolution();
  const bool resolution_ok = resolution >= 16 && resolution <= 256 &&
                             std::has_single_bit(static_cast<unsigned>(resolution));
  faults.Check(resolution_ok, "resolution", resolution, "16, 32, 64, 128 or 256");
  faults.Check(config.image_channels() == 1 || config.image_channels() == 3, "imageChannels",
               config.image_channels(), "1 (grey) or 3 (RGB)");
  if (resolution_ok) {
    CheckChannels(config.generator().channels(), "generator", resolution, &faults);
    CheckChannels(config.encoder().channels(), "encoder", resolution, &faults);
  }
  CheckLabels(config, &faults);
  CheckGenerator(config.generator(), &faults);
  CheckClassifier(config.classifier(), &faults);
  const std::string& crop = config.preprocessing().crop();
  faults.Check(crop.empty() || crop == "center_crop" || crop == "stretch", "preprocessing.crop",
               absl::StrCat("\"", crop, "\""), "center_crop or stretch");
  if (faults.faults().empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(origin, ": ", absl::StrJoin(faults.faults(), "; ")));
}

}  // namespace stylex
