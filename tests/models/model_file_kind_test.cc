// Kinds of model files by the first bytes that their formats prescribe, and files that LibTorch and
// our own code write.
#include "models/model_file_kind.h"

#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/serialize.h>
#include <torch/types.h>

#include <fstream>
#include <string>
#include <string_view>

#include "tests/temporary_folder.h"

namespace stylex {
namespace {

class ModelFileKindTest : public testing::Test {
 protected:
  std::string KindOf(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return ModelFileKind(folder_ / name);
  }
  // A zip's local header, some content, and a central directory that lists `entry`.
  static std::string Zip(const std::string& entry, const std::string& content = "....") {
    return "PK\x03\x04" + content + "PK\x01\x02" + entry + "PK\x05\x06" + std::string(18, '\0');
  }

  const TemporaryFolder folder_;
};

TEST_F(ModelFileKindTest, KnowsWhatTorchScriptIs) {
  torch::jit::Module module("M");
  module.define("def forward(self, x):\n  return x\n");
  module.save(folder_ / "m.bin");
  EXPECT_EQ(ModelFileKind(folder_ / "m.bin"), "TorchScript");
}

TEST_F(ModelFileKindTest, TensorsThatLibTorchSavedAreNamedWhateverTheyAreCalled) {
  torch::save(torch::zeros({3}), folder_ / "weights.onnx");
  EXPECT_FALSE(ModelFileKind(folder_ / "weights.onnx").empty());
  EXPECT_NE(ModelFileKind(folder_ / "weights.onnx"), "an ONNX model");
}

TEST_F(ModelFileKindTest, KnowsSafetensorsByTheirHeader) {
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  EXPECT_EQ(KindOf("w.pt", bytes + header + std::string(4, '\0')), "weights as safetensors");
  // The same eight bytes before something else are not.
  EXPECT_EQ(KindOf("x.pt", bytes + "hello, this is text"), "");
}

TEST_F(ModelFileKindTest, KnowsArchivesByTheirDirectories) {
  EXPECT_EQ(KindOf("a", Zip("archive/data.pkl")),
            "weights or a pickled module of PyTorch (torch.save)");
  EXPECT_EQ(KindOf("b", Zip("archive/data.pkl archive/constants.pkl")), "TorchScript");
  EXPECT_EQ(KindOf("c", Zip("serialized_exported_program.json")), "a torch.export program (.pt2)");
  EXPECT_EQ(KindOf("d", Zip("arr_0.npy")), "an archive of NumPy arrays");
  EXPECT_EQ(KindOf("e", Zip("model.weights.h5")), "a Keras model");
  EXPECT_EQ(KindOf("f", Zip("Data/com.apple.CoreML/model.mlmodel")), "a Core ML model");
  EXPECT_EQ(KindOf("g", Zip("readme.txt")), "a zip archive");
}

// What stands in an entry's content does not count, only the directory's names.
TEST_F(ModelFileKindTest, AnEntrysContentDoesNotMatter) {
  EXPECT_EQ(KindOf("a", Zip("notes.txt", "about /constants.pkl")), "a zip archive");
}

TEST_F(ModelFileKindTest, KnowsPicklesOfEveryProtocol) {
  for (const char protocol : {'\x02', '\x03', '\x04', '\x05'}) {
    EXPECT_EQ(KindOf("p", std::string("\x80") + protocol + "rest"), "a Python pickle");
  }
  EXPECT_EQ(KindOf("p", "\x80\x09rest"), "");
}

TEST_F(ModelFileKindTest, KnowsOtherFrameworks) {
  EXPECT_EQ(KindOf("k.keras", "\x89HDF\r\n\x1a\n"), "an HDF5 file (Keras)");
  EXPECT_EQ(KindOf("l", std::string("\x1c\0\0\0TFL3rest", 12)), "a TensorFlow Lite model");
  EXPECT_EQ(KindOf("m.onnx", "\x08\x09\x12\x04 else"), "an ONNX model");
  EXPECT_EQ(KindOf("n", "\x08\x09\x12\x07pytorch"), "an ONNX model");
  EXPECT_EQ(KindOf("o", "\x08\x09\x12\x04 else"), "");
  EXPECT_EQ(KindOf("graph.pb", "\x0a\x10"), "a TensorFlow model");
}

TEST_F(ModelFileKindTest, SaysNothingOfWhatItDoesNotKnow) {
  EXPECT_EQ(KindOf("t", "hello"), "");
  EXPECT_EQ(KindOf("u", "P"), "");
  EXPECT_EQ(KindOf("v", ""), "an empty file");
  EXPECT_EQ(ModelFileKind(folder_ / "nowhere"), "");
  EXPECT_EQ(ModelFileKind(folder_.path()), "");
}

// Every prefix of a file is a file, too.
TEST_F(ModelFileKindTest, CutFilesAreHarmless) {
  const std::string zip = Zip("archive/data.pkl");
  for (size_t length = 1; length < zip.size(); ++length) {
    const std::string kind = KindOf("cut", zip.substr(0, length));
    EXPECT_NE(kind, "TorchScript") << length;
  }
}

TEST(HowToScriptTest, NamesTheCallThatMakesTheFile) {
  EXPECT_NE(std::string_view(kHowToScript).find("torch.jit.script(model.eval()).save"),
            std::string_view::npos);
}

}  // namespace
}  // namespace stylex
