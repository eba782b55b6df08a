#include "trainer/stylex_run.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "explain/metrics.h"
#include "models/pixels.h"
#include "trainer/batch_loader.h"
#include "trainer/sample_grid.h"

namespace stylex {
namespace {

constexpr int64_t kLogIntervalSteps = 50;
constexpr int64_t kQuickImages = 512;  // validation images of the quick look
constexpr int64_t kQuickBatch = 64;
constexpr int64_t kGridColumns = 16;

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

// Diverged training is said at once, not found out hours later in a grey picture.
absl::Status CheckFinite(const StepMetrics& metrics, int64_t step) {
  for (const auto& [name, value] : metrics) {
    if (!std::isfinite(value)) {
      return absl::InternalError(
          absl::StrCat("training diverged: ", name, " is not finite at step ", step,
                       "; lower the learning rates or raise stylex.r1Gamma"));
    }
  }
  return absl::OkStatus();
}

// Agreement, KL and L1 on the first validation images, and a grid: photographs above their
// reconstructions with and without the class condition.
absl::Status QuickLook(const StylexTraining& training, const Dataset& dataset, Run* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  double agree = 0, kl = 0, l1 = 0, agree_latent = 0;
  int64_t images = 0;
  std::vector<torch::Tensor> rows;
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kValidation, kQuickBatch, kQuickImages,
      [run](const std::string& text) { run->Warn(text); },
      [&](const Batch& batch) {
        const torch::Tensor x = batch.images.to(model.device());
        const torch::Tensor logits = model.Logits(x);
        torch::Tensor w = model.Encode(x, logits);
        const torch::Tensor drawn = model.Synthesize(model.Styles(w));
        const torch::Tensor drawn_logits = model.Logits(drawn);
        // The same latents with the condition set to nothing: how much of the class is in them.
        w = w.clone();
        w.narrow(1, w.size(1) - ConditionSize(model.config()), ConditionSize(model.config()))
            .zero_();
        const torch::Tensor latent_only = model.Synthesize(model.Styles(w));
        const torch::Tensor decided = logits.argmax(1);
        agree += decided.eq(drawn_logits.argmax(1)).sum().item<double>();
        agree_latent += decided.eq(model.Logits(latent_only).argmax(1)).sum().item<double>();
        kl += KlPerImage(logits, drawn_logits).sum().item<double>();
        l1 += L1PerImage(x, drawn).sum().item<double>();
        images += x.size(0);
        if (rows.empty()) {
          rows = {x, drawn, latent_only};
        }
        return absl::OkStatus();
      }));
  for (torch::Tensor& row : rows) {
    row = row.narrow(0, 0, std::min(kGridColumns, row.size(0)));
  }
  std::filesystem::create_directories(run->Path("samples"));
  STYLEX_RETURN_IF_ERROR(WriteSampleGrid(
      rows, run->Path(absl::StrFormat("samples/%09d.png", training.images_seen()))));
  const double n = static_cast<double>(images);
  return run->Log("stylex_validation", training.step(),
                  {{"images_seen", static_cast<double>(training.images_seen())},
                   {"agreement", agree / n},
                   {"agreement_without_condition", agree_latent / n},
                   {"kl", kl / n},
                   {"l1", l1 / n}});
}

absl::Status Save(StylexTraining* training, Run* run) {
  return SaveTrainingState(training->State(), run->Path(kStylexStateFile));
}

bool Crossed(int64_t interval, int64_t before, int64_t after) {
  return interval > 0 && before / interval != after / interval;
}

}  // namespace

absl::Status RestoreStylexTraining(StylexTraining* training, Run* run) {
  TrainingState state = training->State();
  STYLEX_RETURN_IF_ERROR(LoadTrainingState(run->Path(kStylexStateFile), &state));
  training->Restore(state);
  STYLEX_RETURN_IF_ERROR(run->RewindLog("stylex", training->step()));
  return run->RewindLog("stylex_validation", training->step());
}

absl::Status RunStylexTraining(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                               StylexTraining* training, Run* run) {
  stop_requested = 0;
  const auto old_term = std::signal(SIGTERM, RequestStop);
  const auto old_int = std::signal(SIGINT, RequestStop);
  const absl::Cleanup restore_signals = [old_term, old_int] {
    std::signal(SIGTERM, old_term);
    std::signal(SIGINT, old_int);
  };
  const v1::StylexTraining& stylex = config.stylex();
  BatchLoaderOptions loading;
  loading.batch_size = stylex.batch_size();
  loading.horizontal_flip = config.data().horizontal_flip();
  loading.seed = seed;
  loading.start_step = training->step();
  BatchLoader loader(dataset, loading, [run](const std::string& text) { run->Warn(text); });
  run->StartProgress("stylex", training->images_seen(), stylex.images());
  while (!training->done()) {
    const int64_t before = training->images_seen();
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader.Next());
    const bool log = training->step() % kLogIntervalSteps == 0;
    StepMetrics metrics = training->Step(batch.images, log);
    if (log) {
      STYLEX_RETURN_IF_ERROR(CheckFinite(metrics, training->step()));
      metrics["images_seen"] = static_cast<double>(training->images_seen());
      STYLEX_RETURN_IF_ERROR(run->Log("stylex", training->step(), metrics));
    }
    run->Progress(training->images_seen(), "");
    const int64_t after = training->images_seen();
    if (Crossed(stylex.sample_interval_images(), before, after) || training->done()) {
      STYLEX_RETURN_IF_ERROR(QuickLook(*training, dataset, run));
    }
    if (Crossed(stylex.save_interval_images(), before, after) || training->done() ||
        stop_requested != 0) {
      STYLEX_RETURN_IF_ERROR(Save(training, run));
    }
    if (stop_requested != 0 && !training->done()) {
      return absl::CancelledError(
          absl::StrCat("stopped after ", training->images_seen(), " images; go on with --resume"));
    }
  }
  run->EndProgress();
  return absl::OkStatus();
}

}  // namespace stylex
