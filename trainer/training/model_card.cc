#include "trainer/training/model_card.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "explain/style_space.h"
#include "models/checkpoint/model_config.h"
#include "models/checkpoint/version_directory.h"

namespace stylex {
namespace {

constexpr int kAttributesShown = 4;
constexpr char kFiguresHeading[] = "## Figures\n";
constexpr std::array<std::string_view, 4> kHeadings = {"## Architecture", "## Provenance",
                                                       "## Figures", "## Attributes"};

std::string ChannelList(const google::protobuf::RepeatedField<int32_t>& channels) {
  return absl::StrJoin(channels, ", ");
}

std::string ConditioningText(const v1::GeneratorConfig& generator) {
  switch (generator.conditioning()) {
    case v1::CONDITIONING_NONE:
      return "none";
    case v1::CONDITIONING_LOGITS:
      return "the classifier's logits";
    default:
      return generator.condition_scale() == 0 || generator.condition_scale() == 1
                 ? "the classifier's probabilities"
                 : absl::StrCat("the classifier's probabilities, times ",
                                generator.condition_scale());
  }
}

std::string Architecture(const v1::ModelConfig& config) {
  return absl::StrCat(
      "| | |\n| --- | --- |\n", "| images | ", config.resolution(), "x", config.resolution(), ", ",
      config.image_channels() == 1 ? "grey" : "RGB", " |\n| classes | ",
      absl::StrJoin(config.labels(), ", "), " |\n| classifier | ",
      config.classifier().architecture(),
      config.classifier().width_multiplier() > 0
          ? absl::StrCat(", width ", config.classifier().width_multiplier())
          : "",
      " |\n| generator | StyleGAN2, channels ", ChannelList(config.generator().channels()),
      ", latent ", config.generator().latent_size(),
      ", condition: ", ConditioningText(config.generator()), " |\n",
      config.generator().components() > 0
          ? absl::StrCat("| style coordinates | ", config.generator().components(),
                         " independent directions of the latent |\n")
          : "",
      "| encoder | ",
      HasEncoder(config) ? absl::StrCat("channels ", ChannelList(config.encoder().channels()))
                         : absl::StrCat("none; mapping network of ",
                                        config.generator().mapping_layers(), " layers"),
      " |\n");
}

std::string ProvenanceSection(const v1::Provenance& provenance) {
  std::string text =
      absl::StrCat("Data: ", provenance.dataset(), ". ", provenance.training_images(),
                   " training images, shown ", provenance.images_shown(), " times in all (",
                   provenance.steps(), " steps). Seed ", provenance.seed(), ", code ",
                   provenance.code_version(), ", written ", provenance.created(), ".\n\n",
                   provenance.perceptual_loss().empty()
                       ? ""
                       : absl::StrCat("Perceptual loss: ", provenance.perceptual_loss(), ".\n\n"),
                   provenance.precision().empty()
                       ? ""
                       : absl::StrCat("Computed in: ", provenance.precision(), ".\n\n"),
                   "Made by these commands, in order:\n\n```sh\n");
  for (const std::string& command : provenance.commands()) {
    absl::StrAppend(&text, command, "\n");
  }
  return text + "```\n";
}

std::string Metrics(const v1::ModelConfig& config) {
  if (config.metrics().empty()) {
    return "None yet: run `stylex-train evaluate`.\n";
  }
  std::vector<std::string> rows;
  for (const auto& [name, value] : config.metrics()) {
    rows.push_back(absl::StrFormat("| %s | %.6g |", name, value));
  }
  std::sort(rows.begin(), rows.end());
  return absl::StrCat("| figure | value |\n| --- | --- |\n", absl::StrJoin(rows, "\n"), "\n");
}

std::string Attributes(const v1::ModelConfig& config, const v1::AttributeIndex& index) {
  std::string text = absl::StrCat(
      "AttFind over ", index.search_images(),
      HasEncoder(config) ? " training images" : " images drawn from z", ", ranges over ",
      index.range_images(), ", shift ", index.shift(),
      ". Mean effect on the target's logit, and the share of images that one attribute flips on "
      "its own:\n\n| towards | coordinate | direction | mean effect | flips alone |\n"
      "| --- | --- | --- | --- | --- |\n");
  for (const v1::ClassAttributes& entry : index.classes()) {
    for (int i = 0; i < std::min(kAttributesShown, entry.attributes_size()); ++i) {
      const v1::Attribute& attribute = entry.attributes(i);
      absl::StrAppend(
          &text,
          absl::StrFormat("| %s | %d (layer %d, channel %d)%s | %s | %.2f | %.1f %% |\n",
                          config.labels(entry.class_id()), attribute.index(), attribute.layer(),
                          attribute.channel(),
                          attribute.name().empty() ? "" : absl::StrCat(", ", attribute.name()),
                          attribute.direction() == v1::DIRECTION_TO_MIN ? "to min" : "to max",
                          attribute.mean_effect(), 100 * attribute.flip_rate()));
    }
  }
  return text;
}

}  // namespace

std::string ModelCard(const v1::ModelConfig& config,
                      const std::optional<v1::AttributeIndex>& attributes) {
  return absl::StrCat(
      "# ", config.name(), "\n\n", config.description(), "\n\n",
      HasEncoder(config)
          ? "An explainer of the classifier named below: it draws the smallest change of a "
            "photograph that makes this classifier decide otherwise."
          : "A plain StyleGAN2, which StylEx is compared with: it draws pictures of its own, and "
            "its attributes are changes of these that make the classifier named below decide "
            "otherwise. It has no encoder, explains no photograph, and is not served.",
      " Its images are drawn by a network; they are not photographs. Attributes explain the "
      "classifier, not the world.\n\n## Architecture\n\n",
      Architecture(config), "\n## Provenance\n\n", ProvenanceSection(config.provenance()), "\n",
      kFiguresHeading, "\nMeasured on the validation split, which training never saw.\n\n",
      Metrics(config), "\n## Attributes\n\n",
      attributes ? Attributes(config, *attributes)
                 : std::string("No attribute index yet: run `stylex-train attributes`.\n"));
}

std::string OwnSections(const std::string& card) {
  std::string own;
  bool in_own = false, in_code = false;
  const std::vector<std::string> lines = absl::StrSplit(card, '\n');
  for (const std::string& line : lines) {
    in_code = in_code != line.starts_with("```");
    if (!in_code && line.starts_with("## ")) {
      std::string heading = line;
      absl::StripTrailingAsciiWhitespace(&heading);
      in_own = std::find(kHeadings.begin(), kHeadings.end(), heading) == kHeadings.end();
    }
    if (in_own) {
      absl::StrAppend(&own, line, "\n");
    }
  }
  absl::StripTrailingAsciiWhitespace(&own);
  return own.empty() ? own : own + "\n\n";
}

std::string RenewedModelCard(const std::string& version_folder, const v1::ModelConfig& config,
                             const std::optional<v1::AttributeIndex>& attributes) {
  std::string card = ModelCard(config, attributes);
  const absl::StatusOr<std::string> earlier = ReadFile(version_folder + "/" + kCardFile);
  card.insert(card.find(kFiguresHeading), OwnSections(earlier.value_or("")));
  return card;
}

}  // namespace stylex
