// A folder in which a test writes tensors for an independent Python program, which recomputes and
// compares them. The test is skipped if Python or a package that it needs is missing.
//
//   ReferenceFolder folder;
//   folder.Write("input", x);
//   folder.Write("output", Network(x));
//   folder.CompareWith("tests/models/networks/reference_networks.py");
#ifndef STYLEX_TESTS_MODELS_REFERENCE_FOLDER_H_
#define STYLEX_TESTS_MODELS_REFERENCE_FOLDER_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <torch/types.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/temporary_folder.h"

namespace stylex {

class ReferenceFolder {
 public:
  // Writes raw little-endian float32 to NAME and its shape to the manifest. '/' does not create
  // folders.
  void Write(const std::string& name, const torch::Tensor& tensor) {
    const torch::Tensor plain = tensor.detach().to(torch::kFloat32).contiguous();
    const std::string file = absl::StrCat(shapes_.size(), ".f32");
    std::ofstream(folder_ / file, std::ios::binary)
        .write(static_cast<const char*>(plain.data_ptr()),
               static_cast<std::streamsize>(plain.numel() * sizeof(float)));
    shapes_[name] = absl::StrCat("{\"file\": \"", file, "\", \"shape\": [",
                                 absl::StrJoin(plain.sizes(), ", "), "]}");
  }

  // Runs the script (path relative to the repository's root) on this folder. It exits with 0 if
  // everything agrees, with 77 if a package is missing; its output becomes the failure message.
  void CompareWith(const std::string& script) {
    std::ofstream manifest(folder_ / "manifest.json");
    manifest << "{" << absl::StrJoin(shapes_, ",\n", [](std::string* out, const auto& entry) {
      absl::StrAppend(out, "\"", entry.first, "\": ", entry.second);
    }) << "}";
    manifest.close();
    const std::string command =
        absl::StrCat("PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=" STYLEX_SOURCE_DIR
                     "/tests/models /usr/bin/python3 " STYLEX_SOURCE_DIR "/",
                     script, " ", folder_.path(), " 2>&1");
    FILE* const pipe = popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr) << command;
    std::string output;
    char buffer[4096];
    while (const size_t read = fread(buffer, 1, sizeof(buffer), pipe)) {
      output.append(buffer, read);
    }
    const int status = pclose(pipe);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    constexpr int kPackageMissing = 77;
    constexpr int kNoPython = 127;
    if (code == kPackageMissing || code == kNoPython) {
      GTEST_SKIP() << "the reference cannot run here: " << output;
    }
    EXPECT_EQ(code, 0) << output;
  }

 private:
  const TemporaryFolder folder_;
  std::map<std::string, std::string> shapes_;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_MODELS_REFERENCE_FOLDER_H_
