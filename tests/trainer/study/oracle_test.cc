#include "trainer/study/oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/jit.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>

#include "models/trained_classifier.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

v1::ModelConfig ConfigOf(int labels) {
  v1::ModelConfig config;
  config.set_resolution(16);
  config.set_image_channels(1);
  for (int k = 0; k < labels; ++k) {
    config.add_labels(std::string(1, static_cast<char>('a' + k)));
  }
  config.mutable_classifier()->set_architecture("mobilenet_v2");
  config.mutable_classifier()->set_width_multiplier(0.1);
  return config;
}

class OracleTest : public testing::Test {
 protected:
  // The folder of a trained classifier.
  std::string Trained(int labels, uint64_t seed) const {
    torch::manual_seed(seed);
    const v1::ModelConfig config = ConfigOf(labels);
    const std::string folder = folder_ / ("clf" + std::to_string(labels));
    std::filesystem::create_directory(folder);
    EXPECT_TRUE(WriteTrainedClassifier({MakeClassifierNetwork(config), config}, folder).ok());
    return folder;
  }
  // A TorchScript file whose logits are the first `labels` pixels.
  std::string Script(int labels) const {
    torch::jit::Module script("Pixels");
    script.define("def forward(self, x):\n  return x.flatten(1)[:, :" + std::to_string(labels) +
                  "]\n");
    const std::string path = folder_ / ("script" + std::to_string(labels) + ".pt");
    script.save(path);
    return path;
  }
  static absl::StatusOr<std::vector<Oracle>> Open(const std::vector<std::string>& paths) {
    return OpenOracles(paths, ConfigOf(3), torch::kCPU);
  }

  TemporaryFolder folder_;
};

TEST_F(OracleTest, BothKindsAreOpenedInOrderAndNamedByPath) {
  const std::string trained = Trained(3, 1), script = Script(3);
  const std::vector<Oracle> oracles = Open({script, trained}).value();
  ASSERT_EQ(oracles.size(), 2);
  EXPECT_EQ(oracles[0].name, script);
  EXPECT_EQ(oracles[1].name, trained);
  const torch::NoGradGuard no_grad;
  const torch::Tensor x = torch::rand({2, 1, 16, 16}) * 2 - 1;
  EXPECT_TRUE(oracles[0].classifier->Logits(x).allclose(x.flatten(1).narrow(1, 0, 3)));
  MobileNetV2 network = LoadTrainedClassifier(trained)->network;
  network->eval();
  EXPECT_TRUE(oracles[1].classifier->Logits(x).allclose(network->forward(x), 1e-3, 1e-4));
  EXPECT_TRUE(Open({}).value().empty());
}

TEST_F(OracleTest, OtherClassesAreRefused) {
  const std::string trained = Trained(2, 1);
  absl::Status status = Open({trained}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(trained + ": the classifier was trained for 2 classes"));
  const std::string script = Script(2);
  status = Open({Trained(3, 1), script}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(script));
}

TEST_F(OracleTest, APathWithoutAClassifierIsNamed) {
  EXPECT_THAT(std::string(Open({folder_ / "no"}).status().message()), HasSubstr(folder_ / "no"));
  EXPECT_THAT(std::string(Open({folder_ / "no.pt"}).status().message()),
              HasSubstr(folder_ / "no.pt"));
}

}  // namespace
}  // namespace stylex
