// The server as used through grpcurl and ghz, which only use reflection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string output;  // of both streams
};

Outcome RunShell(const std::string& command) {
  Outcome outcome;
  FILE* pipe = popen(("( " + command + " ) 2>&1").c_str(), "r");
  char buffer[4096];
  size_t size = 0;
  while ((size = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    outcome.output.append(buffer, size);
  }
  outcome.exit_code = WEXITSTATUS(pclose(pipe));
  return outcome;
}

// The path of a program on PATH or in Go's folder; empty if it is not installed.
std::string FindTool(const std::string& name) {
  const char* home = getenv("HOME");
  for (const std::string& path :
       {name, std::string(home == nullptr ? "" : home) + "/go/bin/" + name}) {
    if (RunShell(path + " --version").exit_code == 0) {
      return path;
    }
  }
  return "";
}

// {"image": ...} as made by the README's commands.
std::string EncodeRequest(const std::string& jpeg) {
  std::ofstream(jpeg, std::ios::binary) << JpegPicture(60, 40, 3, 30);
  return "printf '{\"image\":{\"data\":\"%s\"}}' \"$(base64 -w0 " + jpeg + ")\"";
}

class GrpcurlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    grpcurl_ = FindTool("grpcurl");
    if (grpcurl_.empty()) {
      GTEST_SKIP() << "grpcurl is neither on PATH nor in ~/go/bin";
    }
    WriteTinyCheckpoint(models_.path(), {});
  }
  void Start(const std::vector<std::string>& flags = {}) {
    server_ = std::make_unique<ServerProcess>(models_.path(), flags);
    server_->AwaitLoaded();
  }
  Outcome Grpcurl(const std::string& flags, const std::string& arguments) {
    return RunShell(grpcurl_ + " -plaintext " + flags + " " + server_->address() + " " + arguments);
  }

  std::string grpcurl_;
  TemporaryFolder models_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(GrpcurlTest, ListsAndDescribes) {
  Start();
  const Outcome list = Grpcurl("", "list");
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.output, HasSubstr("stylex.v1.ExplanationService"));
  EXPECT_THAT(list.output, HasSubstr("grpc.health.v1.Health"));
  const Outcome describe = Grpcurl("", "describe stylex.v1.ExplanationService");
  EXPECT_EQ(describe.exit_code, 0);
  for (const char* method : {"ListModels", "GetModel", "Classify", "Encode", "Reconstruct",
                             "FindAttributes", "Counterfactual", "Traverse"}) {
    EXPECT_THAT(describe.output, HasSubstr(std::string("rpc ") + method + " "));
  }
}

TEST_F(GrpcurlTest, ChecksHealth) {
  Start();
  const Outcome health = Grpcurl(R"(-d '{"service":"readiness"}')", "grpc.health.v1.Health/Check");
  EXPECT_EQ(health.exit_code, 0);
  EXPECT_THAT(health.output, HasSubstr("\"status\": \"SERVING\""));
}

TEST_F(GrpcurlTest, EncodesAJpegFromStandardInput) {
  Start();
  const Outcome encode =
      RunShell(EncodeRequest(models_.path() + "/photo.jpg") + " | " + grpcurl_ +
               " -plaintext -d @ " + server_->address() + " stylex.v1.ExplanationService/Encode");
  EXPECT_EQ(encode.exit_code, 0) << encode.output;
  EXPECT_THAT(encode.output, HasSubstr("\"label\": \"dark\""));
  EXPECT_THAT(encode.output, HasSubstr("\"latent\""));
}

TEST_F(GrpcurlTest, ShowsEveryFaultOfARequest) {
  Start();
  const Outcome bad = Grpcurl(R"(-d '{"target_class":{"label":"purple"},"max_attributes":-1}')",
                              "stylex.v1.ExplanationService/Counterfactual");
  EXPECT_NE(bad.exit_code, 0);
  EXPECT_THAT(bad.output, HasSubstr("InvalidArgument"));
  for (const char* field : {"image", "target_class.label", "max_attributes"}) {
    EXPECT_THAT(bad.output, HasSubstr(field));
  }
}

TEST_F(GrpcurlTest, WithoutReflectionThereIsNothingToList) {
  Start({"--no-reflection"});
  EXPECT_NE(Grpcurl("", "list").exit_code, 0);
}

TEST(GhzTest, EveryCallUnderLoadIsAnswered) {
  const std::string ghz = FindTool("ghz");
  if (ghz.empty()) {
    GTEST_SKIP() << "ghz is neither on PATH nor in ~/go/bin";
  }
  TemporaryFolder folder;
  WriteTinyCheckpoint(folder.path() + "/models", {});
  ServerProcess server(folder.path() + "/models", {});
  server.AwaitLoaded();
  const Outcome load = RunShell(EncodeRequest(folder.path() + "/photo.jpg") + " | " + ghz +
                                " --insecure --call stylex.v1.ExplanationService/Encode"
                                " -D /dev/stdin -c 8 -n 200 " +
                                server.address());
  EXPECT_EQ(load.exit_code, 0) << load.output;
  EXPECT_THAT(load.output, HasSubstr("[OK]   200 responses"));
}

}  // namespace
}  // namespace stylex
