#include "trainer/training/train_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "models/checkpoint/json_message.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

v1::TrainConfig FromText(const std::string& json) {
  v1::TrainConfig config;
  const absl::Status status = FromJson(json, "test.json", &config);
  EXPECT_TRUE(status.ok()) << status;
  return config;
}

TEST(TrainConfigTest, PresetsAreValid) {
  for (const std::string preset : {"", "default", "seed", "paper"}) {
    const auto config = PresetConfig(preset);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_TRUE(ValidateTrainConfig(*config).ok()) << ValidateTrainConfig(*config);
  }
}

TEST(TrainConfigTest, UnknownPreset) {
  const absl::Status status = PresetConfig("sead").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("sead"), HasSubstr("default"), HasSubstr("seed"),
                                     HasSubstr("paper")));
}

// The settings of the replication study's training program and of its recorded runs.
TEST(TrainConfigTest, SeedPresetIsTheReplicationStudys) {
  const v1::TrainConfig config = PresetConfig("seed").value();
  const v1::StylexTraining& stylex = config.stylex();
  EXPECT_EQ(stylex.batch_size(), 4);
  EXPECT_EQ(stylex.images(), 220'000 * 4);
  EXPECT_DOUBLE_EQ(stylex.generator_lr(), 2e-4);
  EXPECT_DOUBLE_EQ(stylex.discriminator_lr(), 2e-4);
  EXPECT_DOUBLE_EQ(stylex.encoder_lr(), 2e-4);
  EXPECT_DOUBLE_EQ(stylex.beta1(), 0);
  EXPECT_DOUBLE_EQ(stylex.beta2(), 0.99);
  EXPECT_DOUBLE_EQ(stylex.encoder_beta1(), 0.9);
  EXPECT_DOUBLE_EQ(stylex.encoder_beta2(), 0.999);
  EXPECT_DOUBLE_EQ(stylex.weights().adversarial(), 1);
  EXPECT_DOUBLE_EQ(stylex.weights().l1(), 1);
  EXPECT_DOUBLE_EQ(stylex.weights().perceptual(), 0.1);
  EXPECT_DOUBLE_EQ(stylex.weights().latent(), 0.1);
  EXPECT_DOUBLE_EQ(stylex.weights().kl(), 1);
  EXPECT_DOUBLE_EQ(stylex.weights().path_length(), 2);
  EXPECT_DOUBLE_EQ(stylex.r1_gamma(), 10);
  EXPECT_EQ(stylex.r1_interval(), 16);
  EXPECT_EQ(stylex.path_length_interval(), 1);
  EXPECT_EQ(stylex.path_length_batch_shrink(), 1);
  EXPECT_EQ(stylex.mapping_interval(), 0);
  EXPECT_FALSE(stylex.constant_to_rgb());
  EXPECT_DOUBLE_EQ(stylex.lr_decay_share(), 0);
  EXPECT_FALSE(config.data().horizontal_flip());
  // The averaged generator decays by 0.5^(32 / 10000) a step; the encoder is not averaged.
  EXPECT_DOUBLE_EQ(stylex.batch_size() / stylex.ema_half_life_images(), 32.0 / 10'000);
  EXPECT_DOUBLE_EQ(stylex.ema_ramp(), 0);
  EXPECT_FALSE(stylex.ema_encoder());
}

TEST(TrainConfigTest, SeedPresetHasTheReplicationStudysNetworks) {
  const v1::ModelConfig model = PresetConfig("seed").value().model();
  EXPECT_EQ(model.resolution(), 64);
  EXPECT_EQ(model.generator().conditioning(), v1::CONDITIONING_LOGITS);
  EXPECT_EQ(model.generator().latent_size(), 512);
  EXPECT_EQ(model.generator().mapping_layers(), 0);
  EXPECT_FALSE(model.discriminator().conditional());
  EXPECT_TRUE(model.encoder().minibatch_stddev());
  EXPECT_EQ(model.discriminator().minibatch_stddev_group(), 4);
  EXPECT_EQ(model.generator().channels_size(), 5);
  EXPECT_THAT(model.generator().channels(), Each(512));
  EXPECT_THAT(model.encoder().channels(), Each(512));
  EXPECT_THAT(model.discriminator().channels(), Each(512));
}

// What the study's paper reports of the original authors' training, by its sections.
TEST(TrainConfigTest, PaperPresetIsTheOriginalAuthors) {
  const v1::TrainConfig config = PresetConfig("paper").value();
  const v1::StylexTraining& stylex = config.stylex();
  EXPECT_EQ(stylex.mapping_interval(), 2) << "§3.1: encoder and mapping network alternate";
  EXPECT_GT(config.model().generator().mapping_layers(), 0);
  EXPECT_DOUBLE_EQ(stylex.weights().l1(), 0.1) << "§3.2";
  EXPECT_DOUBLE_EQ(stylex.weights().perceptual(), 0.1) << "§3.2";
  EXPECT_DOUBLE_EQ(stylex.generator_lr(), 0.002) << "§3.5";
  EXPECT_DOUBLE_EQ(stylex.discriminator_lr(), 0.002) << "§3.5";
  EXPECT_DOUBLE_EQ(stylex.encoder_lr(), 0.002) << "§3.5";
  EXPECT_EQ(stylex.batch_size(), 16) << "§3.5";
  EXPECT_EQ(stylex.images(), 250'000 * 16) << "§3.5";
  EXPECT_EQ(config.model().resolution(), 64) << "§3.4";
  // Of the models that the authors published.
  EXPECT_EQ(config.model().generator().conditioning(), v1::CONDITIONING_SOFTMAX);
  EXPECT_TRUE(config.model().discriminator().conditional());
  EXPECT_FALSE(config.model().encoder().minibatch_stddev());
  // The study's program and its paper contradict each other; neither preset takes over from the
  // other.
  EXPECT_DOUBLE_EQ(PresetConfig("seed").value().stylex().weights().l1(), 1);
}

TEST(TrainConfigTest, APlainStyleGan2KeepsWhatHasNothingToDoWithTheEncoder) {
  for (const std::string preset : {"default", "seed"}) {
    v1::TrainConfig stylex = PresetConfig(preset).value();
    stylex.mutable_stylex()->mutable_weights()->set_adversarial(0.1);
    stylex.mutable_stylex()->set_adversarial_start(0.5);
    const v1::TrainConfig plain = PlainStyleGan2(stylex);
    EXPECT_FALSE(plain.model().has_encoder());
    EXPECT_EQ(plain.model().generator().conditioning(), v1::CONDITIONING_NONE);
    EXPECT_EQ(plain.model().generator().mapping_layers(), preset == "seed" ? 8 : 2);
    EXPECT_DOUBLE_EQ(plain.model().generator().mapping_lr_multiplier(), 0.01);
    EXPECT_EQ(plain.model().generator().latent_size(), stylex.model().generator().latent_size());
    EXPECT_FALSE(plain.model().discriminator().conditional());
    EXPECT_EQ(plain.stylex().batch_size(), stylex.stylex().batch_size());
    EXPECT_DOUBLE_EQ(plain.stylex().generator_lr(), stylex.stylex().generator_lr());
    EXPECT_DOUBLE_EQ(plain.stylex().r1_gamma(), stylex.stylex().r1_gamma());
    EXPECT_EQ(plain.stylex().path_length_interval(), stylex.stylex().path_length_interval());
    EXPECT_DOUBLE_EQ(plain.stylex().weights().adversarial(), 1);
    EXPECT_DOUBLE_EQ(plain.stylex().weights().path_length(), 2);
    EXPECT_EQ(plain.stylex().adversarial_start(), 0) << "it has no other loss to begin with";
    EXPECT_EQ(plain.stylex().weights().l1() + plain.stylex().weights().perceptual() +
                  plain.stylex().weights().latent() + plain.stylex().weights().kl(),
              0);
  }
}

TEST(TrainConfigTest, OverridesReplaceThePresetsValues) {
  const auto config = ResolveConfig(FromText(R"({
    "preset": "seed",
    "model": {"resolution": 16, "generator": {"channels": [8, 9, 10]},
              "encoder": {"channels": [8, 8, 8]}, "discriminator": {"channels": [7, 7, 7]}},
    "stylex": {"batchSize": 8, "beta1": 0.5, "weights": {"kl": 0}, "pathLengthInterval": 0}})"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->preset(), "seed");
  EXPECT_THAT(config->model().generator().channels(), ElementsAre(8, 9, 10));
  EXPECT_EQ(config->model().generator().latent_size(), 512);
  EXPECT_EQ(config->stylex().batch_size(), 8);
  EXPECT_DOUBLE_EQ(config->stylex().beta1(), 0.5);
  EXPECT_DOUBLE_EQ(config->stylex().weights().kl(), 0);
  EXPECT_DOUBLE_EQ(config->stylex().weights().l1(), 1);
  EXPECT_EQ(config->stylex().path_length_interval(), 0);
}

// An explicit 0 is not treated as unset.
TEST(TrainConfigTest, ZeroAndFalseCanBeSaid) {
  const auto config = ResolveConfig(FromText(R"({
    "model": {"discriminator": {"conditional": false, "minibatchStddevGroup": 0},
              "generator": {"mappingLayers": 0}},
    "classifier": {"weightDecay": 0, "shiftPixels": 0},
    "stylex": {"r1Gamma": 0, "emaHalfLifeImages": 0, "emaRamp": 0, "saveIntervalImages": 0,
               "mappingInterval": 0, "lrDecayShare": 0, "constantToRgb": false}})"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->model().discriminator().conditional());
  EXPECT_EQ(config->model().discriminator().minibatch_stddev_group(), 0);
  EXPECT_EQ(config->model().generator().mapping_layers(), 0);
  EXPECT_EQ(config->classifier().weight_decay(), 0);
  EXPECT_EQ(config->classifier().shift_pixels(), 0);
  EXPECT_EQ(config->stylex().r1_gamma(), 0);
  EXPECT_EQ(config->stylex().ema_half_life_images(), 0);
  EXPECT_EQ(config->stylex().ema_ramp(), 0);
  EXPECT_EQ(config->stylex().save_interval_images(), 0);
  EXPECT_TRUE(PresetConfig("default").value().stylex().constant_to_rgb());
  EXPECT_FALSE(config->stylex().constant_to_rgb());
}

struct Fault {
  std::string field;
  std::function<void(v1::TrainConfig*)> make;
};

std::vector<Fault> ModelFaults() {
  using Config = v1::TrainConfig;
  return {
      {"model.resolution", [](Config* c) { c->mutable_model()->set_resolution(48); }},
      {"model.imageChannels", [](Config* c) { c->mutable_model()->set_image_channels(4); }},
      {"model.generator.channels' length",
       [](Config* c) { c->mutable_model()->mutable_generator()->add_channels(8); }},
      {"model.encoder.channels",
       [](Config* c) { c->mutable_model()->mutable_encoder()->set_channels(0, 0); }},
      {"model.discriminator.channels",
       [](Config* c) { c->mutable_model()->mutable_discriminator()->set_channels(0, 5000); }},
      {"model.discriminator.minibatchStddevGroup",
       [](Config* c) {
         c->mutable_model()->mutable_discriminator()->set_minibatch_stddev_group(-1);
       }},
      {"model.generator.latentSize",
       [](Config* c) { c->mutable_model()->mutable_generator()->set_latent_size(0); }},
      {"model.generator.conditionScale",
       [](Config* c) { c->mutable_model()->mutable_generator()->set_condition_scale(-1); }},
      {"model.generator.mappingLayers",
       [](Config* c) { c->mutable_model()->mutable_generator()->set_mapping_layers(-1); }},
      {"model.generator.mappingLrMultiplier",
       [](Config* c) { c->mutable_model()->mutable_generator()->set_mapping_lr_multiplier(-1); }},
      {"model.classifier.widthMultiplier",
       [](Config* c) { c->mutable_model()->mutable_classifier()->set_width_multiplier(-1); }},
      {"model.classifier.temperature",
       [](Config* c) { c->mutable_model()->mutable_classifier()->set_temperature(-1); }},
      {"model.classifier.architecture",
       [](Config* c) { c->mutable_model()->mutable_classifier()->set_architecture("resnet"); }},
      {"model.preprocessing.paddedFrom",
       [](Config* c) { c->mutable_model()->mutable_preprocessing()->set_padded_from(-1); }},
      {"model.preprocessing.crop",
       [](Config* c) { c->mutable_model()->mutable_preprocessing()->set_crop("centre"); }},
      {"data.crop", [](Config* c) { c->mutable_data()->set_crop(-1); }},
      {"model.resolution",
       [](Config* c) {
         c->mutable_model()->set_resolution(8);
         c->mutable_stylex()->mutable_weights()->set_laplacian(1);
       }},
      {"model.resolution",
       [](Config* c) {
         c->mutable_model()->set_resolution(8);
         c->mutable_stylex()->mutable_weights()->set_texture(1);
       }},
      {"classifier.epochs", [](Config* c) { c->mutable_classifier()->set_epochs(-1); }},
      {"classifier.batchSize", [](Config* c) { c->mutable_classifier()->set_batch_size(1); }},
      {"classifier.learningRate",
       [](Config* c) { c->mutable_classifier()->set_learning_rate(-1); }},
      {"classifier.weightDecay", [](Config* c) { c->mutable_classifier()->set_weight_decay(-1); }},
      {"classifier.shiftPixels", [](Config* c) { c->mutable_classifier()->set_shift_pixels(-1); }},
      {"classifier.labelSmoothing",
       [](Config* c) { c->mutable_classifier()->set_label_smoothing(1); }},
      {"classifier.noise", [](Config* c) { c->mutable_classifier()->set_noise(2.1); }},
  };
}

// Every number of StylexTraining and its weights, through reflection, so that new ones are
// included: negative values are invalid for all.
std::vector<Fault> NegativeNumbers(const google::protobuf::Descriptor& descriptor,
                                   const std::string& prefix,
                                   google::protobuf::Message* (*part)(v1::TrainConfig*)) {
  using google::protobuf::FieldDescriptor;
  std::vector<Fault> faults;
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    faults.push_back({prefix + field->json_name(), [field, part](v1::TrainConfig* config) {
                        google::protobuf::Message* message = part(config);
                        const auto* reflection = message->GetReflection();
                        switch (field->cpp_type()) {
                          case FieldDescriptor::CPPTYPE_INT32:
                            return reflection->SetInt32(message, field, -3);
                          case FieldDescriptor::CPPTYPE_INT64:
                            return reflection->SetInt64(message, field, -3);
                          case FieldDescriptor::CPPTYPE_DOUBLE:
                            return reflection->SetDouble(message, field, -0.5);
                          default:
                            return;
                        }
                      }});
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL ||
        field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      faults.pop_back();
    }
  }
  return faults;
}

std::vector<Fault> AllFaults() {
  std::vector<Fault> faults = ModelFaults();
  for (Fault& fault : NegativeNumbers(
           *v1::StylexTraining::descriptor(), "stylex.",
           [](v1::TrainConfig* c) -> google::protobuf::Message* { return c->mutable_stylex(); })) {
    faults.push_back(std::move(fault));
  }
  for (Fault& fault : NegativeNumbers(*v1::LossWeights::descriptor(), "stylex.weights.",
                                      [](v1::TrainConfig* c) -> google::protobuf::Message* {
                                        return c->mutable_stylex()->mutable_weights();
                                      })) {
    faults.push_back(std::move(fault));
  }
  return faults;
}

TEST(TrainConfigTest, EveryFaultyFieldIsNamed) {
  const std::vector<Fault> faults = AllFaults();
  ASSERT_GT(faults.size(), 45);
  for (const Fault& fault : faults) {
    v1::TrainConfig config = PresetConfig("default").value();
    fault.make(&config);
    const absl::Status status = ValidateTrainConfig(config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << fault.field;
    EXPECT_THAT(Message(status), AllOf(HasSubstr(fault.field), HasSubstr("expected")));
  }
}

TEST(TrainConfigTest, AllFaultsAreNamedAtOnce) {
  v1::TrainConfig config = PresetConfig("default").value();
  config.mutable_stylex()->set_batch_size(0);
  config.mutable_stylex()->set_r1_interval(0);
  config.mutable_classifier()->set_epochs(0);
  EXPECT_THAT(Message(ValidateTrainConfig(config)),
              AllOf(HasSubstr("stylex.batchSize is 0"), HasSubstr("stylex.r1Interval is 0"),
                    HasSubstr("classifier.epochs is 0")));
}

TEST(TrainConfigTest, FieldsThatDoNotFitEachOther) {
  v1::TrainConfig config = PresetConfig("default").value();
  config.mutable_stylex()->set_batch_size(30);
  EXPECT_THAT(Message(ValidateTrainConfig(config)), HasSubstr("a multiple of"));
  config = PresetConfig("seed").value();
  config.mutable_stylex()->set_mapping_interval(2);
  EXPECT_THAT(Message(ValidateTrainConfig(config)), HasSubstr("stylex.mappingInterval"));
  config = PresetConfig("default").value();
  config.mutable_stylex()->set_mapping_interval(1);
  EXPECT_THAT(Message(ValidateTrainConfig(config)), HasSubstr("at least 2"));
}

TEST(TrainConfigTest, NumbersThatAreNone) {
  v1::TrainConfig config = PresetConfig("default").value();
  config.mutable_stylex()->set_generator_lr(std::nan(""));
  config.mutable_stylex()->mutable_weights()->set_kl(INFINITY);
  config.mutable_stylex()->set_beta2(1);  // Adam's own bound
  EXPECT_THAT(Message(ValidateTrainConfig(config)),
              AllOf(HasSubstr("stylex.generatorLr"), HasSubstr("stylex.weights.kl"),
                    HasSubstr("stylex.beta2")));
}

TEST(TrainConfigTest, AMisspeltFieldIsNamedWithItsFile) {
  v1::TrainConfig config;
  const absl::Status typo = FromJson(R"({"stylex": {"batchSise": 8}})", "/some/run.json", &config);
  EXPECT_EQ(typo.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(typo), AllOf(HasSubstr("/some/run.json"), HasSubstr("batchSise")));
  const absl::Status type =
      FromJson(R"({"stylex": {"batchSize": "many"}})", "/some/run.json", &config);
  EXPECT_THAT(Message(type), AllOf(HasSubstr("/some/run.json"), HasSubstr("many")));
  const absl::Status syntax = FromJson(R"({"stylex": {)", "/some/run.json", &config);
  EXPECT_THAT(Message(syntax), HasSubstr("/some/run.json"));
}

}  // namespace
}  // namespace stylex
