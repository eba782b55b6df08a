// Training in bfloat16: what is asked for and recorded, and that losses follow those of float32.
#include "trainer/training/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/cpu/fused_networks.h"
#include "tests/trainer/training/small_training.h"
#include "trainer/training/stylex_training.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSteps = 60;

TEST(PrecisionTest, AutoTakesWhatTheProcessorHas) {
  EXPECT_EQ(ChoosePrecision("auto", torch::kCPU).value(),
            CpuMultipliesInBfloat16() ? Precision::kBfloat16 : Precision::kFloat32);
  EXPECT_EQ(ChoosePrecision("auto", torch::kCUDA).value(), Precision::kFloat32);
  EXPECT_EQ(ChoosePrecision("float32", torch::kCPU).value(), Precision::kFloat32);
}

TEST(PrecisionTest, AnythingElseIsRefusedByName) {
  for (const std::string text : {"", "fp16", "BFLOAT16"}) {
    const absl::Status status = ChoosePrecision(text, torch::kCPU).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), "--precision " + text + ": must be auto, float32 or bfloat16");
  }
}

TEST(PrecisionTest, Bfloat16IsRefusedWhereItIsMissing) {
  const absl::Status on_gpu = ChoosePrecision("bfloat16", torch::kCUDA).status();
  EXPECT_EQ(on_gpu.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(on_gpu.message(), HasSubstr("only on the CPU"));
  const auto on_cpu = ChoosePrecision("bfloat16", torch::kCPU);
  if (CpuMultipliesInBfloat16()) {
    EXPECT_EQ(on_cpu.value(), Precision::kBfloat16);
  } else {
    EXPECT_THAT(on_cpu.status().message(), HasSubstr("this processor"));
  }
}

TEST(PrecisionTest, TheRecordTellsWhenItChanged) {
  v1::RunRecord record;
  EXPECT_EQ(PrecisionText(record), "");
  EXPECT_TRUE(RecordPrecision(Precision::kFloat32, 0, &record));
  EXPECT_FALSE(RecordPrecision(Precision::kFloat32, 80, &record));
  EXPECT_EQ(PrecisionText(record), "float32");
  EXPECT_TRUE(RecordPrecision(Precision::kBfloat16, 160, &record));
  EXPECT_TRUE(RecordPrecision(Precision::kFloat32, 240, &record));
  EXPECT_EQ(PrecisionText(record),
            "float32, from image 160 on bfloat16, from image 240 on float32");
}

TEST(PrecisionTest, ARunOfAnEarlierVersionBeganInFloat32) {
  v1::RunRecord record;
  EXPECT_FALSE(RecordPrecision(Precision::kFloat32, 80, &record));
  EXPECT_EQ(PrecisionText(record), "float32");
  v1::RunRecord other;
  EXPECT_TRUE(RecordPrecision(Precision::kBfloat16, 80, &other));
  EXPECT_EQ(PrecisionText(other), "float32, from image 80 on bfloat16");
}

// Every pass of a step takes part: features, balance, R1, path length, latents, mapping network.
v1::TrainConfig Config() {
  v1::TrainConfig config = SmallTrainConfig(16, {16, 16, 8});
  config.mutable_model()->mutable_discriminator()->set_conditional(true);
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_images(4 * kSteps);
  stylex.set_beta2(0.99);
  stylex.set_mapping_interval(4);
  stylex.set_r1_interval(2);
  stylex.set_r1_gamma(0.1);
  stylex.set_latent_interval(1);
  stylex.set_path_length_interval(4);
  stylex.set_path_length_batch_shrink(1);
  stylex.mutable_weights()->set_adversarial(0.1);
  stylex.mutable_weights()->set_feature_matching(1);
  stylex.mutable_weights()->set_latent(0.1);
  stylex.mutable_weights()->set_kl(0.1);
  stylex.mutable_weights()->set_path_length(0.1);
  return config;
}

// The mean of a loss over the last steps of a training, and over its first.
struct Losses {
  double first = 0;
  double last = 0;
};

struct Trained {
  Losses pixels, decisions;
  std::map<std::string, torch::Tensor> weights;
};

Trained Train(const std::function<Precision(int64_t)>& precision_of_step) {
  StylexTraining training(Config(), std::make_shared<Brightness>(), nullptr, 3, torch::kCPU);
  Trained trained;
  for (int64_t step = 0; step < kSteps; ++step) {
    torch::manual_seed(100 + static_cast<uint64_t>(step % 4));
    const torch::Tensor shade = torch::rand({4, 3, 1, 1}) * 2 - 1;
    training.SetPrecision(precision_of_step(step));
    const StepMetrics metrics = training.Step(shade.expand({4, 3, 16, 16}).contiguous(), true);
    if (step % 4 != 3) {  // the others come from the mapping network
      constexpr double kCounted = 12;
      trained.pixels.first += step < 16 ? metrics.at("loss_l1") / kCounted : 0;
      trained.pixels.last += step >= kSteps - 16 ? metrics.at("loss_l1") / kCounted : 0;
      trained.decisions.last += step >= kSteps - 16 ? metrics.at("loss_kl") / kCounted : 0;
    }
  }
  for (const auto& [name, tensor] : training.averaged_networks().NamedTensors()) {
    trained.weights[name] = tensor.clone();
  }
  return trained;
}

class Bfloat16TrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CpuMultipliesInBfloat16()) {
      GTEST_SKIP() << "this processor has no AVX512-BF16";
    }
  }
};

