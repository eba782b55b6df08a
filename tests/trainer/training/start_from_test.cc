// Training that starts from another training's networks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>

#include "absl/status/status.h"
#include "models/networks/layers.h"
#include "tests/trainer/training/small_training.h"
#include "trainer/training/stylex_training.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

v1::TrainConfig ConfigOf(int resolution, const std::vector<int>& channels) {
  v1::TrainConfig config = SmallTrainConfig(resolution, channels);
  config.mutable_model()->set_name("small");
  config.mutable_model()->mutable_classifier()->set_architecture("mobilenet_v2");
  config.mutable_model()->mutable_classifier()->set_width_multiplier(0.1);
  config.mutable_stylex()->set_images(8);
  return config;
}

std::shared_ptr<Classifier> AnyClassifier() {
  MobileNetV2 network(3, 2, 0.1);
  network->eval();
  return MakeMobileNetClassifier(network, 1);
}

StylexTraining Training(const v1::TrainConfig& config, uint64_t seed) {
  return StylexTraining(config, AnyClassifier(), nullptr, seed, torch::kCPU);
}

TEST(StartFromTest, OfTheSameResolutionEveryNetworkIsTaken) {
  const torch::NoGradGuard no_grad;
  const v1::TrainConfig config = ConfigOf(16, {8, 8, 4});
  const StylexTraining earlier = Training(config, 1);
  StylexTraining later = Training(config, 2);
  ASSERT_TRUE(later.StartFrom({earlier.Averaged(), std::nullopt}).ok());
  const auto expected = earlier.averaged_networks().NamedTensors();
  TrainingState state = later.State();
  for (const auto& [name, tensor] : expected) {
    EXPECT_TRUE(torch::equal(state.tensors.at("networks." + name), tensor)) << name;
    EXPECT_TRUE(torch::equal(state.tensors.at("averaged." + name), tensor)) << name;
  }
}

TEST(StartFromTest, GrowsAndFirstDrawsTheSmallerImagesEnlarged) {
  const torch::NoGradGuard no_grad;
  const StylexTraining earlier = Training(ConfigOf(16, {8, 8, 4}), 1);
  StylexTraining later = Training(ConfigOf(64, {8, 8, 4, 4, 2}), 2);
  ASSERT_TRUE(later.StartFrom({earlier.Averaged(), std::nullopt}).ok());
  const Generator small = earlier.averaged_networks().generator;
  const Generator great = later.averaged_networks().generator;
  const torch::Tensor w = torch::randn({3, 8 + 2});
  torch::Tensor enlarged = small.ptr()->synthesize(small.ptr()->styles(w), Noise::kFixed);
  for (int i = 0; i < 2; ++i) {
    enlarged = FirUpsample(enlarged, FirKernel());
  }
  const torch::Tensor drawn = great.ptr()->synthesize(great.ptr()->styles(w), Noise::kFixed);
  EXPECT_LT((drawn - enlarged).abs().max().item<double>(), 1e-4);
  // The encoder's first blocks are new, its later ones are those of the earlier encoder.
  const auto from = earlier.averaged_networks().NamedTensors();
  const auto to = later.averaged_networks().NamedTensors();
  EXPECT_TRUE(torch::equal(to.at("encoder.body.block2_conv1.weight"),
                           from.at("encoder.body.block0_conv1.weight")));
  EXPECT_TRUE(torch::equal(to.at("encoder.body.block3_skip.weight"),
                           from.at("encoder.body.block1_skip.weight")));
  EXPECT_TRUE(
      torch::equal(to.at("encoder.body.output.weight"), from.at("encoder.body.output.weight")));
}

TEST(StartFromTest, TrainsOnFromThere) {
  const StylexTraining earlier = Training(ConfigOf(16, {8, 8, 4}), 1);
  StylexTraining later = Training(ConfigOf(32, {8, 8, 4, 4}), 2);
  ASSERT_TRUE(later.StartFrom({earlier.Averaged(), std::nullopt}).ok());
  const torch::Tensor before =
      later.State().tensors.at("networks.generator.to_rgb3_weight").clone();
  EXPECT_EQ(before.abs().max().item<double>(), 0);
  later.Step(torch::rand({4, 3, 32, 32}) * 2 - 1, false);
  const torch::Tensor after = later.State().tensors.at("networks.generator.to_rgb3_weight");
  EXPECT_GT(after.abs().min().item<double>(), 0);
}

TEST(StartFromTest, ConstantColoursDoNotDependOnTheLatentAndStaySo) {
  v1::TrainConfig config = ConfigOf(16, {8, 8, 4});
  const StylexTraining earlier = Training(config, 1);
  config.mutable_stylex()->set_constant_to_rgb(true);
  StylexTraining later = Training(config, 2);
  ASSERT_TRUE(later.StartFrom({earlier.Averaged(), std::nullopt}).ok());
  const auto rgb_of = [&](int seed) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(seed);
    return later.Averaged().Styles(torch::randn({1, 8 + 2})).rgb;
  };
  later.Step(torch::rand({4, 3, 16, 16}) * 2 - 1, false);
  EXPECT_TRUE(torch::equal(rgb_of(1), rgb_of(2)));
  TrainingState state = later.State();
  for (const auto& [name, tensor] : state.tensors) {
    if (name.find("to_rgb") != std::string::npos && name.ends_with("_affine.weight")) {
      EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
    }
  }
  // What there is instead of a dependence is learned.
  EXPECT_FALSE(
      torch::equal(state.tensors.at("networks.generator.to_rgb1_affine.bias"),
                   earlier.averaged_networks().NamedTensors().at("generator.to_rgb1_affine.bias")));
}

