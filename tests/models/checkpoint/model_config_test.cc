#include "models/checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

using testing::HasSubstr;

struct Fault {
  const char* name;
  std::function<void(v1::ModelConfig*)> make;
  const char* message;
};

std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.name; }

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Fault> Faults() {
  using Config = v1::ModelConfig*;
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  return {
      {"NoSchema", [](Config c) { c->set_schema_version(0); }, "schemaVersion is 0, expected 1"},
      {"NewSchema", [](Config c) { c->set_schema_version(2); }, "schemaVersion is 2, expected 1"},
      {"NegativeResolution", [](Config c) { c->set_resolution(-16); }, "resolution is -16"},
      {"ZeroResolution", [](Config c) { c->set_resolution(0); }, "resolution is 0"},
      {"SmallResolution", [](Config c) { c->set_resolution(8); }, "resolution is 8, expected 16"},
      {"OddResolution", [](Config c) { c->set_resolution(48); }, "resolution is 48"},
      {"GreatResolution", [](Config c) { c->set_resolution(1024); }, "resolution is 1024"},
      {"OtherResolution", [](Config c) { c->set_resolution(32); },
       "generator.channels' length is 3, expected 4"},
      {"TwoImageChannels", [](Config c) { c->set_image_channels(2); }, "imageChannels is 2"},
      {"NoImageChannels", [](Config c) { c->clear_image_channels(); }, "imageChannels is 0"},
      {"NoGeneratorChannels", [](Config c) { c->mutable_generator()->clear_channels(); },
       "generator.channels' length is 0, expected 3"},
      {"EncoderChannelTooMany", [](Config c) { c->mutable_encoder()->add_channels(8); },
       "encoder.channels' length is 4, expected 3"},
      {"NoEncoderChannels", [](Config c) { c->mutable_encoder()->clear_channels(); },
       "encoder.channels' length is 0, expected 3"},
      {"ZeroChannels", [](Config c) { c->mutable_generator()->set_channels(1, 0); },
       "generator.channels is 0, expected 1 to 1024"},
      {"ManyChannels", [](Config c) { c->mutable_encoder()->set_channels(2, 1025); },
       "encoder.channels is 1025, expected 1 to 1024"},
      {"OneLabel", [](Config c) { c->mutable_labels()->RemoveLast(); },
       "number of labels is 1, expected 2"},
      {"EmptyLabel", [](Config c) { c->set_labels(0, ""); }, "label is \"\""},
      {"SameLabels", [](Config c) { c->set_labels(0, "boot"); }, "label is \"boot\" twice"},
      {"NoLatent", [](Config c) { c->mutable_generator()->set_latent_size(0); },
       "generator.latentSize is 0, expected 1 to 2048"},
      {"GreatLatent", [](Config c) { c->mutable_generator()->set_latent_size(2049); },
       "generator.latentSize is 2049"},
      {"Conditioning",
       [](Config c) { c->mutable_generator()->set_conditioning(static_cast<v1::Conditioning>(9)); },
       "generator.conditioning is 9"},
      {"GreatScale", [](Config c) { c->mutable_generator()->set_condition_scale(1.5); },
       "generator.conditionScale is 1.5, expected 0 to 1"},
      {"NegativeScale", [](Config c) { c->mutable_generator()->set_condition_scale(-0.5); },
       "generator.conditionScale is -0.5"},
      {"NanScale", [](Config c) { c->mutable_generator()->set_condition_scale(kNan); },
       "generator.conditionScale is nan"},
      {"NegativeMapping", [](Config c) { c->mutable_generator()->set_mapping_layers(-1); },
       "generator.mappingLayers is -1, expected 0 to 16"},
      {"DeepMapping", [](Config c) { c->mutable_generator()->set_mapping_layers(17); },
       "generator.mappingLayers is 17"},
      {"NoMappingRate", [](Config c) { c->mutable_generator()->set_mapping_lr_multiplier(0); },
       "generator.mappingLrMultiplier is 0"},
      {"Classifier", [](Config c) { c->mutable_classifier()->set_architecture("vgg"); },
       "classifier.architecture is \"vgg\", expected mobilenet_v2 or torchscript"},
      {"NoClassifier", [](Config c) { c->clear_classifier(); }, "classifier.architecture is \"\""},
      {"NoWidth", [](Config c) { c->mutable_classifier()->set_width_multiplier(0); },
       "classifier.widthMultiplier is 0"},
      {"NanTemperature", [](Config c) { c->mutable_classifier()->set_temperature(kNan); },
       "classifier.temperature is nan"},
      {"Crop", [](Config c) { c->mutable_preprocessing()->set_crop("left"); },
       "preprocessing.crop is \"left\", expected center_crop or stretch"},
      {"SmallCrop", [](Config c) { c->mutable_preprocessing()->set_crop_pixels(15); },
       "preprocessing.cropPixels is 15, expected 0 (none) or at least the resolution, 16"},
      {"PaddedFrom", [](Config c) { c->mutable_preprocessing()->set_padded_from(17); },
       "preprocessing.paddedFrom is 17, expected 0 to the resolution, 16"},
  };
}

