// Scores against their definitions, and what a training leaves in its folder.
#include "trainer/training/classifier_training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/file.h"
#include "models/pixels.h"
#include "models/trained_classifier.h"
#include "tests/temporary_folder.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

constexpr int kSide = 16;
constexpr int64_t kImages = 40;

// Class 0 is dark, class 1 bright, with noise; both splits alike.
class DarkAndBright : public Dataset {
 public:
  DarkAndBright() : Dataset({.resolution = kSide, .channels = 1}) { labels_ = {"dark", "bright"}; }
  int64_t size(Split) const override { return kImages; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return std::to_string(index); }
  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    Bitmap bitmap = Bitmap::Make(kSide, kSide, 1);
    uint32_t state = static_cast<uint32_t>(index) * 7919 + (split == Split::kTrain ? 1 : 2);
    for (uint8_t& byte : bitmap.data) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<uint8_t>((index % 2 == 0 ? 20 : 140) + (state >> 24) % 100);
    }
    return bitmap;
  }
};

v1::TrainConfig Config(int epochs) {
  v1::TrainConfig config;
  v1::ModelConfig& model = *config.mutable_model();
  model.set_resolution(kSide);
  model.set_image_channels(1);
  model.add_labels("dark");
  model.add_labels("bright");
  model.mutable_classifier()->set_architecture("mobilenet_v2");
  model.mutable_classifier()->set_width_multiplier(0.1);
  v1::ClassifierTraining& training = *config.mutable_classifier();
  training.set_epochs(epochs);
  training.set_batch_size(8);
  training.set_learning_rate(3e-3);
  return config;
}

class ClassifierTrainingTest : public testing::Test {
 protected:
  std::unique_ptr<WorkDirectory> Open(const std::string& name, bool resume = false) const {
    return WorkDirectory::Open(folder_ / name, kClassifierStateFile, resume).value();
  }
  absl::Status Train(const v1::TrainConfig& config, uint64_t seed, WorkDirectory* run) const {
    v1::RunRecord record;
    *record.mutable_config() = config;
    record.set_seed(seed);
    return TrainClassifier(record, dataset_, torch::kCPU, run);
  }
  // [N, 2] logits of the validation images, one at a time.
  torch::Tensor Logits(MobileNetV2 network) const {
    const torch::NoGradGuard no_grad;
    network->eval();
    std::vector<torch::Tensor> logits;
    for (int64_t i = 0; i < kImages; ++i) {
      logits.push_back(
          network->forward(BitmapToTensor(dataset_.Load(Split::kValidation, i).value())));
    }
    return torch::cat(logits);
  }

  TemporaryFolder folder_;
  DarkAndBright dataset_;
};

TEST_F(ClassifierTrainingTest, ScoresAreThoseOfTheDefinitions) {
  torch::manual_seed(3);
  MobileNetV2 network = MakeClassifierNetwork(Config(1).model());
  {
    // Decisions of all degrees of certainty: the last layer is scaled until the logits are apart.
    const torch::NoGradGuard no_grad;
    const double apart = Logits(network).diff(1, 1).std().item<double>();
    for (const auto& [name, tensor] : NamedTensors(network)) {
      if (tensor.dim() == 2) {
        torch::Tensor(tensor).mul_(2 / apart);
      }
    }
    const torch::Tensor middle = Logits(network).mean(0);
    for (const auto& [name, tensor] : NamedTensors(network)) {
      if (name.starts_with("classifier") && tensor.dim() == 1) {
        torch::Tensor(tensor).sub_(middle);
      }
    }
  }
  const torch::Tensor logits = Logits(network);
  double right = 0, cross_entropy = 0;
  std::vector<double> correct(15), confidence(15);
  for (int64_t i = 0; i < kImages; ++i) {
    const double a = logits[i][0].item<double>(), b = logits[i][1].item<double>();
    const double bright = 1 / (1 + std::exp(a - b)), top = std::max(bright, 1 - bright);
    const bool is_right = (b > a) == (i % 2 == 1);
    right += is_right ? 1 : 0;
    cross_entropy -= std::log(i % 2 == 1 ? bright : 1 - bright);
    const auto bin = std::min<size_t>(14, static_cast<size_t>(top * 15));
    correct[bin] += is_right ? 1 : 0;
    confidence[bin] += top;
  }
  double calibration = 0;
  for (size_t bin = 0; bin < 15; ++bin) {
    calibration += std::abs(correct[bin] - confidence[bin]) / kImages;
  }
  const auto run = Open("score");
  const ClassifierScore score =
      ScoreClassifier(network, dataset_, Split::kValidation, torch::kCPU, run.get()).value();
  EXPECT_EQ(score.images, kImages);
  EXPECT_NEAR(score.accuracy, right / kImages, 1e-9);
  EXPECT_NEAR(score.cross_entropy, cross_entropy / kImages, 1e-4);
  EXPECT_NEAR(score.expected_calibration_error, calibration, 1e-4);
  EXPECT_GT(calibration, 0.01) << "too certain or too uncertain for a test";
}

