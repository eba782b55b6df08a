#include "trainer/report/figures.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace stylex {
namespace {

constexpr char kSource[] = "docs/training.md, Healthy figures";

WantedBand AtLeast(double from) { return {.from = from, .to = 1, .source = kSource}; }
WantedBand AtMost(double to) { return {.from = 0, .to = to, .source = kSource}; }

const std::map<std::string_view, FigureMeaning>& Checks() {
  static const auto* const checks = new std::map<std::string_view, FigureMeaning>{
      {"agreement",
       {"agreement",
        "Held-out photographs whose reconstruction is decided like the photograph itself.", true,
        AtLeast(0.97)}},
      {"agreement_without_condition",
       {"agreement without condition",
        "The same with the class condition set to zero: how much of the class the latent carries.",
        true,
        {}}},
      {"flips_by_condition",
       {"flips by condition", "Decided as the runner-up when the condition is the runner-up's.",
        true, AtLeast(0.95)}},
      {"flips_by_its_ten_furthest",
       {"flips by its ten furthest",
        "The same when only the ten coordinates that the condition moves furthest are moved: a "
        "forecast of the flips by ten attributes.",
        true, AtLeast(0.5)}},
      {"kl",
       {"KL", "Mean KL divergence of the decisions on photograph and reconstruction, in nats.",
        false, AtMost(0.05)}},
      {"l1",
       {"L1",
        "Mean absolute difference of photograph and reconstruction, pixels in [-1, 1]. What is "
        "good depends on the data.",
        false,
        {}}},
      {"accuracy", {"accuracy", "Held-out images that are classified correctly.", true, {}}},
      {"cross_entropy", {"cross entropy", "On held-out images, in nats.", false, {}}},
      {"calibration_error",
       {"calibration error",
        "Mean difference of confidence and accuracy on held-out images.",
        false,
        {}}},
  };
  return *checks;
}

const std::map<std::string_view, const char*>& Steps() {
  static const auto* const steps = new std::map<std::string_view, const char*>{
      {"loss", "Mean loss of the epoch."},
      {"loss_l1", "L1 of the pixels."},
      {"loss_l2", "Squared error of the pixels."},
      {"loss_differences", "L1 of neighbouring pixels' differences."},
      {"loss_perceptual", "Distance of features: the classifier's, or LPIPS."},
      {"loss_kl", "KL divergence of the decisions on photograph and reconstruction."},
      {"loss_latent", "Difference of the latent of a reconstruction from the photograph's."},
      {"loss_features", "Difference of the discriminator's activations."},
      {"loss_lpips", "LPIPS of photograph and reconstruction."},
      {"loss_hardest", "L1 of the pixels that are worst."},
      {"loss_laplacian", "Difference of Laplacian pyramids."},
      {"swap_sparsity", "How few coordinates another image's condition moves; less is sparser."},
      {"loss_g", "The generator's adversarial loss."},
      {"loss_d", "The discriminator's loss; 1.39 (2 ln 2) where it cannot tell pictures apart."},
      {"score_real", "The discriminator's score of photographs."},
      {"score_fake", "The discriminator's score of drawn pictures."},
      {"adversarial_weight", "Weight of the adversary, set by the ratio of gradients."},
      {"latent_kl", "Information in the latents beyond their noise, in nats."},
      {"r1", "Squared gradient of the discriminator at photographs."},
      {"path_length", "Mean length of the generator's gradients."},
  };
  return *steps;
}

}  // namespace

FigureMeaning MeaningOf(std::string_view name, bool check) {
  if (check) {
    if (const auto found = Checks().find(name); found != Checks().end()) {
      return found->second;
    }
    absl::string_view label(name.data(), name.size());
    if (absl::ConsumePrefix(&label, "share_")) {
      return {absl::StrCat("drawn as ", label),
              "Images of random z that the classifier decides as this class.",
              true,
              {}};
    }
    return {std::string(name), "", false, {}};
  }
  absl::string_view base(name.data(), name.size());
  const char* batches = "";
  if (absl::ConsumeSuffix(&base, "_mapping")) {
    batches = " Of batches that the mapping network draws.";
  } else if (absl::ConsumeSuffix(&base, "_swap")) {
    batches = " Of batches with another image's condition.";
  }
  const auto found = Steps().find(std::string_view(base.data(), base.size()));
  return {std::string(name),
          found == Steps().end() ? "" : absl::StrCat(found->second, batches),
          false,
          {}};
}

bool HeedsCondition(const RunLog& log) {
  return std::any_of(log.checks.begin(), log.checks.end(), [](const LogLine& line) {
    return FigureOf(line, "agreement", 0) != FigureOf(line, "agreement_without_condition", 0);
  });
}

double FigureOf(const LogLine& line, const std::string& name, double otherwise) {
  const auto found = line.figures.find(name);
  return found == line.figures.end() ? otherwise : found->second;
}

}  // namespace stylex
