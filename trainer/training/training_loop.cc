#include "trainer/training/training_loop.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/model_config.h"
#include "trainer/data/batch_loader.h"
#include "trainer/report/look.h"
#include "trainer/report/training_report.h"
#include "trainer/stop_request.h"
#include "trainer/training/quick_look.h"
#include "trainer/training/run_record.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

constexpr int64_t kLogIntervalSteps = 25;

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
        report_(record.config(), work->path(),
                [work](const std::string& text) { work->Warn(text); }),
        last_good_(training->step()) {}

  // Until the run is complete, stopped or fails; OUT_OF_RANGE when it diverges.
  absl::Status Train();
  absl::Status Look(int64_t batch_size);
  absl::Status Save(bool keep_previous);
  // The newest state that is finite, or the one before it. NOT_FOUND if there is none.
  absl::Status Restore(bool before_last);
  // After a divergence: INVALID_ARGUMENT naming images for which the classifier's output is not
  // finite, which no learning rate mends.
  absl::Status CheckClassifier();
  void ShowAsFailed() { report_.WritePage(RunState::kFailed); }

 private:
  BatchLoaderOptions Loading(int64_t step) const;
  absl::Status CheckBatch(Split split, const Batch& batch) const;

  const v1::RunRecord& record_;
  const v1::TrainConfig& config_;
  const Dataset& dataset_;
  StylexTraining* training_;
  WorkDirectory* work_;
  const std::string path_;
  TrainingReport report_;
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

absl::Status Run::Look(int64_t batch_size) {
  STYLEX_ASSIGN_OR_RETURN(const StepMetrics figures,
                          QuickLook(*training_, dataset_, batch_size, work_));
  for (const auto& [name, value] : figures) {
    if (!std::isfinite(value)) {
      return absl::OutOfRangeError(absl::StrCat("validation: ", name, " is ", value));
    }
  }
  const std::string event = ValidationEvent(config_.model());
  STYLEX_RETURN_IF_ERROR(work_->Log(event, training_->step(), figures));
  report_.Figures(event, training_->step(), figures);
  report_.Picture("samples", training_->step(), LookPath(work_->path(), training_->images_seen()));
  report_.WritePage(training_->done() ? RunState::kFinished : RunState::kRunning);
  return absl::OkStatus();
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
  report_.GoOnAfter(training_->step());
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
      report_.Figures(name, training_->step(), metrics);
    }
    work_->Advance(after, "");
    if (look) {
      STYLEX_RETURN_IF_ERROR(Look(look_batch));
    }
    if (save) {
      STYLEX_RETURN_IF_ERROR(Save(/*keep_previous=*/true));
      if (!last && stop_.requested()) {
        report_.WritePage(RunState::kStopped);
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
      run.ShowAsFailed();
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