TEST_F(Bfloat16TrainingTest, LossesFollowThoseOfFloat32) {
  const Trained exact = Train([](int64_t) { return Precision::kFloat32; });
  const Trained rounded = Train([](int64_t) { return Precision::kBfloat16; });
  EXPECT_LT(exact.pixels.last, 0.8 * exact.pixels.first);
  EXPECT_NEAR(rounded.pixels.first, exact.pixels.first, 0.05 * exact.pixels.first);
  EXPECT_NEAR(rounded.pixels.last, exact.pixels.last, 0.15 * exact.pixels.last);
  EXPECT_NEAR(rounded.decisions.last, exact.decisions.last, 0.3 * exact.decisions.last);
}

// Without an encoder every batch comes from the mapping network, two latents to an image.
TEST_F(Bfloat16TrainingTest, APlainStyleGan2TrainsToo) {
  v1::TrainConfig config = Config();
  config.mutable_model()->clear_encoder();
  config.mutable_model()->mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  config.mutable_model()->mutable_discriminator()->set_conditional(false);
  const auto scores = [&config](Precision precision) {
    StylexTraining training(config, std::make_shared<Brightness>(), nullptr, 3, torch::kCPU);
    training.SetPrecision(precision);
    std::vector<double> result;
    for (int step = 0; step < 6; ++step) {
      torch::manual_seed(100);
      const StepMetrics metrics = training.Step(torch::rand({4, 3, 16, 16}) * 2 - 1, true);
      EXPECT_FALSE(metrics.contains("loss_l1"));
      result.push_back(metrics.at("loss_d"));
    }
    return result;
  };
  const std::vector<double> exact = scores(Precision::kFloat32);
  const std::vector<double> rounded = scores(Precision::kBfloat16);
  EXPECT_NE(exact, rounded);
  for (size_t step = 0; step < exact.size(); ++step) {
    EXPECT_NEAR(rounded[step], exact[step], 0.05 * exact[step]) << "step " << step;
  }
}

TEST_F(Bfloat16TrainingTest, TheSameBitsEachTime) {
  const Trained once = Train([](int64_t) { return Precision::kBfloat16; });
  const Trained again = Train([](int64_t) { return Precision::kBfloat16; });
  for (const auto& [name, tensor] : once.weights) {
    EXPECT_TRUE(tensor.equal(again.weights.at(name))) << name;
  }
}

TEST_F(Bfloat16TrainingTest, ThePrecisionMayChangeOnTheWay) {
  const Trained exact = Train([](int64_t) { return Precision::kFloat32; });
  const Trained mixed = Train(
      [](int64_t step) { return step < kSteps / 2 ? Precision::kFloat32 : Precision::kBfloat16; });
  EXPECT_EQ(mixed.pixels.first, exact.pixels.first);
  EXPECT_NE(mixed.pixels.last, exact.pixels.last);
  EXPECT_NEAR(mixed.pixels.last, exact.pixels.last, 0.15 * exact.pixels.last);
}

}  // namespace
}  // namespace stylex
