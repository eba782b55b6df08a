#include "models/trained_classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/jit.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "models/checkpoint.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr int kSide = 16;

v1::ModelConfig ConfigOf(int labels, int channels = 1) {
  v1::ModelConfig config;
  config.set_resolution(kSide);
  config.set_image_channels(channels);
  for (int k = 0; k < labels; ++k) {
    config.add_labels(std::string(1, static_cast<char>('a' + k)));
  }
  config.mutable_classifier()->set_architecture("mobilenet_v2");
  config.mutable_classifier()->set_width_multiplier(0.25);
  (*config.mutable_metrics())["classifier_accuracy"] = 0.75;
  return config;
}

TrainedClassifier Make(const v1::ModelConfig& config, uint64_t seed) {
  torch::manual_seed(seed);
  TrainedClassifier trained{MakeClassifierNetwork(config), config};
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : NamedTensors(trained.network)) {
    if (name.ends_with("running_mean")) {
      tensor.normal_(0, 0.1);  // buffers belong to the classifier, too
    }
  }
  trained.network->eval();
  return trained;
}

torch::Tensor LogitsOf(TrainedClassifier* trained) {
  const torch::NoGradGuard no_grad;
  trained->network->eval();
  torch::manual_seed(99);
  return trained->network->forward(
      torch::rand({3, trained->config.image_channels(), kSide, kSide}) * 2 - 1);
}

class TrainedClassifierTest : public testing::Test {
 protected:
  std::string Refusal(const std::string& directory) const {
    return std::string(LoadTrainedClassifier(directory).status().message());
  }
  TemporaryFolder folder_;
};

TEST_F(TrainedClassifierTest, ComesBackAsItWas) {
  TrainedClassifier trained = Make(ConfigOf(3), 1);
  ASSERT_TRUE(WriteTrainedClassifier(trained, folder_.path()).ok());
  TrainedClassifier read = LoadTrainedClassifier(folder_.path()).value();
  EXPECT_THAT(read.config.labels(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(read.config.metrics().at("classifier_accuracy"), 0.75);
  EXPECT_TRUE(LogitsOf(&read).equal(LogitsOf(&trained)));
}

TEST_F(TrainedClassifierTest, ANewOneReplacesTheOld) {
  TrainedClassifier first = Make(ConfigOf(3), 1), second = Make(ConfigOf(3), 2);
  ASSERT_TRUE(WriteTrainedClassifier(first, folder_.path()).ok());
  ASSERT_TRUE(WriteTrainedClassifier(second, folder_.path()).ok());
  TrainedClassifier read = LoadTrainedClassifier(folder_.path()).value();
  EXPECT_TRUE(LogitsOf(&read).equal(LogitsOf(&second)));
  EXPECT_FALSE(LogitsOf(&read).equal(LogitsOf(&first)));
}

TEST_F(TrainedClassifierTest, AFolderWithoutOneIsNamed) {
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr(folder_ / "classifier.json"));
  TrainedClassifier trained = Make(ConfigOf(2), 1);
  ASSERT_TRUE(WriteTrainedClassifier(trained, folder_.path()).ok());
  std::filesystem::remove(folder_ / "classifier.safetensors");
  EXPECT_THAT(Refusal(folder_.path()), HasSubstr(folder_ / "classifier.safetensors"));
}

TEST_F(TrainedClassifierTest, WeightsOfAnotherShapeAreRefused) {
  ASSERT_TRUE(WriteTrainedClassifier(Make(ConfigOf(2), 1), folder_.path()).ok());
  const std::string two = folder_ / "two.safetensors";
  std::filesystem::rename(folder_ / "classifier.safetensors", two);
  ASSERT_TRUE(WriteTrainedClassifier(Make(ConfigOf(3), 1), folder_.path()).ok());
  std::filesystem::rename(two, folder_ / "classifier.safetensors");
  const absl::Status status = LoadTrainedClassifier(folder_.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              StartsWith(folder_ / "classifier.safetensors: tensor "));
}

// A checkpoint whose generator nobody needs here.
std::string WriteCheckpointWith(const std::string& root, const TrainedClassifier& trained,
                                const std::string& torchscript) {
  CheckpointToWrite checkpoint;
  checkpoint.config = trained.config;
  checkpoint.config.set_schema_version(1);
  checkpoint.config.set_name("model");
  checkpoint.config.mutable_generator()->set_latent_size(8);
  for (int i = 0; i < 3; ++i) {
    checkpoint.config.mutable_generator()->add_channels(8);
    checkpoint.config.mutable_encoder()->add_channels(8);
  }
  checkpoint.config.mutable_generator()->set_conditioning(v1::CONDITIONING_SOFTMAX);
  (*checkpoint.config.mutable_metrics())["reconstruction_psnr"] = 20;
  checkpoint.networks = Networks::Make(checkpoint.config);
  if (torchscript.empty()) {
    checkpoint.classifier = trained.network;
  } else {
    checkpoint.torchscript_classifier = torchscript;
    checkpoint.config.mutable_classifier()->set_architecture("torchscript");
    checkpoint.config.mutable_classifier()->set_width_multiplier(0);
  }
  return WriteCheckpoint(checkpoint, root, "model", 1, false).value();
}

TEST_F(TrainedClassifierTest, ACheckpointsClassifierIsTakenWithItsOwnMetrics) {
  TrainedClassifier trained = Make(ConfigOf(3), 4);
  TrainedClassifier read =
      LoadTrainedClassifier(WriteCheckpointWith(folder_.path(), trained, "")).value();
  EXPECT_TRUE(LogitsOf(&read).equal(LogitsOf(&trained)));
  EXPECT_THAT(read.config.metrics(), UnorderedElementsAre(Pair("classifier_accuracy", 0.75)))
      << "what was measured of the explainer is not the classifier's";
}

TEST_F(TrainedClassifierTest, ATorchScriptClassifierIsNotTakenFromACheckpoint) {
  torch::jit::Module script("Mean");
  script.define("def forward(self, x):\n  return x.flatten(1)[:, :3]\n");
  script.save(folder_ / "mean.pt");
  const std::string version =
      WriteCheckpointWith(folder_.path(), Make(ConfigOf(3), 4), folder_ / "mean.pt");
  const absl::Status status = LoadTrainedClassifier(version).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            version + ": its classifier is a TorchScript file; give " + version + "/classifier.pt");
}

