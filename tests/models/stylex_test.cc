// The bundle as its callers use it: what follows from what, copies, gradients, kinds of models.
#include "models/stylex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

// 1 channel, 16x16, two labels, latent 12, softmax condition.
Stylex Bundle(const v1::ModelConfig& config) {
  torch::manual_seed(91);
  Networks networks = Networks::Make(config);
  networks.SetTrainable(false);
  MobileNetV2 classifier(config.image_channels(), config.labels_size(), 0.1);
  const torch::NoGradGuard no_grad;
  NamedTensors(classifier)["classifier.1.weight"].normal_();
  return Stylex(config, networks,
                MakeMobileNetClassifier(classifier, config.classifier().temperature()));
}

v1::ModelConfig PlainStyleGan() {
  v1::ModelConfig config = ValidConfig();
  config.clear_encoder();
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  return config;
}

torch::Tensor Photographs(int64_t n) { return torch::rand({n, 1, 16, 16}) * 2 - 1; }

TEST(StylexTest, StylesOfImagesAreEncodedWithTheClassifiersCondition) {
  const torch::NoGradGuard no_grad;
  const Stylex model = Bundle(ValidConfig());
  const torch::Tensor images = Photographs(3);
  const torch::Tensor logits = model.Logits(images);
  const torch::Tensor w = model.Encode(images, logits);
  ASSERT_EQ(w.sizes(), (std::vector<int64_t>{3, model.w_size()}));
  EXPECT_EQ(model.w_size(), 12 + 2);
  EXPECT_TRUE(w.narrow(1, 12, 2).allclose(torch::softmax(logits, 1)));
  EXPECT_LT((model.StylesOfImages(images).conv - model.Styles(w).conv).abs().max().item<double>(),
            1e-5);
  // Another condition gives another latent, and only its last part differs.
  const torch::Tensor other = model.Encode(images, -logits);
  EXPECT_TRUE(other.narrow(1, 0, 12).equal(w.narrow(1, 0, 12)));
  EXPECT_FALSE(other.equal(w));
}

TEST(StylexTest, ImagesAreClampedWhicheverWayTheyAreDrawn) {
  const torch::NoGradGuard no_grad;
  const Stylex model = Bundle(ValidConfig());
  StyleVectors styles = model.StylesOfImages(Photographs(2));
  styles.rgb = styles.rgb * 100;
  const torch::Tensor drawn = model.Synthesize(styles);
  EXPECT_EQ(drawn.max().item<float>(), 1);
  EXPECT_EQ(drawn.min().item<float>(), -1);
  const SynthesisTrace trace = model.Trace(styles);
  EXPECT_GT(trace.image.abs().max().item<float>(), 1) << "the case tests nothing";
  EXPECT_TRUE(trace.image.clamp(-1, 1).allclose(drawn, 1e-4, 1e-4));
  EXPECT_TRUE(model.SynthesizeFrom(2, trace, styles).allclose(drawn, 1e-4, 1e-4));
  EXPECT_TRUE(model.LogitsOfStyles(styles).allclose(model.Logits(drawn)));
}

TEST(StylexTest, ModelsWithAConditionDrawNothingFromZAlone) {
  const Stylex model = Bundle(ValidConfig());
  EXPECT_TRUE(model.has_encoder());
  EXPECT_THROW(model.Map(torch::randn({1, 12})), c10::Error);
}

TEST(StylexTest, APlainStyleGanMapsAndDoesNotEncode) {
  const torch::NoGradGuard no_grad;
  const Stylex model = Bundle(PlainStyleGan());
  EXPECT_FALSE(model.has_encoder());
  EXPECT_EQ(model.w_size(), 12);
  EXPECT_THROW(model.Encode(Photographs(1), torch::zeros({1, 2})), c10::Error);
  const torch::Tensor z = torch::randn({2, 12});
  const torch::Tensor w = model.Map(z);
  ASSERT_EQ(w.sizes(), (std::vector<int64_t>{2, 12}));
  EXPECT_EQ(model.Synthesize(model.Styles(w)).sizes(), (std::vector<int64_t>{2, 1, 16, 16}));
}

TEST(StylexTest, WithoutAMappingNetworkNothingIsMapped) {
  v1::ModelConfig config = ValidConfig();
  config.mutable_generator()->set_mapping_layers(0);
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  EXPECT_THROW(Bundle(config).Map(torch::randn({1, 12})), c10::Error);
}

TEST(StylexTest, TheTemperatureForProbabilitiesIsOneUnlessGiven) {
  v1::ModelConfig config = ValidConfig();
  EXPECT_EQ(Bundle(config).probability_temperature(), 1);
  config.mutable_classifier()->set_probability_temperature(2.5);
  EXPECT_EQ(Bundle(config).probability_temperature(), 2.5);
}

