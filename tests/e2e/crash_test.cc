// After being killed at a bad moment, the server restarts and answers as before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/load.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"

namespace stylex {
namespace {

std::string EncodedImage(ServerProcess* server) {
  grpc::ClientContext context;
  v1::EncodeRequest request;
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  v1::EncodeResponse response;
  const grpc::Status status = server->stub().Encode(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.SerializeAsString();
}

int LinesOfAuditLog(const std::string& path) {
  std::ifstream file(path);
  int lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << "line " << lines << ": " << line;
  }
  return lines;
}

TEST(CrashTest, KilledUnderLoadItStartsAgainOnItsPortAndAnswersTheSame) {
  const TemporaryFolder folder;
  WriteTinyCheckpoint(folder / "models", {});
  const std::string audit = folder / "audit";
  // One image per batch: the same numbers to the last bit, regardless of concurrent calls.
  std::vector<std::string> flags = {"--audit-log", audit, "--max-batch", "1"};
  auto server = std::make_unique<ServerProcess>(folder / "models", flags);
  server->AwaitLoaded();
  const std::string answer = EncodedImage(server.get());
  flags.insert(flags.end(), {"--port", server->address().substr(server->address().rfind(':') + 1)});
  Load load(server->NewChannel(), 4);
  load.AwaitCalls(20);
  server->Signal(SIGKILL);
  EXPECT_EQ(server->Wait(), -SIGKILL);
  server = std::make_unique<ServerProcess>(folder / "models", flags);
  server->AwaitLoaded();
  load.AwaitCalls(20);
  load.Stop();
  for (const grpc::Status& failure : load.failures()) {
    EXPECT_EQ(failure.error_code(), grpc::StatusCode::UNAVAILABLE) << failure.error_message();
  }
  EXPECT_EQ(EncodedImage(server.get()), answer);
  EXPECT_GE(LinesOfAuditLog(audit), 40);
}

}  // namespace
}  // namespace stylex
