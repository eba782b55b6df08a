// What is said of files that are no usable TorchScript classifier.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/types.h>

#include <fstream>
#include <string>

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

}  // namespace
}  // namespace stylex
