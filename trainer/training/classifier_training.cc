#include "trainer/training/classifier_training.h"

#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>
#include <torch/optim/optimizer.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "models/checkpoint/json_message.h"
#include "models/trained_classifier.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/random_order.h"
#include "trainer/stop_request.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

constexpr uint64_t kInitialClassifierWeights = 21;
constexpr uint64_t kDropout = 22;
constexpr int64_t kScoreBatch = 256;
constexpr int64_t kCalibrationBins = 15;
constexpr double kExploded = 1e6;  // of a loss that is below 10 when a training works

double CalibrationError(const torch::Tensor& probabilities, const torch::Tensor& labels) {
  const auto [top, predicted] = probabilities.max(1);
  const torch::Tensor correct = predicted.eq(labels).to(torch::kFloat64);
  const torch::Tensor bins =
      (top * kCalibrationBins).to(torch::kInt64).clamp_max(kCalibrationBins - 1);
  double error = 0;
  for (int64_t bin = 0; bin < kCalibrationBins; ++bin) {
    const torch::Tensor inside = bins.eq(bin);
    if (inside.any().item<bool>()) {
      const double gap = (correct.masked_select(inside).sum() -
                          top.to(torch::kFloat64).masked_select(inside).sum())
                             .item<double>();
      error += std::abs(gap) / static_cast<double>(labels.size(0));
    }
  }
  return error;
}

absl::Status WriteBest(const v1::TrainConfig& config, const MobileNetV2& network,
                       const ClassifierScore& score, int64_t epoch, uint64_t seed,
                       WorkDirectory* run) {
  v1::ModelConfig model = config.model();
  (*model.mutable_metrics())["classifier_accuracy"] = score.accuracy;
  (*model.mutable_metrics())["classifier_cross_entropy"] = score.cross_entropy;
  (*model.mutable_metrics())["classifier_calibration_error"] = score.expected_calibration_error;
  (*model.mutable_metrics())["classifier_epoch"] = static_cast<double>(epoch);
  model.mutable_provenance()->set_seed(seed);
  return WriteTrainedClassifier({network, std::move(model)}, run->path());
}

// Network, optimiser and counters of a run, and what it works on.
class Training {
 public:
  Training(const v1::RunRecord& record, const Dataset& dataset, const torch::Device& device,
           WorkDirectory* work)
      : record_(record),
        options_(record.config().classifier()),
        dataset_(dataset),
        device_(device),
        work_(work),
        path_(work->Path(kClassifierStateFile)),
        network_(InitialNetwork(record, device)),
        optimizer_(network_->parameters(), torch::optim::AdamWOptions(options_.learning_rate())
                                               .weight_decay(options_.weight_decay())),
        steps_per_epoch_(
            std::max<int64_t>(1, dataset.size(Split::kTrain) / options_.batch_size())) {}

  // Until the last epoch; CANCELLED when stopped, OUT_OF_RANGE when it diverges.
  absl::Status Train();
  absl::Status Save(bool keep_previous);
  // The last finite state, or the one before it.
  absl::Status Restore(bool before_last);
  void HalveLearningRate() { ++counters_["halvings"]; }
  int64_t halvings() { return counters_["halvings"]; }
  int64_t steps() { return counters_["epoch"] * steps_per_epoch_ + counters_["step"]; }

 private:
  static MobileNetV2 InitialNetwork(const v1::RunRecord& record, const torch::Device& device);
  TrainingState State();
  absl::Status Load(const std::string& path);
  void SetCosineRate();
  absl::Status TrainEpoch(BatchLoader* loader);
  absl::Status EndEpoch();

  const v1::RunRecord& record_;
  const v1::ClassifierTraining& options_;
  const Dataset& dataset_;
  const torch::Device device_;
  WorkDirectory* work_;
  const std::string path_;
  MobileNetV2 network_;
  torch::optim::AdamW optimizer_;
  const int64_t steps_per_epoch_;
  // Epochs that are complete, steps of the next one, best validation accuracy so far, halvings of
  // the learning rate.
  std::map<std::string, int64_t> counters_ = {
      {"epoch", 0}, {"step", 0}, {"best_accuracy_ppm", -1}, {"halvings", 0}};
  double loss_sum_ = 0;  // over the steps of the current epoch
  const StopRequest stop_;
};

