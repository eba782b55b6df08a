#include "trainer/training/training_loop.h"

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
#include "models/checkpoint/model_config.h"
#include "models/pixels.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/encoded_images.h"
#include "trainer/training/sample_grid.h"

namespace stylex {
namespace {

constexpr int64_t kLogIntervalSteps = 25;
constexpr int64_t kQuickImages = 512;  // validation images of the quick check
constexpr int64_t kQuickBatch = 64;
constexpr int64_t kGridColumns = 16;
constexpr int64_t kFewMoves = 10;    // coordinates moved in the quick check
constexpr int64_t kSampleRows = 4;   // of a plain StyleGAN2
constexpr uint64_t kSampleSeed = 1;  // the same z's in every grid

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

// Reports diverged training at once.
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

std::string ValidationEvent(const v1::ModelConfig& model) {
  return StylexRunName(model) + "_validation";
}

absl::Status WriteLook(std::vector<torch::Tensor> rows, std::map<std::string, double> figures,
                       const StylexTraining& training, const v1::ModelConfig& model,
                       WorkDirectory* run) {
  for (torch::Tensor& row : rows) {
    row = row.narrow(0, 0, std::min(kGridColumns, row.size(0)));
  }
  std::filesystem::create_directories(run->Path("samples"));
  STYLEX_RETURN_IF_ERROR(WriteSampleGrid(
      rows, run->Path(absl::StrFormat("samples/%09d.png", training.images_seen()))));
  figures["images_seen"] = static_cast<double>(training.images_seen());
  return run->Log(ValidationEvent(model), training.step(), figures);
}

// Writes a grid of images drawn from the same z's each time, and logs how many of them are decided
// as each class: attributes of classes that are never drawn cannot be found.
absl::Status LookAtSamples(const StylexTraining& training, WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  const StyleVectors styles = SampleStyles(model, kQuickImages, kSampleSeed);
  std::vector<torch::Tensor> rows;
  for (int64_t row = 0; row < kSampleRows; ++row) {
    rows.push_back(model.Synthesize(styles.Narrow(row * kGridColumns, kGridColumns)));
  }
  torch::Tensor counts = torch::zeros({model.num_classes()}, torch::kFloat64);
  for (int64_t start = 0; start < kQuickImages; start += kQuickBatch) {
    const torch::Tensor decided = model.LogitsOfStyles(styles.Narrow(start, kQuickBatch)).argmax(1);
    counts += torch::bincount(decided.to(torch::kCPU), /*weights=*/{}, model.num_classes());
  }
  std::map<std::string, double> figures;
  for (int k = 0; k < model.config().labels_size(); ++k) {
    figures["share_" + model.config().labels(k)] =
        counts[k].item<double>() / static_cast<double>(kQuickImages);
  }
  return WriteLook(std::move(rows), std::move(figures), training, model.config(), run);
}

// Latents w with their condition (the last values) replaced.
torch::Tensor WithCondition(const torch::Tensor& w, const torch::Tensor& condition) {
  return torch::cat({w.narrow(1, 0, w.size(1) - condition.size(1)), condition}, 1);
}

struct RunnersUp {
  torch::Tensor images;
  double flips = 0;  // decided as the photograph's runner-up
  double flips_by_few =
      0;  // when only the kFewMoves coordinates that the condition moves most are moved
};

// Images with latents w conditioned on the runner-up: the two greatest logits are swapped.
RunnersUp DrawRunnersUp(const Stylex& model, const torch::Tensor& w, const torch::Tensor& logits) {
  const auto [greatest, classes] = logits.topk(2);
  const torch::Tensor runner_up = classes.select(1, 1);
  const torch::Tensor exchanged = logits.scatter(1, classes, greatest.flip(1));
  const StyleVectors others = model.Styles(WithCondition(w, Condition(model.config(), exchanged)));
  const auto count = [&](const torch::Tensor& of_images) {
    return runner_up.eq(of_images.argmax(1)).sum().item<double>();
  };
  RunnersUp result;
  result.images = model.Synthesize(others);
  result.flips = count(model.Logits(result.images));
  StyleVectors few = model.Styles(w);
  const torch::Tensor furthest =
      std::get<1>((others.conv - few.conv).abs().topk(std::min(kFewMoves, few.conv.size(1))));
  few.conv = few.conv.scatter(1, furthest, others.conv.gather(1, furthest));
  result.flips_by_few = count(model.LogitsOfStyles(few));
  return result;
}

// Agreement, KL and L1 on the first validation images, and a grid: photographs above their
// reconstructions with the class condition, without it, and with that of the runner-up.
absl::Status LookAtReconstructions(const StylexTraining& training, const Dataset& dataset,
                                   WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  double agree = 0, kl = 0, l1 = 0, agree_latent = 0;
  double flips = 0, flips_by_few = 0;
  int64_t images = 0;
  std::vector<torch::Tensor> rows;
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kValidation, kQuickBatch, kQuickImages,
      [run](const std::string& text) { run->Warn(text); },
      [&](const Batch& batch) {
        const torch::Tensor x = batch.images.to(model.device());
        const torch::Tensor logits = model.Logits(x);
        const torch::Tensor w = model.Encode(x, logits);
        const torch::Tensor drawn = model.Synthesize(model.Styles(w));
        const torch::Tensor drawn_logits = model.Logits(drawn);
        const torch::Tensor decided = logits.argmax(1);
        const RunnersUp others = DrawRunnersUp(model, w, logits);
        flips += others.flips;
        flips_by_few += others.flips_by_few;
        // The same latents with the condition set to zero show how much class information they
        // contain.
        const torch::Tensor latent_only = model.Synthesize(model.Styles(WithCondition(
            w, torch::zeros({x.size(0), ConditionSize(model.config())}, w.options()))));
        agree += decided.eq(drawn_logits.argmax(1)).sum().item<double>();
        agree_latent += decided.eq(model.Logits(latent_only).argmax(1)).sum().item<double>();
        kl += KlPerImage(logits, drawn_logits).sum().item<double>();
        l1 += L1PerImage(x, drawn).sum().item<double>();
        images += x.size(0);
        if (rows.empty()) {
          rows = {x, drawn, latent_only, others.images};
        }
        return absl::OkStatus();
      }));
  const double n = static_cast<double>(images);
  return WriteLook(std::move(rows),
                   {{"agreement", agree / n},
                    {"agreement_without_condition", agree_latent / n},
                    {"flips_by_condition", flips / n},
                    {"flips_by_its_ten_furthest", flips_by_few / n},
                    {"kl", kl / n},
                    {"l1", l1 / n}},
                   training, model.config(), run);
}

