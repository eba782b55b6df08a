#include "trainer/training/training_loop.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "explain/decisions.h"
#include "explain/metrics.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "models/pixels.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/encoded_images.h"
#include "trainer/stop_request.h"
#include "trainer/training/run_record.h"
#include "trainer/training/sample_grid.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

constexpr int64_t kLogIntervalSteps = 25;
constexpr int64_t kQuickImages = 512;  // validation images of the quick check
constexpr int64_t kQuickBatch = 64;    // or fewer: a look takes no more memory than a step
constexpr int64_t kGridColumns = 16;
constexpr int64_t kFewMoves = 10;    // coordinates moved in the quick check
constexpr int64_t kSampleRows = 4;   // of a plain StyleGAN2
constexpr uint64_t kSampleSeed = 1;  // the same z's in every grid

// Beyond this, losses and scores have exploded: those of a training that works are below 100, and
// 1e15 is on the way to infinity. Other figures, such as penalties and weights, may be great.
constexpr double kExploded = 1e6;
constexpr size_t kNamedImages = 3;

// What is wrong with a step's figures; empty if nothing is.
std::string Exploded(const StepMetrics& metrics) {
  for (const auto& [name, value] : metrics) {
    const bool bounded = name.starts_with("loss_") || name.starts_with("score_");
    if (!std::isfinite(value) || (bounded && std::abs(value) > kExploded)) {
      return absl::StrCat(name, " is ", value);
    }
  }
  return "";
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
  for (const auto& [name, value] : figures) {
    if (!std::isfinite(value)) {
      return absl::OutOfRangeError(absl::StrCat("validation: ", name, " is ", value));
    }
  }
  return run->Log(ValidationEvent(model), training.step(), figures);
}

