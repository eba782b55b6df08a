// When the discriminator takes part in training, how much it counts, and what else it is asked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "models/checkpoint/model_config.h"
#include "tests/trainer/training/small_training.h"
#include "trainer/data/random_order.h"
#include "trainer/training/losses.h"
#include "trainer/training/stylex_training.h"

namespace stylex {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

constexpr uint64_t kSeed = 3;
constexpr uint64_t kStepNoise = 2;  // the purpose of a step's random numbers, see SeedFor
constexpr int64_t kBatch = 4;

// Eight steps of four images; every fourth batch comes from the mapping network.
v1::TrainConfig SmallConfig() {
  v1::TrainConfig config = SmallTrainConfig(16, {8, 8, 4});
  config.mutable_model()->mutable_discriminator()->set_conditional(true);
  v1::StylexTraining& stylex = *config.mutable_stylex();
  stylex.set_images(8 * kBatch);
  stylex.set_beta2(0.99);
  stylex.set_mapping_interval(4);
  stylex.set_r1_interval(1);
  stylex.set_latent_interval(1);
  stylex.mutable_weights()->set_adversarial(1);
  return config;
}

using Change = std::function<void(v1::StylexTraining*)>;

v1::TrainConfig Changed(const Change& change) {
  v1::TrainConfig config = SmallConfig();
  change(config.mutable_stylex());
  return config;
}

StylexTraining Training(const v1::TrainConfig& config) {
  return StylexTraining(config, std::make_shared<Brightness>(), nullptr, kSeed, torch::kCPU);
}

torch::Tensor ImagesOfStep(int64_t step) {
  torch::manual_seed(100 + static_cast<uint64_t>(step));
  return torch::rand({kBatch, 3, 16, 16}) * 2 - 1;
}

// Takes steps until `end` of them are done.
void StepUntil(int64_t end, StylexTraining* training) {
  while (training->step() < end) {
    training->Step(ImagesOfStep(training->step()), /*want_metrics=*/false);
  }
}

std::map<std::string, torch::Tensor> TensorsOf(StylexTraining* training) {
  std::map<std::string, torch::Tensor> copies;
  for (const auto& [name, tensor] : training->State().tensors) {
    copies[name] = tensor.detach().clone();
  }
  return copies;
}

std::map<std::string, torch::Tensor> After(int64_t steps, const Change& change) {
  StylexTraining training = Training(Changed(change));
  StepUntil(steps, &training);
  return TensorsOf(&training);
}

// Names, beginning with `prefix`, of tensors that are not the same bit for bit.
std::vector<std::string> Differing(const std::map<std::string, torch::Tensor>& a,
                                   const std::map<std::string, torch::Tensor>& b,
                                   const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : a) {
    if (name.starts_with(prefix) && !torch::equal(tensor, b.at(name))) {
      names.push_back(name);
    }
  }
  return names;
}

TEST(AdversaryTest, BeginsLate) {
  StylexTraining training = Training(Changed([](auto* s) { s->set_adversarial_start(0.5); }));
  const auto first = TensorsOf(&training);
  StepUntil(4, &training);  // the fourth would be the mapping network's
  const auto before = TensorsOf(&training);
  EXPECT_THAT(Differing(first, before, "discriminator."), IsEmpty());
  EXPECT_THAT(Differing(first, before, "networks.mapping"), IsEmpty());
  EXPECT_THAT(Differing(first, before, "networks.generator"), Not(IsEmpty()));
  StepUntil(5, &training);
  EXPECT_THAT(Differing(before, TensorsOf(&training), "discriminator."), Not(IsEmpty()));
  StepUntil(8, &training);
  EXPECT_THAT(Differing(before, TensorsOf(&training), "networks.mapping"), Not(IsEmpty()));
}

TEST(AdversaryTest, SaysNothingOfADiscriminatorThatWaits) {
  StylexTraining training = Training(Changed([](auto* s) { s->set_adversarial_start(0.5); }));
  const StepMetrics metrics = training.Step(ImagesOfStep(0), /*want_metrics=*/true);
  EXPECT_THAT(metrics, Not(Contains(Key("loss_d"))));
  EXPECT_THAT(metrics, Not(Contains(Key("loss_g"))));
  EXPECT_THAT(metrics, Contains(Key("loss_l1")));
}

