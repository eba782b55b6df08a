#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "models/checkpoint.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/flip_options.h"
#include "trainer/commands/opening.h"
#include "trainer/study/reconstruction_figures.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

constexpr std::array<int64_t, 3> kShown = {1, 3, 10};

std::string Rate(int64_t successes, int64_t trials) {
  const Interval interval = WilsonInterval(successes, trials);
  return absl::StrFormat("%5.1f %% [%.1f, %.1f]",
                         trials == 0 ? 0 : 100.0 * static_cast<double>(successes) / trials,
                         100 * interval.low, 100 * interval.high);
}

// Adds value and Wilson bounds under name, name_low, name_high.
void AddRate(const std::string& name, int64_t successes, int64_t trials,
             std::map<std::string, double>* metrics) {
  const Interval interval = WilsonInterval(successes, trials);
  (*metrics)[name] = trials == 0 ? 0 : static_cast<double>(successes) / static_cast<double>(trials);
  (*metrics)[name + "_low"] = interval.low;
  (*metrics)[name + "_high"] = interval.high;
}

void PrintReconstruction(const ReconstructionFigures& figures, const v1::ModelConfig& model) {
  std::printf("reconstruction, %lld validation images\n", static_cast<long long>(figures.images));
  std::printf("  agreement C(x) = C(G(E(x)))  %s\n",
              Rate(figures.agreeing, figures.images).c_str());
  std::printf("  median KL %.4f, L1 %.4f, PSNR %.2f dB, SSIM %.4f\n", figures.median_kl, figures.l1,
              figures.psnr, figures.ssim);
  std::printf("  sharpness %.3f, small parts %.3f (%.3f at their place)\n", figures.sharpness,
              figures.small_parts, figures.small_parts_found);
  if (figures.classifier_accuracy) {
    std::printf("  classifier accuracy %.2f %%; by class, and agreement:\n",
                100 * *figures.classifier_accuracy);
  }
  for (size_t k = 0; k < figures.classes.size(); ++k) {
    const ReconstructionFigures::OfClass& of_class = figures.classes[k];
    std::printf("    %-16s %s  %s  of %lld\n", model.labels(static_cast<int>(k)).c_str(),
                Rate(of_class.correct, of_class.images).c_str(),
                Rate(of_class.agreeing, of_class.images).c_str(),
                static_cast<long long>(of_class.images));
  }
  if (NothingToExplain(figures) && !figures.constant_accuracy) {
    std::printf(
        "there is nothing to explain: the classifier decides %.2f %% of the images as \"%s\", and "
        "not surely more than %.0f %% otherwise; the agreement says nothing, since a picture of "
        "anything would be decided like the photograph\n",
        100 * figures.commonest_share,
        model.labels(static_cast<int>(figures.commonest_decision)).c_str(), 100 * kFewDecisions);
  } else if (NothingToExplain(figures)) {
    std::printf(
        "there is nothing to explain: always answering one class is right in %.2f %%, and the "
        "classifier is not surely better; what moves it says nothing about the classes\n",
        100 * *figures.constant_accuracy);
  }
}

void PrintFlips(const FlipFigures& figures) {
  std::printf("flips to the runner-up class, %lld validation images, at most k attributes\n",
              static_cast<long long>(figures.images));
  std::printf("  %-8s", "choice");
  for (const int64_t k : kShown) {
    std::printf("  %-24s", absl::StrCat("k = ", k).c_str());
  }
  std::printf("\n");
  for (const Choice choice : kChoices) {
    std::printf("  %-8s", NameOf(choice).c_str());
    for (const int64_t k : kShown) {
      std::printf(
          "  %-24s",
          Rate(figures.flips.at(choice)[static_cast<size_t>(k - 1)], figures.images).c_str());
    }
    std::printf("\n");
  }
  std::printf("  %lld random coordinates moved at once: %s\n",
              static_cast<long long>(kMostAttributes),
              Rate(figures.random_together, figures.images).c_str());
}

std::map<std::string, double> ToMetrics(const ReconstructionFigures& reconstruction) {
  std::map<std::string, double> metrics = {{"images", static_cast<double>(reconstruction.images)},
                                           {"median_kl", reconstruction.median_kl},
                                           {"l1", reconstruction.l1},
                                           {"psnr", reconstruction.psnr},
                                           {"ssim", reconstruction.ssim},
                                           {"sharpness", reconstruction.sharpness},
                                           {"small_parts", reconstruction.small_parts},
                                           {"small_parts_found", reconstruction.small_parts_found}};
  if (reconstruction.classifier_accuracy) {
    metrics["classifier_accuracy"] = *reconstruction.classifier_accuracy;
    metrics["constant_accuracy"] = *reconstruction.constant_accuracy;
  } else {
    metrics["commonest_decision"] = reconstruction.commonest_share;
  }
  metrics["nothing_to_explain"] = NothingToExplain(reconstruction) ? 1 : 0;
  AddRate("agreement", reconstruction.agreeing, reconstruction.images, &metrics);
  return metrics;
}

void AddFlips(const FlipFigures& flips, std::map<std::string, double>* of_checkpoint) {
  std::map<std::string, double>& metrics = *of_checkpoint;
  metrics["flip_images"] = static_cast<double>(flips.images);
  for (const Choice choice : kChoices) {
    for (const int64_t k : kShown) {
      const size_t i = static_cast<size_t>(k - 1);
      const std::string name = absl::StrCat("flip_rate_", NameOf(choice), "_", k);
      AddRate(name, flips.flips.at(choice)[i], flips.images, &metrics);
      AddRate(name + "_agreeing", flips.agreeing_flips.at(choice)[i], flips.agreeing, &metrics);
    }
  }
  AddRate(absl::StrCat("flip_rate_random_", kMostAttributes, "_together"), flips.random_together,
          flips.images, &metrics);
}

}  // namespace

absl::Status EvaluateCommand(const CommonOptions& common, const EvaluateOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  if (!options.reconstruction_only) {
    STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  }
  if (options.record) {
    STYLEX_RETURN_IF_ERROR(CheckVersionCanBeUpdated(options.checkpoint));
  }
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "evaluation_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const ReconstructionFigures reconstruction,
                          EvaluateReconstruction(checkpoint.model, *dataset, run.get()));
  PrintReconstruction(reconstruction, checkpoint.model.config());
  std::map<std::string, double> metrics = ToMetrics(reconstruction);
  if (!options.reconstruction_only) {
    STYLEX_ASSIGN_OR_RETURN(
        const FlipFigures flips,
        EvaluateFlips(checkpoint, *dataset, FlipOptionsOf(options, common.seed, checkpoint.model),
                      run.get()));
    PrintFlips(flips);
    AddFlips(flips, &metrics);
  }
  STYLEX_RETURN_IF_ERROR(
      WriteFileAtomic(run->Path("evaluation.json"), nlohmann::json(metrics).dump(2) + "\n"));
  if (!options.record) {
    return absl::OkStatus();
  }
  v1::ModelConfig config = checkpoint.model.config();
  for (const auto& [name, value] : metrics) {
    (*config.mutable_metrics())[name] = value;
  }
  *config.mutable_reconstruction_errors() = reconstruction.errors;
  config.mutable_provenance()->add_commands(common.command_line);
  return UpdateVersion(options.checkpoint, config,
                       {{kCardFile, RenewedModelCard(options.checkpoint, config,
                                                     checkpoint.attributes, checkpoint.truth)}});
}

}  // namespace stylex