bool Crossed(int64_t interval, int64_t before, int64_t after) {
  return interval > 0 && before / interval != after / interval;
}

}  // namespace

std::string StylexRunName(const v1::ModelConfig& model) {
  return HasEncoder(model) ? "stylex" : "stylegan2";
}

std::string StylexStateFile(const v1::ModelConfig& model) {
  return StylexRunName(model) + "_state.pt";
}

absl::Status RestoreStylexTraining(const v1::TrainConfig& config, StylexTraining* training,
                                   WorkDirectory* run) {
  TrainingState state = training->State();
  STYLEX_RETURN_IF_ERROR(LoadTrainingState(run->Path(StylexStateFile(config.model())), &state));
  training->Restore(state);
  STYLEX_RETURN_IF_ERROR(run->RewindLog(StylexRunName(config.model()), training->step()));
  return run->RewindLog(ValidationEvent(config.model()), training->step());
}

absl::Status RunStylexTraining(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                               StylexTraining* training, WorkDirectory* run) {
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
  loading.rotations = config.data().rotations();
  loading.seed = seed;
  loading.start_step = training->step();
  BatchLoader loader(dataset, loading, [run](const std::string& text) { run->Warn(text); });
  const std::string name = StylexRunName(config.model());
  const std::string state_path = run->Path(StylexStateFile(config.model()));
  run->Start(name, training->images_seen(), stylex.images());
  while (!training->done()) {
    const int64_t before = training->images_seen();
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader.Next());
    const bool log = training->step() % kLogIntervalSteps == 0;
    StepMetrics metrics = training->Step(batch.images, log);
    if (log) {
      STYLEX_RETURN_IF_ERROR(CheckFinite(metrics, training->step()));
      metrics["images_seen"] = static_cast<double>(training->images_seen());
      STYLEX_RETURN_IF_ERROR(run->Log(name, training->step(), metrics));
    }
    run->Advance(training->images_seen(), "");
    const int64_t after = training->images_seen();
    if (Crossed(stylex.sample_interval_images(), before, after) || training->done()) {
      STYLEX_RETURN_IF_ERROR(HasEncoder(config.model())
                                 ? LookAtReconstructions(*training, dataset, run)
                                 : LookAtSamples(*training, run));
    }
    if (Crossed(stylex.save_interval_images(), before, after) || training->done() ||
        stop_requested != 0) {
      STYLEX_RETURN_IF_ERROR(SaveTrainingState(training->State(), state_path));
    }
    if (stop_requested != 0 && !training->done()) {
      return absl::CancelledError(
          absl::StrCat("stopped after ", training->images_seen(), " images; go on with --resume"));
    }
  }
  run->End();
  return absl::OkStatus();
}

}  // namespace stylex