// The weight of the first step, worked out from the networks as they were when it was measured:
// generator and encoder as drawn, the discriminator after its own update.
TEST(AdversaryTest, ItsWeightIsTheRatioOfGradientsAtTheLastConvolution) {
  constexpr double kRatio = 0.3;
  const v1::TrainConfig config = Changed([](auto* s) {
    s->mutable_weights()->set_adversarial_ratio(kRatio);
    s->mutable_weights()->set_l1(7);
  });
  StylexTraining training = Training(config);
  StepUntil(1, &training);
  const auto state = TensorsOf(&training);

  const StylexTraining as_drawn = Training(config);
  const Networks& networks = as_drawn.averaged_networks();
  Discriminator discriminator(config.model().discriminator(), 3, 2);
  {
    const torch::NoGradGuard no_grad;
    for (auto& item : discriminator->named_parameters()) {
      item.value().copy_(state.at("discriminator." + item.key()));
    }
  }
  const torch::Tensor x = ImagesOfStep(0);
  const torch::Tensor logits = Brightness().Logits(x);
  const Generator generator = networks.generator;
  torch::Tensor weight = generator.ptr()->convs().back().weight;
  weight.requires_grad_(true);
  torch::manual_seed(SeedFor(kSeed, 0, kStepNoise));
  const torch::Tensor w =
      torch::cat({networks.encoder.ptr()->forward(x), Condition(config.model(), logits)}, 1);
  const torch::Tensor drawn =
      generator.ptr()->synthesize(generator.ptr()->styles(w), Noise::kRandom);
  const auto gradient = [&weight](const torch::Tensor& loss) {
    return torch::autograd::grad({loss}, {weight}, {}, true)[0].square().sum().sqrt();
  };
  const torch::Tensor scores = discriminator->forward(drawn, torch::softmax(logits, 1));
  const double expected = (gradient(7 * (drawn - x).abs().mean()) /
                           (gradient(-torch::log_sigmoid(scores).mean()) + 1e-4))
                              .item<double>() *
                          kRatio;
  EXPECT_NEAR(state.at("adversarial_weight").item<double>(), expected, 1e-4 * expected);
}

TEST(AdversaryTest, ItsWeightIsMeasuredEverySixteenSteps) {
  StylexTraining training = Training(Changed([](auto* s) {
    s->set_images(40 * kBatch);
    s->mutable_weights()->set_adversarial_ratio(1);
  }));
  std::vector<int64_t> measured;
  torch::Tensor last = torch::ones({});
  while (training.step() < 40) {
    const int64_t step = training.step();
    StepUntil(step + 1, &training);
    const torch::Tensor now = TensorsOf(&training).at("adversarial_weight");
    if (!torch::equal(now, last)) {
      measured.push_back(step);
    }
    last = now;
  }
  EXPECT_THAT(measured, testing::ElementsAre(0, 16, 32));
}

TEST(AdversaryTest, FeatureMatchingTeachesTheGeneratorOnly) {
  const Change matching = [](auto* s) { s->mutable_weights()->set_feature_matching(5); };
  const auto without = After(1, [](auto*) {});
  const auto with = After(1, matching);
  EXPECT_THAT(Differing(without, with, "discriminator."), IsEmpty());
  EXPECT_THAT(Differing(without, with, "networks.generator"), Not(IsEmpty()));
  StylexTraining training = Training(Changed(matching));
  EXPECT_GT(training.Step(ImagesOfStep(0), true).at("loss_features"), 0);
}

TEST(AdversaryTest, RelativisticLossPairsPhotographAndReconstruction) {
  StylexTraining training = Training(Changed([](auto* s) { s->set_relativistic(true); }));
  const StepMetrics metrics = training.Step(ImagesOfStep(0), true);
  // Both scores are nearly equal at first: each side's loss is nearly log 2.
  EXPECT_NEAR(metrics.at("loss_d"), std::log(2.0), 0.3);
  EXPECT_NEAR(metrics.at("loss_g"), std::log(2.0), 0.3);
  EXPECT_THAT(Differing(After(2, [](auto*) {}),
                        After(2, [](auto* s) { s->set_relativistic(true); }), "discriminator."),
              Not(IsEmpty()));
}

TEST(AdversaryTest, R2IsOfTheGeneratedImages) {
  StylexTraining training = Training(Changed([](auto* s) {
    s->set_r1_gamma(1);
    s->set_r2(true);
  }));
  const StepMetrics metrics = training.Step(ImagesOfStep(0), true);
  EXPECT_GT(metrics.at("r1"), 0);
  EXPECT_GT(metrics.at("r2"), 0);
  EXPECT_NE(metrics.at("r1"), metrics.at("r2"));
}

TEST(AdversaryTest, WeightsThatEndWhereTheyBeginAreConstant) {
  const auto kl = [](double end) {
    return [end](v1::StylexTraining* s) {
      s->mutable_weights()->set_latent_kl(0.01);
      if (end > 0) {
        s->mutable_weights()->set_latent_kl_end(end);
      }
    };
  };
  EXPECT_THAT(Differing(After(4, kl(0)), After(4, kl(0.01)), ""), IsEmpty());
  EXPECT_THAT(Differing(After(4, kl(0)), After(4, kl(0.001)), "networks.encoder"), Not(IsEmpty()));
  const auto gamma = [](double end) {
    return [end](v1::StylexTraining* s) {
      s->set_r1_gamma(1);
      if (end > 0) {
        s->set_r1_gamma_end(end);
      }
    };
  };
  EXPECT_THAT(Differing(After(4, gamma(0)), After(4, gamma(1)), ""), IsEmpty());
  EXPECT_THAT(Differing(After(4, gamma(0)), After(4, gamma(9)), "discriminator."), Not(IsEmpty()));
}