TEST(StylexTest, CountsTheWeightsOfWhatItHolds) {
  const v1::ModelConfig config = ValidConfig();
  const auto count = [](const torch::nn::Module& module) {
    int64_t sum = 0;
    for (const torch::Tensor& parameter : module.parameters()) {
      sum += parameter.numel();
    }
    return sum;
  };
  const int64_t of_classifier = count(*MobileNetV2(1, 2, 0.1));
  const Stylex explainer = Bundle(config);
  EXPECT_EQ(explainer.NumParameters(), of_classifier + count(*explainer.networks().generator) +
                                           count(*explainer.networks().encoder));
  const Stylex plain = Bundle(PlainStyleGan());
  EXPECT_EQ(plain.NumParameters(),
            of_classifier + count(*plain.networks().generator) + count(*plain.networks().mapping));
}

TEST(StylexTest, CopiesShareTheNetworksAndThePlan) {
  const torch::NoGradGuard no_grad;
  const Stylex model = Bundle(ValidConfig());
  const Stylex copy = model;
  EXPECT_EQ(copy.Plan(), model.Plan());
  const StyleVectors styles = model.StylesOfImages(Photographs(1));
  const torch::Tensor before = copy.Synthesize(styles);
  model.networks().generator->to_rgbs().back().bias.data().add_(0.25);
  EXPECT_TRUE(copy.Synthesize(styles).equal(before)) << "drawn by the plan";
  const torch::AutoGradMode with_gradients(true);
  EXPECT_FALSE(copy.Synthesize(styles).allclose(before, 0, 0.01));
  Stylex anew = copy;
  anew.To(torch::kCPU);
  const torch::NoGradGuard no_grad_again;
  EXPECT_FALSE(anew.Synthesize(styles).allclose(before, 0, 0.01)) << "a plan of its own";
}

TEST(StylexTest, ThePlanIsMadeOnceAndAnewAfterAMove) {
  Stylex model = Bundle(ValidConfig());
  std::vector<std::shared_ptr<const SynthesisPlan>> plans(4);
  std::vector<std::thread> threads;
  for (auto& plan : plans) {
    threads.emplace_back([&plan, &model] { plan = model.Plan(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const auto& plan : plans) {
    EXPECT_EQ(plan, plans[0]);
  }
  model.To(torch::kCPU);
  EXPECT_NE(model.Plan(), plans[0]);
  EXPECT_TRUE(model.device().is_cpu());
}

TEST(NetworksTest, NamesAreThoseOfTheThreeNetworks) {
  const auto parts_of = [](const v1::ModelConfig& config) {
    std::set<std::string> parts;
    for (const auto& [name, tensor] : Networks::Make(config).NamedTensors()) {
      parts.insert(name.substr(0, name.find('.')));
    }
    return parts;
  };
  EXPECT_THAT(parts_of(ValidConfig()), testing::ElementsAre("encoder", "generator", "mapping"));
  EXPECT_THAT(parts_of(PlainStyleGan()), testing::ElementsAre("generator", "mapping"));
}

TEST(NetworksTest, NamedTensorsAreTheNetworksOwn) {
  Networks networks = Networks::Make(ValidConfig());
  const torch::NoGradGuard no_grad;
  networks.NamedTensors().at("generator.to_rgb0_bias").fill_(3);
  EXPECT_EQ(networks.generator->to_rgbs()[0].bias[0].item<float>(), 3);
}

TEST(NetworksTest, FreshOnesFollowTheSeed) {
  const auto weight = [](uint64_t seed) {
    torch::manual_seed(seed);
    return Networks::Make(ValidConfig()).NamedTensors().at("generator.conv1_weight");
  };
  EXPECT_TRUE(weight(1).equal(weight(1)));
  EXPECT_FALSE(weight(1).equal(weight(2)));
}

// Buffers (the filter, the fixed noise, the components' basis) are never trained.
TEST(NetworksTest, ParametersAloneBecomeTrainable) {
  v1::ModelConfig config = ValidConfig();
  config.mutable_generator()->set_components(3);
  Networks networks = Networks::Make(config);
  networks.SetTrainable(false);
  for (const auto& [name, tensor] : networks.NamedTensors()) {
    EXPECT_FALSE(tensor.requires_grad()) << name;
  }
  networks.SetTrainable(true);
  for (const auto* module : std::vector<const torch::nn::Module*>{networks.generator.ptr().get(),
                                                                  networks.encoder.ptr().get(),
                                                                  networks.mapping.ptr().get()}) {
    for (const torch::Tensor& parameter : module->parameters()) {
      EXPECT_TRUE(parameter.requires_grad());
    }
    for (const auto& buffer : module->named_buffers()) {
      EXPECT_FALSE(buffer.value().requires_grad()) << buffer.key();
    }
  }
}

TEST(ConditionTest, LogitsAndScalesFollowTheConfig) {
  v1::ModelConfig config = ValidConfig();
  const torch::Tensor logits = torch::tensor({{2.f, 0.f}, {-1.f, 3.f}});
  EXPECT_EQ(ConditionSize(config), 2);
  config.mutable_generator()->set_condition_scale(3);
  const torch::Tensor scaled = Condition(config, logits);
  EXPECT_TRUE(scaled.sum(1).allclose(torch::full({2}, 3.f)));
  EXPECT_GT(scaled[0][0].item<float>(), scaled[0][1].item<float>());
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  EXPECT_EQ(Condition(config, logits).sizes(), (std::vector<int64_t>{2, 0}));
}

}  // namespace
}  // namespace stylex
