// Both kinds of classifiers as callers use them; what is said of unusable files is in
// torchscript_classifier_test.cc.
#include "models/classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

// Logits are the mean red and twice the mean green, plus biases that are parameters.
void SaveColourClassifier(const std::string& path) {
  torch::jit::Module module("Colours");
  module.register_attribute("training", c10::BoolType::get(), true);
  module.register_parameter("bias", torch::tensor({0.5f, -0.5f}), /*is_buffer=*/false);
  module.define(R"(
    def forward(self, x):
      colours = torch.stack([x[:, 0].mean([1, 2]), 2.0 * x[:, 1].mean([1, 2])], 1)
      if self.training:
        return colours * 1000.0
      return colours + self.bias
  )");
  module.save(path);
}

class ColourClassifierTest : public testing::Test {
 protected:
  ColourClassifierTest() : path_(folder_ / "colours.pt") { SaveColourClassifier(path_); }
  std::unique_ptr<Classifier> Load(double temperature, const std::string* content = nullptr) {
    auto loaded = LoadTorchScriptClassifier(path_, 3, 8, 2, temperature, content);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return std::move(loaded).value();
  }
  static torch::Tensor Uniform(float red, float green) {
    torch::Tensor image = torch::zeros({1, 3, 8, 8});
    image[0][0].fill_(red);
    image[0][1].fill_(green);
    return image;
  }

  const TemporaryFolder folder_;
  const std::string path_;
};

TEST_F(ColourClassifierTest, AnswersInEvaluationMode) {
  const std::unique_ptr<Classifier> classifier = Load(0);
  const torch::Tensor logits = classifier->Logits(Uniform(0.25f, -0.5f));
  EXPECT_TRUE(logits.allclose(torch::tensor({{0.75f, -1.5f}}))) << logits;
  EXPECT_EQ(classifier->NumParameters(), 2);
}

TEST_F(ColourClassifierTest, TemperatureDividesAndZeroMeansOne) {
  const torch::Tensor image = Uniform(0.5f, 0.5f);
  const torch::Tensor plain = Load(1)->Logits(image);
  EXPECT_TRUE(Load(0)->Logits(image).equal(plain));
  EXPECT_TRUE(Load(4)->Logits(image).allclose(plain / 4));
}

TEST_F(ColourClassifierTest, HasNoActivationsToShow) {
  const std::unique_ptr<Classifier> classifier = Load(1);
  const torch::Tensor image = Uniform(0.1f, 0.2f);
  const Classifier::Features features = classifier->LogitsAndFeatures(image);
  EXPECT_TRUE(features.taps.empty());
  EXPECT_TRUE(features.logits.equal(classifier->Logits(image)));
}

TEST_F(ColourClassifierTest, IsReadFromContentThatWasReadBefore) {
  const std::string content = ReadFile(path_).value();
  ASSERT_TRUE(WriteFileAtomic(path_, "something else by now").ok());
  const std::unique_ptr<Classifier> classifier = Load(1, &content);
  EXPECT_TRUE(classifier->Logits(Uniform(0, 0)).allclose(torch::tensor({{0.5f, -0.5f}})));
}

TEST_F(ColourClassifierTest, GradientsReachImagesAndNotWeights) {
  const std::unique_ptr<Classifier> classifier = Load(1);
  const torch::Tensor image = Uniform(0, 0).requires_grad_(true);
  const torch::Tensor logits = classifier->Logits(image);
  logits[0][1].backward();
  EXPECT_NEAR(image.grad()[0][1][0][0].item<double>(), 2.0 / 64, 1e-6);
  EXPECT_EQ(image.grad()[0][2].abs().max().item<double>(), 0);
  EXPECT_FALSE(classifier->Logits(Uniform(0, 0)).requires_grad()) << "weights ask for gradients";
}

TEST_F(ColourClassifierTest, OtherSizesAreFoundBeforeTheyAreServed) {
  const absl::Status grey = LoadTorchScriptClassifier(path_, 1, 8, 2, 1).status();
  EXPECT_EQ(grey.code(), absl::StatusCode::kInvalidArgument) << grey;
  const absl::Status three = LoadTorchScriptClassifier(path_, 3, 8, 3, 1).status();
  EXPECT_THAT(std::string(three.message()), testing::HasSubstr("expected [1, 3]"));
  EXPECT_EQ(LoadTorchScriptClassifier(path_ + "x", 3, 8, 2, 1).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ColourClassifierTest, LogitsThatAreNoNumbersAreRefused) {
  torch::jit::Module module("Broken");
  module.define("def forward(self, x):\n  return x.mean([2, 3])[:, :2] / 0.0\n");
  module.save(path_);
  const absl::Status status = LoadTorchScriptClassifier(path_, 3, 8, 2, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("logits that are not finite"));
}

TEST(MobileNetClassifierTest, IsTheNetworkInEvaluationMode) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(95);
  const MobileNetV2 network(3, 4, 0.25);
  NamedTensors(network)["classifier.1.weight"].normal_();
  network.ptr()->train();
  const std::unique_ptr<Classifier> classifier = MakeMobileNetClassifier(network, 2);
  const torch::Tensor x = torch::randn({2, 3, 32, 32});
  network.ptr()->eval();
  const MobileNetV2Impl::Features expected = network.ptr()->ForwardWithFeatures(x);
  EXPECT_TRUE(classifier->Logits(x).allclose(expected.logits / 2, 1e-4, 1e-4));
  EXPECT_EQ(classifier->LogitsAndFeatures(x).taps.size(), expected.taps.size());
  int64_t parameters = 0;
  for (const torch::Tensor& parameter : network.ptr()->parameters()) {
    parameters += parameter.numel();
  }
  EXPECT_EQ(classifier->NumParameters(), parameters);
}

TEST(MobileNetClassifierTest, KeepsWhatItWasMadeOf) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(96);
  const MobileNetV2 network(1, 2, 0.25);
  const std::unique_ptr<Classifier> classifier = MakeMobileNetClassifier(network, 0);
  const torch::Tensor x = torch::randn({1, 1, 16, 16});
  const torch::Tensor before = classifier->Logits(x);
  NamedTensors(network)["classifier.1.bias"].fill_(10);
  EXPECT_TRUE(classifier->Logits(x).equal(before));
  classifier->To(torch::kCPU);
  EXPECT_TRUE(classifier->Logits(x).equal(before));
}

}  // namespace
}  // namespace stylex