// How far, on average, the class condition moves a coordinate after some steps.
double MovedByCondition(double sparsity) {
  v1::TrainConfig config = ConfigOf(16, {8, 8, 4});
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_generator_lr(0.05);
  stylex.set_swap_interval(2);
  stylex.mutable_weights()->set_kl_swap(1);
  stylex.mutable_weights()->set_l1_swap(1);
  stylex.mutable_weights()->set_swap_sparsity(sparsity);
  StylexTraining training(config, std::make_shared<Brightness>(), nullptr, 1, torch::kCPU);
  const torch::Tensor level = torch::tensor({-0.5, 0.5, 0.5, -0.5}).view({4, 1, 1, 1});
  for (int64_t step = 0; step < 60; ++step) {
    torch::manual_seed(static_cast<uint64_t>(step));
    const StepMetrics metrics = training.Step(level + torch::rand({4, 3, 16, 16}) - 0.5, true);
    for (const char* name : {"loss_kl_swap", "loss_l1_swap", "loss_g_swap", "swap_sparsity"}) {
      EXPECT_EQ(metrics.contains(name), step % 2 == 0) << name << " at step " << step;
    }
    EXPECT_EQ(metrics.contains("loss_l1"), step % 2 == 1) << step;
  }
  const torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  torch::Tensor w = torch::zeros({2, 8 + 2});
  w[0][8] = 1;
  w[1][9] = 1;
  const torch::Tensor conv = model.Styles(w).conv;
  return (conv[0] - conv[1]).abs().mean().item<double>();
}

TEST(StartFromTest, SwappedConditionsComeToMoveLittleWhereThatIsAskedFor) {
  EXPECT_LT(MovedByCondition(10), 0.5 * MovedByCondition(0));
}

// How far, on average, images differ in a dimension of the latent after some steps.
double SpreadOfLatents(double latent_kl) {
  v1::TrainConfig config = ConfigOf(16, {8, 8, 4});
  config.mutable_stylex()->set_encoder_lr(0.02);
  config.mutable_stylex()->mutable_weights()->set_latent_kl(latent_kl);
  StylexTraining training(config, std::make_shared<Brightness>(), nullptr, 1, torch::kCPU);
  const auto images = [](int64_t step) {
    torch::manual_seed(static_cast<uint64_t>(step));
    return torch::rand({4, 3, 16, 16}) * 2 - 1;
  };
  for (int64_t step = 0; step < 60; ++step) {
    EXPECT_EQ(training.Step(images(step), true).contains("latent_kl"), latent_kl > 0) << step;
  }
  EXPECT_EQ(training.State().tensors.contains("log_latent_noise"), latent_kl > 0);
  const torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  const torch::Tensor x = images(100);
  return model.Encode(x, model.Logits(x)).narrow(1, 0, 8).std(0).mean().item<double>();
}

TEST(StartFromTest, LatentsTellLittleWhereThatIsDear) {
  EXPECT_LT(SpreadOfLatents(10), 0.2 * SpreadOfLatents(0));
}

// The mean reconstruction error within a mark that otherwise similar images have or lack.
double ErrorInMark(double l2) {
  v1::TrainConfig config = ConfigOf(16, {8, 8, 4});
  config.mutable_stylex()->set_generator_lr(0.01);
  config.mutable_stylex()->set_encoder_lr(0.01);
  config.mutable_stylex()->mutable_weights()->set_l2(l2);
  StylexTraining training(config, std::make_shared<Brightness>(), nullptr, 1, torch::kCPU);
  const auto mark_of = [](const torch::Tensor& images) {
    return images.slice(2, 12, 15).slice(3, 12, 15);
  };
  const auto images = [&](int64_t step) {
    torch::manual_seed(static_cast<uint64_t>(step));
    torch::Tensor drawn = torch::rand({4, 1, 1, 1}).repeat({1, 3, 16, 16}) - 1;
    mark_of(drawn).copy_(torch::randint(2, {4, 1, 1, 1}) * 2 - 1);
    return drawn;
  };
  for (int64_t step = 0; step < 400; ++step) {
    EXPECT_EQ(training.Step(images(step), true).contains("loss_l2"), l2 > 0);
  }
  const torch::NoGradGuard no_grad;
  const Stylex model = training.Averaged();
  const torch::Tensor x = images(1000);
  const torch::Tensor drawn = model.Synthesize(model.Styles(model.Encode(x, model.Logits(x))));
  return mark_of(drawn - x).abs().mean().item<double>();
}

TEST(StartFromTest, SmallThingsAreDrawnWhereLargeErrorsAreDear) {
  EXPECT_LT(ErrorInMark(20), 0.6 * ErrorInMark(0));
}

TEST(StartFromTest, RefusesWhatDoesNotFitAndChangesNothing) {
  const StylexTraining earlier = Training(ConfigOf(16, {8, 8, 4}), 1);
  {
    StylexTraining later = Training(ConfigOf(32, {8, 8, 6, 4}), 2);
    const torch::Tensor before = later.State().tensors.at("networks.generator.const").clone();
    const absl::Status status = later.StartFrom({earlier.Averaged(), std::nullopt});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("has shape [4]"), HasSubstr("has [6]")));
    EXPECT_TRUE(torch::equal(later.State().tensors.at("networks.generator.const"), before));
  }
  StylexTraining later = Training(ConfigOf(8, {8, 8}), 2);
  const absl::Status status = later.StartFrom({earlier.Averaged(), std::nullopt});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("resolution 16"), HasSubstr("only 8")));
}

}  // namespace
}  // namespace stylex
