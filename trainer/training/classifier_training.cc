#include "trainer/training/classifier_training.h"

#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>
#include <torch/optim/optimizer.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "models/trained_classifier.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/random_order.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

constexpr uint64_t kInitialClassifierWeights = 21;
constexpr uint64_t kDropout = 22;
constexpr int64_t kScoreBatch = 256;
constexpr int64_t kCalibrationBins = 15;

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

// Network, optimiser and counters of a run.
struct Training {
  MobileNetV2 network;
  torch::optim::AdamW optimizer;
  int64_t epoch = 0;
  int64_t best_accuracy_ppm = -1;

  TrainingState State(const v1::TrainConfig& config, uint64_t seed) {
    TrainingState state;
    state.tensors = NamedTensors(network);
    state.optimizers = {{"adam", &optimizer}};
    state.counters = {{"epoch", epoch}, {"best_accuracy_ppm", best_accuracy_ppm}};
    state.fingerprint = absl::StrCat(config.classifier().ShortDebugString(), " ",
                                     config.model().ShortDebugString(), " seed ", seed);
    return state;
  }
};

void SetCosineRate(const v1::ClassifierTraining& options, double done,
                   torch::optim::AdamW* optimizer) {
  const double rate =
      options.learning_rate() * 0.5 * (1 + std::cos(std::numbers::pi * std::min(1.0, done)));
  for (torch::optim::OptimizerParamGroup& group : optimizer->param_groups()) {
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
  }
}

absl::Status TrainEpoch(const v1::TrainConfig& config, int64_t steps_per_epoch, uint64_t seed,
                        const torch::Device& device, BatchLoader* loader, Training* training,
                        WorkDirectory* run) {
  const v1::ClassifierTraining& options = config.classifier();
  training->network->train();
  double loss_sum = 0;
  for (int64_t i = 0; i < steps_per_epoch; ++i) {
    const int64_t step = training->epoch * steps_per_epoch + i;
    STYLEX_ASSIGN_OR_RETURN(const Batch batch, loader->Next());
    torch::manual_seed(SeedFor(seed, static_cast<uint64_t>(step), kDropout));
    SetCosineRate(
        options,
        static_cast<double>(step) / static_cast<double>(steps_per_epoch * options.epochs()),
        &training->optimizer);
    const torch::Tensor loss = torch::nn::functional::cross_entropy(
        training->network->forward(batch.images.to(device)), batch.labels.to(device),
        torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(
            options.label_smoothing()));
    training->optimizer.zero_grad();
    loss.backward();
    training->optimizer.step();
    loss_sum += loss.item<double>();
    run->Advance((step + 1) * options.batch_size(),
                 absl::StrFormat("loss %.4f", loss_sum / static_cast<double>(i + 1)));
  }
  return run->Log("classifier", training->epoch + 1,
                  {{"loss", loss_sum / static_cast<double>(steps_per_epoch)}});
}

}  // namespace

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

absl::Status TrainClassifier(const v1::TrainConfig& config, const Dataset& dataset, uint64_t seed,
                             const torch::Device& device, WorkDirectory* run) {
  const v1::ClassifierTraining& options = config.classifier();
  torch::manual_seed(SeedFor(seed, 0, kInitialClassifierWeights));
  MobileNetV2 network = MakeClassifierNetwork(config.model());
  network->to(device);
  Training training{network, torch::optim::AdamW(network->parameters(),
                                                 torch::optim::AdamWOptions(options.learning_rate())
                                                     .weight_decay(options.weight_decay()))};
  if (run->resuming()) {
    TrainingState state = training.State(config, seed);
    STYLEX_RETURN_IF_ERROR(LoadTrainingState(run->Path(kClassifierStateFile), &state));
    training.epoch = state.counters["epoch"];
    training.best_accuracy_ppm = state.counters["best_accuracy_ppm"];
    STYLEX_RETURN_IF_ERROR(run->RewindLog("classifier", training.epoch));
    STYLEX_RETURN_IF_ERROR(run->RewindLog("classifier_validation", training.epoch));
  }
  const int64_t steps_per_epoch =
      std::max<int64_t>(1, dataset.size(Split::kTrain) / options.batch_size());
  BatchLoaderOptions loading;
  loading.batch_size = options.batch_size();
  loading.horizontal_flip = config.data().horizontal_flip();
  loading.rotations = config.data().rotations();
  loading.shift_pixels = options.shift_pixels();
  loading.seed = seed;
  loading.start_step = training.epoch * steps_per_epoch;
  BatchLoader loader(dataset, loading, [run](const std::string& text) { run->Warn(text); });
  run->Start("classifier", loading.start_step * options.batch_size(),
             steps_per_epoch * options.epochs() * options.batch_size());
  while (training.epoch < options.epochs()) {
    STYLEX_RETURN_IF_ERROR(
        TrainEpoch(config, steps_per_epoch, seed, device, &loader, &training, run));
    ++training.epoch;
    STYLEX_ASSIGN_OR_RETURN(const ClassifierScore score,
                            ScoreClassifier(network, dataset, Split::kValidation, device, run));
    STYLEX_RETURN_IF_ERROR(run->Log("classifier_validation", training.epoch,
                                    {{"accuracy", score.accuracy},
                                     {"cross_entropy", score.cross_entropy},
                                     {"calibration_error", score.expected_calibration_error}}));
    const int64_t accuracy_ppm = std::llround(score.accuracy * 1e6);
    if (accuracy_ppm > training.best_accuracy_ppm) {
      training.best_accuracy_ppm = accuracy_ppm;
      STYLEX_RETURN_IF_ERROR(WriteBest(config, network, score, training.epoch, seed, run));
    }
    STYLEX_RETURN_IF_ERROR(
        SaveTrainingState(training.State(config, seed), run->Path(kClassifierStateFile)));
  }
  run->End();
  return absl::OkStatus();
}

}  // namespace stylex