MobileNetV2 Training::InitialNetwork(const v1::RunRecord& record, const torch::Device& device) {
  torch::manual_seed(SeedFor(record.seed(), 0, kInitialClassifierWeights));
  MobileNetV2 network = MakeClassifierNetwork(record.config().model());
  network->to(device);
  return network;
}

TrainingState Training::State() {
  TrainingState state;
  state.tensors = NamedTensors(network_);
  state.optimizers = {{"adam", &optimizer_}};
  state.counters = counters_;
  state.counters["loss_sum_bits"] = std::bit_cast<int64_t>(loss_sum_);
  return state;
}

absl::Status Training::Save(bool keep_previous) {
  TrainingState state = State();
  if (const absl::Status finite = CheckFinite(state); !finite.ok()) {
    return absl::OutOfRangeError(finite.message());
  }
  STYLEX_ASSIGN_OR_RETURN(state.record, ToJson(record_));
  return keep_previous ? SaveKeepingPrevious(state, path_) : SaveTrainingState(state, path_);
}

absl::Status Training::Load(const std::string& path) {
  TrainingState state = State();
  STYLEX_ASSIGN_OR_RETURN(state.record, ToJson(record_));
  STYLEX_RETURN_IF_ERROR(LoadTrainingState(path, &state));
  loss_sum_ = std::bit_cast<double>(state.counters.at("loss_sum_bits"));
  for (auto& [name, counter] : counters_) {
    counter = state.counters.at(name);
  }
  const absl::Status finite = CheckFinite(State());
  return absl::Status(finite.code(), finite.ok() ? "" : absl::StrCat(path, ": ", finite.message()));
}

absl::Status Training::Restore(bool before_last) {
  STYLEX_RETURN_IF_ERROR(LoadGoodState(
      path_, before_last, [this](const std::string& file) { return Load(file); },
      [this](const std::string& text) { work_->Warn(text); }));
  STYLEX_RETURN_IF_ERROR(work_->RewindLog("classifier", counters_["epoch"]));
  return work_->RewindLog("classifier_validation", counters_["epoch"]);
}

void Training::SetCosineRate() {
  const double done = std::min(1.0, static_cast<double>(steps()) /
                                        static_cast<double>(steps_per_epoch_ * options_.epochs()));
  const double rate = std::ldexp(options_.learning_rate(), -static_cast<int>(halvings())) * 0.5 *
                      (1 + std::cos(std::numbers::pi * done));
  for (torch::optim::OptimizerParamGroup& group : optimizer_.param_groups()) {
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
  }
}

// The rest of an epoch.
absl::Status Training::TrainEpoch(BatchLoader* loader) {
  network_->train();
  int64_t& step = counters_["step"];
  while (step < steps_per_epoch_) {
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader->Next());
    torch::manual_seed(SeedFor(record_.seed(), static_cast<uint64_t>(steps()), kDropout));
    SetCosineRate();
    const torch::Tensor images = WithNoise(batch.images.to(device_), options_.noise());
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        network_->forward(images), batch.labels.to(device_),
        torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(
            options_.label_smoothing()));
    optimizer_.zero_grad();
    loss.backward();
    optimizer_.step();
    const double value = loss.item<double>();
    ++step;
    if (!std::isfinite(value) || value > kExploded) {
      return absl::OutOfRangeError(absl::StrCat("the loss is ", value));
    }
    loss_sum_ += value;
    work_->Advance(steps() * options_.batch_size(),
                   absl::StrFormat("loss %.4f", loss_sum_ / static_cast<double>(step)));
    if (stop_.requested() && step < steps_per_epoch_) {
      STYLEX_RETURN_IF_ERROR(Save(/*keep_previous=*/true));
      return absl::CancelledError(
          absl::StrCat("stopped after ", steps(), " steps; go on with --resume"));
    }
  }
  return work_->Log("classifier", counters_["epoch"] + 1,
                    {{"loss", loss_sum_ / static_cast<double>(steps_per_epoch_)}});
}

absl::Status Training::EndEpoch() {
  const int64_t epoch = ++counters_["epoch"];
  counters_["step"] = 0;
  loss_sum_ = 0;
  STYLEX_ASSIGN_OR_RETURN(const ClassifierScore score,
                          ScoreClassifier(network_, dataset_, Split::kValidation, device_, work_));
  if (!std::isfinite(score.cross_entropy)) {
    return absl::OutOfRangeError(absl::StrCat("validation: the loss is ", score.cross_entropy));
  }
  STYLEX_RETURN_IF_ERROR(work_->Log("classifier_validation", epoch,
                                    {{"accuracy", score.accuracy},
                                     {"cross_entropy", score.cross_entropy},
                                     {"calibration_error", score.expected_calibration_error}}));
  const int64_t accuracy_ppm = std::llround(score.accuracy * 1e6);
  if (accuracy_ppm > counters_["best_accuracy_ppm"]) {
    counters_["best_accuracy_ppm"] = accuracy_ppm;
    STYLEX_RETURN_IF_ERROR(
        WriteBest(record_.config(), network_, score, epoch, record_.seed(), work_));
  }
  return Save(/*keep_previous=*/true);
}

