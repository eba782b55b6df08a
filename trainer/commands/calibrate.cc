#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/study/calibration.h"
#include "trainer/study/reconstruction_figures.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

namespace stylex {
namespace {

// Fits the temperature of the probabilities; without labels there is nothing to fit it to.
void CalibrateClassifier(const ReconstructionFigures& figures, bool labelled,
                         v1::ModelConfig* config) {
  if (!labelled || figures.images < 2) {
    std::printf("probabilities: not calibrated, the data has no labels\n");
    return;
  }
  const Calibration calibration = Calibrate(figures.logits, figures.labels);
  config->mutable_classifier()->set_probability_temperature(calibration.temperature);
  auto& metrics = *config->mutable_metrics();
  metrics["calibration_images"] = static_cast<double>(calibration.images);
  metrics["calibration_error"] = calibration.error;
  metrics["calibration_error_uncalibrated"] = calibration.error_before;
  std::printf(
      "probabilities: temperature %.3f; calibration error on the %lld validation images that it "
      "was not fitted to: %.2f %%, without it %.2f %%\n",
      calibration.temperature, static_cast<long long>(calibration.images), 100 * calibration.error,
      100 * calibration.error_before);
}

}  // namespace

absl::Status CalibrateCommand(const CommonOptions& common, const CalibrateOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(common, options.checkpoint));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "calibration_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const ReconstructionFigures figures,
                          EvaluateReconstruction(checkpoint.model, *dataset, run.get()));
  v1::ModelConfig config = checkpoint.model.config();
  *config.mutable_reconstruction_errors() = figures.errors;
  CalibrateClassifier(figures, dataset->labelled(), &config);
  config.mutable_provenance()->add_commands(common.command_line);
  std::map<std::string, std::string> files = {
      {kCardFile,
       RenewedModelCard(options.checkpoint, config, checkpoint.attributes, checkpoint.truth)}};
  if (checkpoint.attributes) {
    // Without the attributes that loading leaves out.
    STYLEX_ASSIGN_OR_RETURN(files[kAttributesFile], ToJson(*checkpoint.attributes));
  }
  STYLEX_RETURN_IF_ERROR(UpdateVersion(options.checkpoint, config, files));
  std::printf("wrote %s: reconstruction errors of %lld held-out images\n",
              options.checkpoint.c_str(), static_cast<long long>(figures.images));
  return absl::OkStatus();
}

}  // namespace stylex