TEST(CheckSameTaskTest, AClassifierOfCutOutSquaresIsGivenSuch) {
  v1::ModelConfig model = ConfigOf(2, 3), classifier = model;
  model.mutable_preprocessing()->set_crop_pixels(208);
  EXPECT_TRUE(CheckSameTask("clf", classifier, model).ok()) << "one of before does not tell";
  classifier.mutable_preprocessing()->set_crop_pixels(208);
  EXPECT_TRUE(CheckSameTask("clf", classifier, model).ok());
  model.mutable_preprocessing()->clear_crop_pixels();
  const absl::Status status = CheckSameTask("clf", classifier, model);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(::testing::HasSubstr("208"), ::testing::HasSubstr("is 0")));
}

TEST(CheckSameTaskTest, ComparesClassesSideAndChannels) {
  const v1::ModelConfig model = ConfigOf(3);
  EXPECT_TRUE(CheckSameTask("clf", model, model).ok());
  v1::ModelConfig larger = model;
  larger.set_resolution(32);
  for (const v1::ModelConfig& other : {ConfigOf(2), ConfigOf(3, 3), larger}) {
    EXPECT_EQ(CheckSameTask("clf", other, model).code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(
      CheckSameTask("clf", ConfigOf(2, 3), model).message(),
      "clf: the classifier was trained for 2 classes of 16x16x3 images, this run has 3 classes "
      "of 16x16x1 images");
}

TEST(MakeClassifierNetworkTest, FollowsTheConfig) {
  MobileNetV2 network = MakeClassifierNetwork(ConfigOf(5, 3));
  network->eval();
  const torch::NoGradGuard no_grad;
  EXPECT_THAT(network->forward(torch::zeros({2, 3, kSide, kSide})).sizes(), ElementsAre(2, 5));
}

TEST(NamedTensorsTest, HoldsEveryParameterAndBufferBehindThePrefix) {
  const MobileNetV2 network(3, 4, 0.25);
  const std::map<std::string, torch::Tensor> plain = NamedTensors(network);
  const std::map<std::string, torch::Tensor> prefixed = NamedTensors(network, "classifier.");
  EXPECT_EQ(plain.size(), network->parameters().size() + network->buffers().size());
  ASSERT_EQ(prefixed.size(), plain.size());
  for (const auto& [name, tensor] : plain) {
    EXPECT_TRUE(prefixed.at("classifier." + name).is_same(tensor)) << name;
  }
  EXPECT_TRUE(plain.contains("features.0.1.running_mean")) << "buffers, too";
}

}  // namespace
}  // namespace stylex
