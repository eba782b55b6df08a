#include "server/telemetry/request_log.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "server/rpc/errors.h"
#include "stylex/v1/explanation.pb.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using nlohmann::json;

constexpr char kSecretPixels[] = "\xff\xd8\xffpixels";

CallRecord SomeCall(const v1::ClassifyRequest& request) {
  CallRecord record;
  record.method = "Classify";
  record.request_id = "id-1";
  record.model = "fashion\"\n";
  record.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  record.peer = "ipv4:127.0.0.1:1";
  record.request_bytes = 42;
  record.queued = absl::Microseconds(1500);
  record.request = &request;
  return record;
}

// The lines that `log` logs.
std::vector<std::string> Logged(bool as_json, const std::function<void()>& log) {
  ::testing::internal::CaptureStderr();
  spdlog::drop_all();
  SetUpLog("info", as_json);
  log();
  EXPECT_TRUE(FlushLog(absl::Seconds(60)));
  std::istringstream text(::testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) {
    lines.push_back(line);
  }
  return lines;
}

TEST(RequestLogTest, ACallIsOneJsonObjectWithItsFields) {
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(kSecretPixels);
  const auto lines = Logged(true, [&] { RequestLog().OnFinished(SomeCall(request)); });
  ASSERT_EQ(lines.size(), 1u);
  const json line = json::parse(lines[0]);
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["method"], "Classify");
  EXPECT_EQ(line["request_id"], "id-1");
  EXPECT_EQ(line["model"], "fashion\"\n");
  EXPECT_EQ(line["code"], "OK");
  EXPECT_EQ(line["request_bytes"], 42);
  EXPECT_EQ(line["queue_ms"], 1.5);
  EXPECT_EQ(line["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_TRUE(line.contains("time"));
  EXPECT_FALSE(line.contains("error"));
  EXPECT_EQ(lines[0].find("pixels"), std::string::npos);
}

TEST(RequestLogTest, AServersFaultIsAnErrorWithItsCause) {
  v1::ClassifyRequest request;
  CallRecord record = SomeCall(request);
  record.status = absl::InternalError("tensor \xff broke");
  record.reason = "INTERNAL";
  const auto lines = Logged(true, [&] { RequestLog().OnFinished(record); });
  ASSERT_EQ(lines.size(), 1u);
  const json line = json::parse(lines[0]);
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["code"], "INTERNAL");
  EXPECT_EQ(line["reason"], "INTERNAL");
  EXPECT_NE(line["cause"].get<std::string>().find("broke"), std::string::npos);
}

TEST(RequestLogTest, OtherMessagesAreObjectsToo) {
  const auto lines = Logged(true, [] { spdlog::warn("it said \"{}\"\n", "no"); });
  ASSERT_EQ(lines.size(), 1u);
  const json line = json::parse(lines[0]);
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "it said \"no\"\n");
}

TEST(RequestLogTest, WhatGrpcSaysHasTheSameFormat) {
  // Before its first use gRPC says nothing at all.
  grpc_init();
  const auto lines = Logged(true, [] { gpr_log(GPR_ERROR, "no %s", "route"); });
  ASSERT_EQ(lines.size(), 1u);
  const json line = json::parse(lines[0]);
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["message"], "gRPC: no route");
  grpc_shutdown();
}

TEST(RequestLogTest, TextIsForPeople) {
  const auto lines = Logged(false, [] { spdlog::info("model a/1 is ready"); });
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find(" info model a/1 is ready"), std::string::npos);
}

TEST(AuditLogTest, AppendsDigestsOfWhatWasAskedAndAnswered) {
  std::string path = "/tmp/stylex-audit-XXXXXX";
  close(mkstemp(path.data()));
  std::ofstream(path) << "earlier\n";
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(kSecretPixels);
  v1::ClassifyResponse response;
  response.set_model("fashion/1");
  {
    auto audit = AuditLog::Open(path);
    ASSERT_TRUE(audit.ok()) << audit.status();
    CallRecord record = SomeCall(request);
    record.response = &response;
    EXPECT_TRUE((*audit)->Ready().ok());
    EXPECT_TRUE((*audit)->Record(record).ok());
    record.status = absl::CancelledError("gone");
    EXPECT_TRUE((*audit)->Record(record).ok());
  }
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(line, "earlier");
  std::getline(file, line);
  const json good = json::parse(line);
  EXPECT_EQ(good["code"], "OK");
  EXPECT_EQ(good["request_id"], "id-1");
  EXPECT_EQ(good["request_sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(good["response_sha256"].get<std::string>().size(), 64u);
  EXPECT_NE(good["request_sha256"], good["response_sha256"]);
  EXPECT_EQ(line.find("pixels"), std::string::npos);
  std::getline(file, line);
  const json cancelled = json::parse(line);
  EXPECT_EQ(cancelled["request_sha256"], good["request_sha256"]);
  EXPECT_FALSE(cancelled.contains("response_sha256"));
  unlink(path.c_str());
}

TEST(AuditLogTest, WhatCannotBeWrittenIsAnErrorUntilItCan) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  auto audit = AuditLog::Open(path);
  ASSERT_TRUE(audit.ok()) << audit.status();
  v1::ClassifyRequest request;
  const CallRecord record = SomeCall(request);
  int lines = 0;
  while ((*audit)->Record(record).ok()) {  // until the pipe is full
    ++lines;
  }
  EXPECT_GT(lines, 10);
  EXPECT_TRUE(absl::IsUnavailable((*audit)->Record(record)));
  std::string text(1 << 20, ' ');
  text.resize(static_cast<size_t>(read(reader, text.data(), text.size())));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), lines) << "lines that nobody vouched for";
  EXPECT_TRUE((*audit)->Ready().ok());
  EXPECT_TRUE((*audit)->Record(record).ok());
  close(reader);
}

TEST(AuditLogTest, AFullDiskIsNoticedBeforeTheNextCall) {
  auto audit = AuditLog::Open("/dev/full");
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_TRUE((*audit)->Ready().ok()) << "nothing was tried yet";
  v1::ClassifyRequest request;
  EXPECT_TRUE(absl::IsUnavailable((*audit)->Record(SomeCall(request))));
  EXPECT_TRUE(absl::IsUnavailable((*audit)->Ready()));
}

TEST(AuditLogTest, AFileThatCannotBeOpenedIsAnError) {
  const absl::Status status = AuditLog::Open("/no/such/folder/audit").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
}

}  // namespace
}  // namespace stylex
