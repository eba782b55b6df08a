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
constexpr char kTruthHeading[] = "## What the classifier goes by";
constexpr std::array<std::string_view, 5> kHeadings = {
    "## Architecture", "## Provenance", "## Figures", "## Attributes", kTruthHeading};

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

// ", granules redder (measured: light parts redder)".
std::string NameText(const v1::Attribute& attribute) {
  if (attribute.name().empty()) {
    return attribute.description().empty() ? "" : absl::StrCat(", ", attribute.description());
  }
  return absl::StrCat(", ", attribute.name(),
                      attribute.description().empty()
                          ? ""
                          : absl::StrCat(" (measured: ", attribute.description(), ")"));
}

// " (layer 2, channel 17)"; of a direction of the latent, which has no such place, nothing.
std::string PlaceText(const v1::ModelConfig& config, const v1::Attribute& attribute) {
  return config.generator().components() > 0
             ? ""
             : absl::StrCat(" (layer ", attribute.layer(), ", channel ", attribute.channel(), ")");
}

std::string Attributes(const v1::ModelConfig& config, const v1::AttributeIndex& index) {
  std::string text = absl::StrCat(
      "AttFind over ", index.search_images(),
      HasEncoder(config) ? " training images" : " images drawn from z", ", ranges over ",
      index.range_images(),
      index.range_tails() > 0
          ? absl::StrCat(" (without the outer ", 100 * index.range_tails(), " % at each end)")
          : "",
      ", shift ", index.shift(),
      ". Mean effect on the target's logit, and the share of images that one attribute flips on "
      "its own:\n\n| towards | coordinate | direction | mean effect | flips alone |\n"
      "| --- | --- | --- | --- | --- |\n");
  for (const v1::ClassAttributes& entry : index.classes()) {
    for (int i = 0; i < std::min(kAttributesShown, entry.attributes_size()); ++i) {
      const v1::Attribute& attribute = entry.attributes(i);
      absl::StrAppend(
          &text, absl::StrFormat(
                     "| %s | %d%s%s | %s | %.2f | %.1f %% |\n", config.labels(entry.class_id()),
                     attribute.index(), PlaceText(config, attribute), NameText(attribute),
                     attribute.direction() == v1::DIRECTION_TO_MIN ? "to min" : "to max",
                     attribute.mean_effect(), 100 * attribute.flip_rate()));
    }
  }
  return text;
}

// The attributes of a class that change a factor most and are something, e.g. "3 to max".
std::string FoundAs(const v1::ClassTruth& of_class, const v1::KnownFactor& factor) {
  std::vector<std::string> found;
  for (const v1::AttributeTruth& attribute : of_class.attributes()) {
    if (attribute.factor() == factor.name() && attribute.finding() != v1::TRUTH_FINDING_UNCLEAR) {
      found.push_back(absl::StrFormat(
          "%d %s (%+.1f)", attribute.index(),
          attribute.direction() == v1::DIRECTION_TO_MIN ? "to min" : "to max", attribute.change()));
    }
  }
  return absl::StrJoin(found, ", ");
}

std::string ShareText(bool known, double share) {
  return known ? absl::StrFormat("%.2f", share) : "none";
}

std::string TruthOfClass(const v1::KnownTruth& truth, const v1::ClassTruth& of_class,
                         const std::string& label) {
  std::string text = absl::StrCat("\nTowards ", label,
                                  ":\n\n| varies in the data | decides the label | true effect on "
                                  "the logit | found as |\n| --- | --- | --- | --- |\n");
  for (int j = 0; j < truth.factors_size(); ++j) {
    const v1::KnownFactor& factor = truth.factors(j);
    absl::StrAppendFormat(&text, "| %s | %s | %+.2f | %s |\n", factor.name(),
                          factor.sign() == 0 ? "no" : "yes", of_class.factors(j).mean_effect(),
                          FoundAs(of_class, factor));
  }
  return absl::StrCat(text, "\nRecall ", ShareText(of_class.has_recall(), of_class.recall()),
                      ", precision ", ShareText(true, of_class.precision()), ", false discoveries ",
                      ShareText(true, of_class.false_discoveries()), ", right signs ",
                      ShareText(of_class.has_sign_accuracy(), of_class.sign_accuracy()),
                      " of the first ", of_class.attributes_size(), " attributes.\n");
}

std::string Truth(const v1::ModelConfig& config, const v1::KnownTruth& truth) {
  std::string text = absl::StrFormat(
      "\n%s\n\nThe data was drawn, so it is known. Measured on %d held-out images, of which the "
      "classifier decides %.1f %% as they are labelled: each drawn anew with one thing changed, "
      "from its 10 %% to its 90 %% quantile, and what each attribute changes in the pictures, in "
      "standard deviations.\n",
      kTruthHeading, truth.images(), 100 * truth.accuracy());
  for (const v1::ClassTruth& of_class : truth.classes()) {
    absl::StrAppend(&text, TruthOfClass(truth, of_class, config.labels(of_class.class_id())));
  }
  return text;
}

}  // namespace

std::string ModelCard(const v1::ModelConfig& config,
                      const std::optional<v1::AttributeIndex>& attributes,
                      const std::optional<v1::KnownTruth>& truth) {
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
                 : std::string("No attribute index yet: run `stylex-train attributes`.\n"),
      truth ? Truth(config, *truth) : "");
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
                             const std::optional<v1::AttributeIndex>& attributes,
                             const std::optional<v1::KnownTruth>& truth) {
  std::string card = ModelCard(config, attributes, truth);
  const absl::StatusOr<std::string> earlier = ReadFile(version_folder + "/" + kCardFile);
  card.insert(card.find(kFiguresHeading), OwnSections(earlier.value_or("")));
  return card;
}

}  // namespace stylex