// Writes a grid of images drawn from the same z's each time, and logs how many of them are decided
// as each class: attributes of classes that are never drawn cannot be found.
absl::Status LookAtSamples(const StylexTraining& training, int64_t batch, WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  const StyleVectors styles = SampleStyles(model, kQuickImages, kSampleSeed);
  std::vector<torch::Tensor> rows;
  for (int64_t row = 0; row < kSampleRows; ++row) {
    std::vector<torch::Tensor> parts;
    for (int64_t start = 0; start < kGridColumns; start += batch) {
      parts.push_back(model.Synthesize(
          styles.Narrow(row * kGridColumns + start, std::min(batch, kGridColumns - start))));
    }
    rows.push_back(torch::cat(parts));
  }
  const torch::Tensor counts = torch::bincount(LogitsOf(model, styles, batch).argmax(1),
                                               /*weights=*/{}, model.num_classes());
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
  const torch::Tensor runner_up = RunnersUp(logits);
  const torch::Tensor second = runner_up.unsqueeze(1);
  // The other of the two also where both are equally great.
  const torch::Tensor first =
      logits.scatter(1, second, -std::numeric_limits<double>::infinity()).argmax(1, true);
  const torch::Tensor exchanged = logits.scatter(1, first, logits.gather(1, second))
                                      .scatter(1, second, logits.gather(1, first));
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
                                   int64_t batch_size, WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  double agree = 0, kl = 0, l1 = 0, agree_latent = 0;
  double flips = 0, flips_by_few = 0;
  int64_t images = 0;
  std::vector<torch::Tensor> rows;
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, Split::kValidation, batch_size, kQuickImages,
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
        const std::vector<torch::Tensor> more = {x, drawn, latent_only, others.images};
        if (rows.empty()) {
          rows = more;
        } else if (rows[0].size(0) < kGridColumns) {
          for (size_t i = 0; i < rows.size(); ++i) {
            rows[i] = torch::cat({rows[i], more[i]});
          }
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

namespace {

absl::Status LoadFinite(const v1::RunRecord& record, const std::string& path,
                        StylexTraining* training) {
  TrainingState state = training->State();
  STYLEX_ASSIGN_OR_RETURN(state.record, ToJson(record));
  STYLEX_RETURN_IF_ERROR(LoadTrainingState(path, &state));
  training->Restore(state);
  const absl::Status finite = CheckFinite(training->State());
  return absl::Status(finite.code(), finite.ok() ? "" : absl::StrCat(path, ": ", finite.message()));
}

}  // namespace

absl::Status LoadLastState(const v1::RunRecord& record, const std::string& path, bool before_last,
                           StylexTraining* training,
                           const std::function<void(const std::string&)>& warn) {
  const absl::Status status = LoadGoodState(
      path, before_last,
      [&](const std::string& file) { return LoadFinite(record, file, training); }, warn);
  if (absl::IsFailedPrecondition(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat(status.message(), ", and there is no other state; start another run"));
  }
  return status;
}

namespace {

// One call of RunStylexTraining.
class Run {
 public:
  Run(const v1::RunRecord& record, const Dataset& dataset, StylexTraining* training,
      WorkDirectory* work)
      : record_(record),
        config_(record.config()),
        dataset_(dataset),
        training_(training),
        work_(work),
        path_(work->Path(StylexStateFile(config_.model()))),
        last_good_(training->step()) {}

  // Until the run is complete, stopped or fails; OUT_OF_RANGE when it diverges.
  absl::Status Train();
  absl::Status Save(bool keep_previous);
  // The newest state that is finite, or the one before it. NOT_FOUND if there is none.
  absl::Status Restore(bool before_last);
  // After a divergence: INVALID_ARGUMENT naming images for which the classifier's output is not
  // finite, which no learning rate mends.
  absl::Status CheckClassifier();

 private:
  BatchLoaderOptions Loading(int64_t step) const;
  absl::Status CheckBatch(Split split, const Batch& batch) const;

  const v1::RunRecord& record_;
  const v1::TrainConfig& config_;
  const Dataset& dataset_;
  StylexTraining* training_;
  WorkDirectory* work_;
  const std::string path_;
  int64_t last_good_;  // step at which the figures were last looked at
  const StopRequest stop_;
};

BatchLoaderOptions Run::Loading(int64_t step) const {
  BatchLoaderOptions loading;
  loading.batch_size = config_.stylex().batch_size();
  loading.horizontal_flip = config_.data().horizontal_flip();
  loading.rotations = config_.data().rotations();
  loading.seed = record_.seed();
  loading.start_step = step;
  return loading;
}

absl::Status Run::Save(bool keep_previous) {
  TrainingState state = training_->State();
  if (const absl::Status finite = CheckFinite(state); !finite.ok()) {
    return absl::OutOfRangeError(finite.message());
  }
  STYLEX_ASSIGN_OR_RETURN(state.record, ToJson(record_));
  return keep_previous ? SaveKeepingPrevious(state, path_) : SaveTrainingState(state, path_);
}

absl::Status Run::Restore(bool before_last) {
  STYLEX_RETURN_IF_ERROR(LoadLastState(record_, path_, before_last, training_,
                                       [this](const std::string& text) { work_->Warn(text); }));
  last_good_ = training_->step();
  STYLEX_RETURN_IF_ERROR(work_->RewindLog(StylexRunName(config_.model()), training_->step()));
  return work_->RewindLog(ValidationEvent(config_.model()), training_->step());
}

absl::Status Run::CheckBatch(Split split, const Batch& batch) const {
  torch::NoGradGuard no_grad;
  const torch::Tensor bad =
      training_->Logits(batch.images).isfinite().all(1).logical_not().to(torch::kCPU).nonzero();
  if (bad.size(0) == 0) {
    return absl::OkStatus();
  }
  std::vector<std::string> names;
  for (int64_t i = 0; i < std::min<int64_t>(bad.size(0), kNamedImages); ++i) {
    names.push_back(dataset_.name(split, batch.indices[bad[i][0].item<int64_t>()].item<int64_t>()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the classifier's output is not finite for ", bad.size(0), " images, e.g. ",
                   absl::StrJoin(names, ", "),
                   "; no explanation can be trained on them. Leave them out, or mend the "
                   "classifier (a logarithm of 0, a division by 0); the last good state is kept"));
}

absl::Status Run::CheckClassifier() {
  if (!HasEncoder(config_.model())) {
    return absl::OkStatus();
  }
  const auto silent = [](const std::string&) {};
  const int64_t last = std::max(training_->step(), last_good_ + 1);
  BatchLoader loader(dataset_, Loading(last_good_), silent);
  for (int64_t step = last_good_; step < last; ++step) {
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader.Next());
    STYLEX_RETURN_IF_ERROR(CheckBatch(Split::kTrain, batch));
  }
  return ForEachBatch(dataset_, Split::kValidation, kQuickBatch, kQuickImages, silent,
                      [this](const Batch& batch) { return CheckBatch(Split::kValidation, batch); });
}

absl::Status Run::Train() {
  const v1::StylexTraining& stylex = config_.stylex();
  BatchLoader loader(dataset_, Loading(training_->step()),
                     [this](const std::string& text) { work_->Warn(text); });
  const std::string name = StylexRunName(config_.model());
  const int64_t look_batch = std::min<int64_t>(kQuickBatch, stylex.batch_size());
  work_->Start(name, training_->images_seen(), stylex.images());
  while (!training_->done()) {
    const int64_t before = training_->images_seen(), after = before + stylex.batch_size();
    const bool last = after >= stylex.images();
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader.Next());
    const bool log = training_->step() % kLogIntervalSteps == 0;
    const bool look = Crossed(stylex.sample_interval_images(), before, after) || last;
    const bool save =
        Crossed(stylex.save_interval_images(), before, after) || last || stop_.requested();
    // What is saved or shown was looked at before.
    StepMetrics metrics = training_->Step(batch.images, log || look || save);
    if (const std::string exploded = Exploded(metrics); !exploded.empty()) {
      return absl::OutOfRangeError(exploded);
    }
    if (log) {
      metrics["images_seen"] = static_cast<double>(after);
      STYLEX_RETURN_IF_ERROR(work_->Log(name, training_->step(), metrics));
    }
    work_->Advance(after, "");
    if (look) {
      STYLEX_RETURN_IF_ERROR(HasEncoder(config_.model())
                                 ? LookAtReconstructions(*training_, dataset_, look_batch, work_)
                                 : LookAtSamples(*training_, look_batch, work_));
    }
    if (save) {
      STYLEX_RETURN_IF_ERROR(Save(/*keep_previous=*/true));
      if (!last && stop_.requested()) {
        return absl::CancelledError(
            absl::StrCat("stopped after ", after, " images; go on with --resume"));
      }
    }
    if (log || look || save) {
      last_good_ = training_->step();
    }
  }
  work_->End();
  return absl::OkStatus();
}

}  // namespace

absl::Status RestoreStylexTraining(const v1::RunRecord& record, const Dataset& dataset,
                                   StylexTraining* training, WorkDirectory* run) {
  return Run(record, dataset, training, run).Restore(/*before_last=*/false);
}

absl::Status RunStylexTraining(const v1::RunRecord& record, const Dataset& dataset,
                               StylexTraining* training, WorkDirectory* work) {
  Run run(record, dataset, training, work);
  if (!work->resuming()) {
    // There is always a state to go back to; and a folder that cannot hold one is noticed now.
    STYLEX_RETURN_IF_ERROR(run.Save(/*keep_previous=*/false));
  }
  while (true) {
    const absl::Status status = run.Train();
    if (!absl::IsOutOfRange(status)) {
      return status;
    }
    const int64_t step = training->step();
    STYLEX_RETURN_IF_ERROR(run.CheckClassifier());
    const std::string diverged =
        absl::StrCat("training diverged at step ", step, ": ", status.message());
    if (training->halvings() > 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          diverged,
          ", with half the learning rates as well. The last good states are kept: --export-only "
          "writes a checkpoint from the newer one, from which another run can --start-from with "
          "lower learning rates (stylex.generatorLr, discriminatorLr, encoderLr) or a greater "
          "stylex.r1Gamma"));
    }
    STYLEX_RETURN_IF_ERROR(run.Restore(/*before_last=*/true));
    training->HalveLearningRates();
    work->Warn(absl::StrCat(diverged, "; going back to step ", training->step(),
                            ", and on with half the learning rates"));
    STYLEX_RETURN_IF_ERROR(run.Save(/*keep_previous=*/false));
  }
}

absl::StatusOr<Discriminator> LoadDiscriminator(const std::string& work_directory,
                                                const v1::ModelConfig& model) {
  const std::string path = work_directory + "/" + StylexStateFile(model);
  STYLEX_ASSIGN_OR_RETURN(const StoredRun stored, ReadStoredRun(path));
  const v1::ModelConfig& trained = stored.record.config().model();
  const auto labels = [](const v1::ModelConfig& of) { return absl::StrJoin(of.labels(), ", "); };
  if (trained.resolution() != model.resolution() ||
      trained.image_channels() != model.image_channels() || labels(trained) != labels(model)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": is not of this model's run: ", trained.resolution(), " pixels, classes ",
        labels(trained), "; the model has ", model.resolution(), ", ", labels(model)));
  }
  Discriminator discriminator(trained.discriminator(), trained.image_channels(),
                              trained.labels_size());
  TrainingState state;
  for (const auto& item : discriminator->named_parameters()) {
    state.tensors["discriminator." + item.key()] = item.value();
  }
  STYLEX_ASSIGN_OR_RETURN(state.record, ToJson(stored.record));
  STYLEX_RETURN_IF_ERROR(LoadTrainingState(path, &state));
  return discriminator;
}

}  // namespace stylex
