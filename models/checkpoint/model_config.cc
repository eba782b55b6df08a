#include "models/checkpoint/model_config.h"

#include <bit>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

void CheckLabels(const v1::ModelConfig& config, ConfigFaults* faults) {
  faults->Check(config.labels_size() >= 2 && config.labels_size() <= 1000, "number of labels",
                config.labels_size(), "2 to 1000");
  std::set<std::string> seen;
  for (const std::string& label : config.labels()) {
    faults->Check(!label.empty(), "label", "\"\"", "a name");
    faults->Check(seen.insert(label).second, "label", absl::StrCat("\"", label, "\" twice"),
                  "different labels");
  }
}

void CheckGenerator(const v1::GeneratorConfig& generator, absl::string_view prefix,
                    ConfigFaults* faults) {
  const auto name = [&](absl::string_view field) {
    return absl::StrCat(prefix, "generator.", field);
  };
  faults->Check(generator.latent_size() >= 1 && generator.latent_size() <= 2048, name("latentSize"),
                generator.latent_size(), "1 to 2048");
  faults->Check(generator.components() >= 0 && generator.components() <= generator.latent_size(),
                name("components"), generator.components(),
                absl::StrCat("0 (none) to the latent size, ", generator.latent_size()));
  faults->Check(v1::Conditioning_IsValid(generator.conditioning()), name("conditioning"),
                static_cast<int>(generator.conditioning()), "a known conditioning");
  const double scale = generator.condition_scale();
  faults->Check(scale >= 0 && scale <= 1, name("conditionScale"), scale, "0 to 1");
  faults->Check(generator.mapping_layers() >= 0 && generator.mapping_layers() <= 16,
                name("mappingLayers"), generator.mapping_layers(), "0 to 16");
  const double multiplier = generator.mapping_lr_multiplier();
  faults->Check(generator.mapping_layers() == 0 || (multiplier > 0 && multiplier <= 1),
                name("mappingLrMultiplier"), multiplier, "greater than 0, at most 1");
}

void CheckClassifier(const v1::ClassifierConfig& classifier, absl::string_view prefix,
                     ConfigFaults* faults) {
  const double width = classifier.width_multiplier();
  faults->Check(classifier.architecture() != "mobilenet_v2" || (width > 0 && width <= 4),
                absl::StrCat(prefix, "classifier.widthMultiplier"), width,
                "greater than 0, at most 4");
  const double temperature = classifier.temperature();
  faults->Check(temperature >= 0 && std::isfinite(temperature),
                absl::StrCat(prefix, "classifier.temperature"), temperature,
                "0 (read as 1) or greater");
}

}  // namespace

bool IsResolution(int resolution) {
  return resolution >= 16 && resolution <= 512 &&
         std::has_single_bit(static_cast<unsigned>(resolution));
}

bool HasEncoder(const v1::ModelConfig& config) { return config.encoder().channels_size() > 0; }

absl::Status NeedEncoder(const v1::ModelConfig& config, const std::string& origin) {
  return HasEncoder(config)
             ? absl::OkStatus()
             : absl::FailedPreconditionError(absl::StrCat(
                   origin,
                   ": has no encoder, so it explains no photograph: a plain StyleGAN2 is there to "
                   "be compared with, by `stylex-train attributes` and `stylex-train evaluate "
                   "--protocol table2` or `heldout`"));
}

void CheckChannels(const google::protobuf::RepeatedField<int32_t>& channels,
                   absl::string_view network, int resolution, ConfigFaults* faults) {
  const int levels = std::countr_zero(static_cast<unsigned>(resolution)) - 1;
  faults->Check(channels.size() == levels, absl::StrCat(network, ".channels' length"),
                channels.size(),
                absl::StrCat(levels, " (one entry each for 4, 8, ..., ", resolution, " pixels)"));
  for (const int count : channels) {
    faults->Check(count >= 1 && count <= 1024, absl::StrCat(network, ".channels"), count,
                  "1 to 1024");
  }
}

void CheckNetworks(const v1::ModelConfig& config, absl::string_view prefix, ConfigFaults* faults) {
  const int resolution = config.resolution();
  faults->Check(IsResolution(resolution), absl::StrCat(prefix, "resolution"), resolution,
                "16, 32, 64, 128, 256 or 512");
  faults->Check(config.image_channels() == 1 || config.image_channels() == 3,
                absl::StrCat(prefix, "imageChannels"), config.image_channels(),
                "1 (grey) or 3 (RGB)");
  if (IsResolution(resolution)) {
    CheckChannels(config.generator().channels(), absl::StrCat(prefix, "generator"), resolution,
                  faults);
    const bool draws_from_z = config.generator().conditioning() == v1::CONDITIONING_NONE &&
                              config.generator().mapping_layers() > 0;
    if (HasEncoder(config) || !draws_from_z) {
      CheckChannels(config.encoder().channels(), absl::StrCat(prefix, "encoder"), resolution,
                    faults);
    }
  }
  const int padded_from = config.preprocessing().padded_from();
  faults->Check(padded_from >= 0 && padded_from <= resolution,
                absl::StrCat(prefix, "preprocessing.paddedFrom"), padded_from,
                absl::StrCat("0 to the resolution, ", resolution));
  const int crop = config.preprocessing().crop_pixels();
  faults->Check(crop == 0 || crop >= resolution, absl::StrCat(prefix, "preprocessing.cropPixels"),
                crop, absl::StrCat("0 (none) or at least the resolution, ", resolution));
  CheckGenerator(config.generator(), prefix, faults);
  CheckClassifier(config.classifier(), prefix, faults);
}

absl::Status ValidateModelConfig(const v1::ModelConfig& config, const std::string& origin) {
  ConfigFaults faults;
  faults.Check(config.schema_version() >= 1 && config.schema_version() <= kModelSchemaVersion,
               "schemaVersion", config.schema_version(),
               absl::StrCat(kModelSchemaVersion, " (a greater one: written by a newer program)"));
  CheckNetworks(config, /*prefix=*/"", &faults);
  CheckLabels(config, &faults);
  const std::string& architecture = config.classifier().architecture();
  faults.Check(architecture == "mobilenet_v2" || architecture == "torchscript",
               "classifier.architecture", absl::StrCat("\"", architecture, "\""),
               "mobilenet_v2 or torchscript");
  const std::string& crop = config.preprocessing().crop();
  faults.Check(crop.empty() || crop == "center_crop" || crop == "stretch", "preprocessing.crop",
               absl::StrCat("\"", crop, "\""), "center_crop or stretch");
  return faults.ToStatus(origin);
}

}  // namespace stylex