// The accuracies on the validation images, epoch after epoch.
std::vector<double> LoggedAccuracies(const WorkDirectory& run) {
  std::vector<double> accuracies;
  const std::string log = ReadFile(run.Path("log.jsonl")).value();
  for (const absl::string_view line : absl::StrSplit(log, '\n', absl::SkipEmpty())) {
    const nlohmann::json parsed = nlohmann::json::parse(line.begin(), line.end());
    if (parsed.at("event") == "classifier_validation") {
      accuracies.push_back(parsed.at("accuracy"));
    }
  }
  return accuracies;
}

TEST(WithNoiseTest, EachImageHasADeviationOfItsOwn) {
  torch::manual_seed(3);
  const torch::Tensor images = torch::full({200, 3, 16, 16}, 0.25);
  const torch::Tensor deviations = WithNoise(images, 0.6).sub(images).flatten(1).std(1);
  EXPECT_LT(deviations.max().item<double>(), 0.7);
  EXPECT_GT(deviations.max().item<double>(), 0.5);
  EXPECT_LT(deviations.min().item<double>(), 0.1);
  EXPECT_NEAR(deviations.mean().item<double>(), 0.3, 0.05);
}

TEST(WithNoiseTest, NoneDrawsNoNumber) {
  const torch::Tensor images = torch::full({2, 3, 4, 4}, 0.25);
  torch::manual_seed(3);
  const torch::Tensor expected = torch::rand({4});
  torch::manual_seed(3);
  EXPECT_TRUE(WithNoise(images, 0).equal(images));
  EXPECT_TRUE(torch::rand({4}).equal(expected));
}

TEST_F(ClassifierTrainingTest, LeavesTheBestEpoch) {
  const auto run = Open("run");
  v1::TrainConfig config = Config(60);
  config.mutable_classifier()->set_learning_rate(1e-2);
  ASSERT_TRUE(Train(config, 1, run.get()).ok());
  TrainedClassifier trained = LoadTrainedClassifier(run->path()).value();
  EXPECT_THAT(trained.config.labels(), testing::ElementsAre("dark", "bright"));
  EXPECT_EQ(trained.config.provenance().seed(), 1);
  const std::vector<double> accuracies = LoggedAccuracies(*run);
  ASSERT_EQ(accuracies.size(), 60);
  const auto best = std::max_element(accuracies.begin(), accuracies.end());
  EXPECT_GT(*best, accuracies.front()) << "nothing was learnt";
  const double accuracy = trained.config.metrics().at("classifier_accuracy");
  EXPECT_EQ(accuracy, *best);
  EXPECT_EQ(trained.config.metrics().at("classifier_epoch"),
            static_cast<double>(best - accuracies.begin() + 1));
  const torch::Tensor labels = torch::arange(kImages) % 2;
  const torch::Tensor right = Logits(trained.network).argmax(1).eq(labels);
  EXPECT_NEAR(right.to(torch::kFloat64).mean().item<double>(), accuracy, 1e-9)
      << "the figures are of the weights beside them";
}