class ModelConfigFaultTest : public testing::TestWithParam<Fault> {};

TEST_P(ModelConfigFaultTest, IsNamedWithItsValueAndWhatIsRight) {
  v1::ModelConfig config = ValidConfig();
  GetParam().make(&config);
  const absl::Status status = ValidateModelConfig(config, "disk/model.json");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("disk/model.json: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Table, ModelConfigFaultTest, testing::ValuesIn(Faults()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ModelConfigTest, WhatIsRightPasses) {
  EXPECT_TRUE(ValidateModelConfig(ValidConfig(), "x").ok());
  v1::ModelConfig config = ValidConfig();
  config.mutable_generator()->set_mapping_layers(0);
  config.mutable_generator()->clear_mapping_lr_multiplier();
  config.mutable_generator()->set_condition_scale(1);
  config.mutable_classifier()->set_architecture("torchscript");
  config.mutable_classifier()->clear_width_multiplier();
  EXPECT_TRUE(ValidateModelConfig(config, "x").ok());
}

TEST(ModelConfigTest, APlainStyleGan2HasNoEncoder) {
  v1::ModelConfig config = ValidConfig();
  EXPECT_TRUE(HasEncoder(config));
  EXPECT_TRUE(NeedEncoder(config, "x").ok());
  config.clear_encoder();
  EXPECT_FALSE(ValidateModelConfig(config, "x").ok()) << "a condition needs photographs";
  config.mutable_generator()->set_conditioning(v1::CONDITIONING_NONE);
  EXPECT_TRUE(ValidateModelConfig(config, "x").ok());
  EXPECT_EQ(NeedEncoder(config, "disk/1").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(NeedEncoder(config, "disk/1").message()),
              HasSubstr("disk/1: has no encoder"));
  config.mutable_generator()->set_mapping_layers(0);
  EXPECT_FALSE(ValidateModelConfig(config, "x").ok()) << "nothing makes latents";
}

TEST(ModelConfigTest, EveryResolutionTakesOneChannelCountALevel) {
  for (int levels = 3; levels <= 8; ++levels) {
    v1::ModelConfig config = ValidConfig();
    config.set_resolution(2 << levels);
    for (auto* channels : {config.mutable_generator()->mutable_channels(),
                           config.mutable_encoder()->mutable_channels()}) {
      channels->Resize(levels, 8);
    }
    EXPECT_TRUE(ValidateModelConfig(config, "x").ok()) << config.resolution();
  }
}

TEST(ModelConfigTest, AllFaultsAreNamedAtOnce) {
  v1::ModelConfig config = ValidConfig();
  config.set_image_channels(4);
  config.mutable_generator()->set_latent_size(-1);
  const std::string message(ValidateModelConfig(config, "x").message());
  EXPECT_THAT(message, HasSubstr("imageChannels is 4"));
  EXPECT_THAT(message, HasSubstr("generator.latentSize is -1"));
}

}  // namespace
}  // namespace stylex