TEST(AdversaryTest, WithoutNoiseImagesAreOfTheLatentAlone) {
  const std::string strength = "networks.generator.conv3_noise_strength";
  EXPECT_NE(After(3, [](auto*) {}).at(strength).item<double>(), 0);
  const auto silent = After(3, [](auto* s) { s->set_without_noise(true); });
  for (const auto& [name, tensor] : silent) {
    if (name.ends_with("_noise_strength")) {
      EXPECT_EQ(tensor.item<double>(), 0) << name;
    }
  }
  EXPECT_THAT(Differing(TensorsOf(std::make_unique<StylexTraining>(Training(SmallConfig())).get()),
                        silent, "networks.generator.conv3_weight"),
              Not(IsEmpty()));
}

// Noise that an earlier run had learned is taken away, too.
TEST(AdversaryTest, WithoutNoiseARunMayStartFromOneThatHadSome) {
  StylexTraining noisy = Training(SmallConfig());
  StepUntil(3, &noisy);
  StylexTraining silent = Training(Changed([](auto* s) { s->set_without_noise(true); }));
  ASSERT_TRUE(silent.StartFrom({noisy.Averaged(), std::nullopt}).ok());
  EXPECT_EQ(TensorsOf(&silent).at("averaged.generator.conv3_noise_strength").item<double>(), 0);
}

TEST(AdversaryTest, NoiseStartsAtTheFinestResolutionsWhateverAnEarlierRunLeft) {
  StylexTraining silent = Training(Changed([](auto* s) { s->set_without_noise(true); }));
  StylexTraining noisy = Training(Changed([](auto* s) { s->set_noise_start(0.25); }));
  const auto strength = [](StylexTraining* training, int layer) {
    return TensorsOf(training)
        .at(absl::StrCat("averaged.generator.conv", layer, "_noise_strength"))
        .item<double>();
  };
  for (const bool started_from_silence : {false, true}) {
    if (started_from_silence) {
      ASSERT_TRUE(noisy.StartFrom({silent.Averaged(), std::nullopt}).ok());
    }
    const int convs = static_cast<int>(SmallConfig().model().generator().channels_size()) * 2 - 1;
    for (int layer = 0; layer < convs; ++layer) {
      EXPECT_EQ(strength(&noisy, layer), layer < convs - 4 ? 0 : 0.25) << layer;
    }
  }
}

TEST(AdversaryTest, EachPixelLossTeachesTheGenerator) {
  const auto without = After(1, [](auto*) {});
  const std::map<std::string, void (v1::LossWeights::*)(double)> setters = {
      {"contrast", &v1::LossWeights::set_contrast},
      {"hardest", &v1::LossWeights::set_hardest},
      {"laplacian", &v1::LossWeights::set_laplacian},
      {"texture", &v1::LossWeights::set_texture},
      {"placeBoundTexture", &v1::LossWeights::set_place_bound_texture}};
  for (const auto& [name, setter] : setters) {
    const auto with = After(1, [setter = setter](auto* s) { (s->mutable_weights()->*setter)(3); });
    EXPECT_THAT(Differing(without, with, "networks.generator"), Not(IsEmpty())) << name;
  }
}

TEST(AdversaryTest, CoarsePixelsTeachOtherThings) {
  const auto fine = After(1, [](auto*) {});
  const auto coarse = After(1, [](auto* s) { s->set_coarse_pixels(true); });
  EXPECT_THAT(Differing(fine, coarse, "networks.generator"), Not(IsEmpty()));
}

TEST(AdversaryTest, ResumedAnywhereEqualsNeverStopped) {
  const v1::TrainConfig config = Changed([](auto* s) {
    s->set_adversarial_start(0.2);
    s->set_relativistic(true);
    s->set_r2(true);
    s->set_r1_gamma(1);
    s->set_r1_gamma_end(0.1);
    s->mutable_weights()->set_adversarial_ratio(0.5);
    s->mutable_weights()->set_feature_matching(2);
    s->mutable_weights()->set_contrast(4);
    s->mutable_weights()->set_latent_kl(0.01);
    s->mutable_weights()->set_latent_kl_end(0.001);
  });
  StylexTraining whole = Training(config);
  StepUntil(8, &whole);
  const std::string path = testing::TempDir() + "/adversary_state.pt";
  for (const int64_t stop : {1, 3, 6}) {
    StylexTraining begun = Training(config);
    StepUntil(stop, &begun);
    ASSERT_TRUE(SaveTrainingState(begun.State(), path).ok());
    StylexTraining resumed = Training(config);
    TrainingState state = resumed.State();
    ASSERT_TRUE(LoadTrainingState(path, &state).ok());
    resumed.Restore(state);
    StepUntil(8, &resumed);
    EXPECT_THAT(Differing(TensorsOf(&whole), TensorsOf(&resumed), ""), IsEmpty()) << stop;
  }
}

}  // namespace
}  // namespace stylex