absl::Status Training::Train() {
  BatchLoaderOptions loading;
  loading.batch_size = options_.batch_size();
  loading.horizontal_flip = record_.config().data().horizontal_flip();
  loading.rotations = record_.config().data().rotations();
  loading.shift_pixels = options_.shift_pixels();
  loading.seed = record_.seed();
  loading.start_step = steps();
  BatchLoader loader(dataset_, loading, [this](const std::string& text) { work_->Warn(text); });
  work_->Start("classifier", steps() * options_.batch_size(),
               steps_per_epoch_ * options_.epochs() * options_.batch_size());
  while (counters_["epoch"] < options_.epochs()) {
    STYLEX_RETURN_IF_ERROR(TrainEpoch(&loader));
    STYLEX_RETURN_IF_ERROR(EndEpoch());
    if (stop_.requested() && counters_["epoch"] < options_.epochs()) {
      return absl::CancelledError(
          absl::StrCat("stopped after ", counters_["epoch"], " epochs; go on with --resume"));
    }
  }
  work_->End();
  return absl::OkStatus();
}

}  // namespace

torch::Tensor WithNoise(const torch::Tensor& images, double most) {
  if (most == 0) {
    return images;  // nothing is drawn: dropout sees the numbers that it always saw
  }
  const torch::Tensor deviations =
      torch::rand({images.size(0), 1, 1, 1}, images.options()).mul_(most);
  return images + torch::randn_like(images).mul_(deviations);
}

absl::StatusOr<ClassifierScore> ScoreClassifier(MobileNetV2 network, const Dataset& dataset,
                                                Split split, const torch::Device& device,
                                                WorkDirectory* run) {
  torch::NoGradGuard no_grad;
  network->eval();
  std::vector<torch::Tensor> logits;
  std::vector<torch::Tensor> labels;
  STYLEX_RETURN_IF_ERROR(ForEachBatch(
      dataset, split, kScoreBatch, 0, [&](const std::string& text) { run->Warn(text); },
      [&](const Batch& batch) {
        logits.push_back(network->forward(batch.images.to(device)).to(torch::kCPU));
        labels.push_back(batch.labels);
        return absl::OkStatus();
      }));
  const torch::Tensor all = torch::cat(logits);
  const torch::Tensor truth = torch::cat(labels);
  ClassifierScore score;
  score.images = truth.size(0);
  score.accuracy = all.argmax(1).eq(truth).to(torch::kFloat64).mean().item<double>();
  score.cross_entropy = torch::nn::functional::cross_entropy(all, truth).item<double>();
  score.expected_calibration_error = CalibrationError(torch::softmax(all, 1), truth);
  return score;
}

absl::Status TrainClassifier(const v1::RunRecord& record, const Dataset& dataset,
                             const torch::Device& device, WorkDirectory* run) {
  Training training(record, dataset, device, run);
  // There is always a state to go back to; and a folder that cannot hold one is noticed now.
  STYLEX_RETURN_IF_ERROR(run->resuming() ? training.Restore(/*before_last=*/false)
                                         : training.Save(/*keep_previous=*/false));
  while (true) {
    const absl::Status status = training.Train();
    if (!absl::IsOutOfRange(status)) {
      return status;
    }
    const std::string diverged =
        absl::StrCat("training diverged at step ", training.steps(), ": ", status.message());
    if (training.halvings() > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(diverged,
                       ", with half the learning rate as well; start another run with a lower "
                       "classifier.learningRate"));
    }
    STYLEX_RETURN_IF_ERROR(training.Restore(/*before_last=*/true));
    training.HalveLearningRate();
    run->Warn(absl::StrCat(diverged, "; going back to step ", training.steps(),
                           ", and on with half the learning rate"));
    STYLEX_RETURN_IF_ERROR(training.Save(/*keep_previous=*/false));
  }
}

}  // namespace stylex