TEST_F(ClassifierTrainingTest, AFinishedTrainingHasNothingToResume) {
  ASSERT_TRUE(Train(Config(2), 5, Open("run").get()).ok());
  const auto written = [&] {
    return std::filesystem::last_write_time(folder_ / "run/classifier.safetensors");
  };
  const auto before = written();
  const auto resumed = Open("run", /*resume=*/true);
  ASSERT_TRUE(resumed->resuming());
  ASSERT_TRUE(Train(Config(2), 5, resumed.get()).ok());
  EXPECT_EQ(written(), before);
}

// Sets every value of the last layer's bias in a run's newest state.
void SpoilState(const std::string& path, const v1::TrainConfig& config, float value) {
  MobileNetV2 network = MakeClassifierNetwork(config.model());
  torch::optim::AdamW optimizer(network->parameters(), torch::optim::AdamWOptions(1e-3));
  TrainingState state;
  state.tensors = NamedTensors(network);
  state.optimizers = {{"adam", &optimizer}};
  for (const char* counter : {"epoch", "step", "best_accuracy_ppm", "halvings", "loss_sum_bits"}) {
    state.counters[counter] = 0;
  }
  ASSERT_EQ(LoadTrainingState(path, &state), absl::OkStatus());
  state.record = ReadStateTexts(path).value().record;
  for (auto& [name, tensor] : state.tensors) {
    if (name.starts_with("classifier") && tensor.dim() == 1) {
      const torch::NoGradGuard no_grad;
      tensor.copy_(torch::tensor({value, -value}));
    }
  }
  ASSERT_EQ(SaveTrainingState(state, path), absl::OkStatus());
}

TEST_F(ClassifierTrainingTest, ItGoesBackOnceWhenItDiverges) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float value : {1e30F, nan}) {
    const std::string name = std::isnan(value) ? "nan" : "great";
    ASSERT_TRUE(Train(Config(2), 5, Open(name).get()).ok());
    SpoilState(folder_ / name + "/" + kClassifierStateFile, Config(2), value);
    const auto resumed = Open(name, /*resume=*/true);
    ASSERT_EQ(Train(Config(4), 5, resumed.get()), absl::OkStatus());
    const std::string log = ReadFile(resumed->Path("log.jsonl")).value();
    EXPECT_EQ(LoggedAccuracies(*resumed).size(), 4);
    if (std::isnan(value)) {  // noticed when it is loaded, and the state before it used
      EXPECT_THAT(log, testing::HasSubstr("the state before it is used"));
    } else {
      EXPECT_THAT(log, testing::HasSubstr("going back to step 5, and on with half the learning"));
    }
    MobileNetV2 network = LoadTrainedClassifier(resumed->path())->network;
    EXPECT_TRUE(Logits(network).isfinite().all().item<bool>());
  }
}

TEST_F(ClassifierTrainingTest, TheSecondTimeItStopsAndSaysWhatToDo) {
  v1::TrainConfig config = Config(3);
  config.mutable_classifier()->set_learning_rate(1e30);
  const auto run = Open("wild");
  const absl::Status status = Train(config, 5, run.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(testing::HasSubstr("diverged"),
                             testing::HasSubstr("classifier.learningRate")));
  EXPECT_THAT(ReadFile(run->Path("log.jsonl")).value(), testing::HasSubstr("going back to step 0"));
  EXPECT_FALSE(std::filesystem::exists(run->Path("classifier.safetensors")))
      << "nothing good was trained";
}

TEST_F(ClassifierTrainingTest, TheSeedDecides) {
  const auto first = Open("first"), same = Open("same"), other = Open("other");
  ASSERT_TRUE(Train(Config(1), 1, first.get()).ok());
  ASSERT_TRUE(Train(Config(1), 1, same.get()).ok());
  ASSERT_TRUE(Train(Config(1), 2, other.get()).ok());
  const auto logits = [&](const WorkDirectory& run) {
    return Logits(LoadTrainedClassifier(run.path())->network);
  };
  EXPECT_TRUE(logits(*first).allclose(logits(*same), 1e-4, 1e-5));
  EXPECT_FALSE(logits(*first).allclose(logits(*other), 1e-4, 1e-5));
}

}  // namespace
}  // namespace stylex
