// What is said of files that are no usable TorchScript classifier.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/types.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "models/classifier.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class TorchScriptClassifierTest : public testing::Test {
 protected:
  std::string FaultOf(const std::string& path) {
    const absl::Status status = LoadTorchScriptClassifier(path, 3, 16, 2, 1).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path), Not(HasSubstr("\n"))));
    return std::string(status.message());
  }
  std::string FaultOfBytes(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return FaultOf(folder_ / name);
  }
  std::string FaultOfForward(const std::string& body) {
    torch::jit::Module module("M");
    module.define("def forward(self, x):\n" + body);
    module.save(folder_ / "m.pt");
    return FaultOf(folder_ / "m.pt");
  }

  const TemporaryFolder folder_;
};

TEST_F(TorchScriptClassifierTest, OtherFilesAreTold) {
  const auto needed = HasSubstr("torch.jit.script(model.eval()).save");
  EXPECT_THAT(FaultOfBytes("state.pth", "PK\x03\x04....archive/data.pkl...."),
              AllOf(HasSubstr("weights or a pickled module of PyTorch"), needed));
  EXPECT_THAT(FaultOfBytes("program.pt2", "PK\x03\x04....serialized_exported_program.json"),
              AllOf(HasSubstr("torch.export"), needed));
  EXPECT_THAT(FaultOfBytes("network.pkl", "\x80\x04\x95 and so on"),
              AllOf(HasSubstr("a Python pickle"), needed));
  EXPECT_THAT(FaultOfBytes("model.onnx", "\x08\x07\x12\x07pytorch\x1a"),
              AllOf(HasSubstr("an ONNX model"), needed));
  EXPECT_THAT(FaultOfBytes("saved_model.pb", "\x08\x01\x12"), HasSubstr("TensorFlow"));
  EXPECT_THAT(FaultOfBytes("model.h5", "\x89HDF\r\n"), HasSubstr("HDF5"));
  EXPECT_THAT(FaultOfBytes("empty.pt", ""), HasSubstr("an empty file"));
  EXPECT_THAT(FaultOfBytes("text.pt", "hello"), HasSubstr("not a TorchScript file"));
  EXPECT_THAT(FaultOf(folder_ / "nowhere.pt"), HasSubstr("no such file"));
}

TEST_F(TorchScriptClassifierTest, TheCauseInsideIsTold) {
  EXPECT_THAT(FaultOfForward("  assert x.size(2) == 224, \"needs images of 224x224\"\n"
                             "  return x.mean([2, 3])\n"),
              AllOf(HasSubstr("needs images of 224x224"), HasSubstr("3x16x16")));
  EXPECT_THAT(FaultOfForward("  return (x, x)\n"), HasSubstr("gives a Tuple"));
  EXPECT_THAT(FaultOfForward("  return x.mean([2, 3])\n"),
              AllOf(HasSubstr("[1, 3]"), HasSubstr("expected [1, 2]")));
}

// The first Python block of docs/training.md, to the letter.
std::string DocumentedWrapper() {
  const std::string text = ReadFile(STYLEX_SOURCE_DIR "/docs/training.md").value();
  const std::string fence = "```python\n";
  const size_t begin = text.find(fence) + fence.size();
  return text.substr(begin, text.find("```", begin) - begin);
}

// A network that takes images of 224x224 alone, normalised as for ImageNet.
constexpr char kNetwork[] = R"(
import torch
torch.manual_seed(1)
network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 7, stride=16), torch.nn.ReLU(),
                              torch.nn.Flatten(), torch.nn.Linear(4 * 14 * 14, 5))
)";

// What that network says of an image of 64x64, without the wrapper.
constexpr char kItsLogits[] = R"(
x = torch.sin(torch.arange(3 * 64 * 64) * 0.1).view(1, 3, 64, 64)
pixels = torch.nn.functional.interpolate(127.5 * x + 127.5, size=(224, 224), mode="bilinear")
for channel, mean, std in (0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225):
    pixels[:, channel] = (pixels[:, channel] / 255 - mean) / std
open("logits.txt", "w").write(" ".join(str(y) for y in network(pixels)[0].tolist()))
)";

TEST_F(TorchScriptClassifierTest, TheDocumentedWrapperWorksAsItStands) {
  if (std::system("/usr/bin/python3 -c 'import torch' >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "/usr/bin/python3 has no torch";
  }
  const std::string script = absl::StrCat(kNetwork, DocumentedWrapper(), kItsLogits);
  ASSERT_THAT(script, HasSubstr("class Wrapped"));
  std::ofstream(folder_ / "user.py") << script;
  const std::string command =
      absl::StrCat("cd ", folder_.path(), " && /usr/bin/python3 -W ignore user.py");
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto classifier = LoadTorchScriptClassifier(folder_ / "model.pt", 3, 64, 5, 1);
  ASSERT_TRUE(classifier.ok()) << classifier.status();
  torch::Tensor x = torch::sin(torch::arange(3 * 64 * 64) * 0.1).view({1, 3, 64, 64});
  x.requires_grad_(true);
  const torch::Tensor logits = (*classifier)->Logits(x);
  std::ifstream expected(folder_ / "logits.txt");
  for (int64_t k = 0; k < 5; ++k) {
    double logit = 0;
    ASSERT_TRUE(expected >> logit);
    EXPECT_NEAR(logits[0][k].item<double>(), logit, 1e-4);
  }
  logits[0][0].backward();
  EXPECT_GT(x.grad().abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace stylex
