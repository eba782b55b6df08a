#include "server/telemetry/request_log.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/errors.h"

namespace stylex {
namespace {

using nlohmann::ordered_json;

std::string ToLine(const ordered_json& object) {
  return object.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// RFC 3339, UTC, milliseconds.
std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

// A message that is a JSON object keeps its fields; any other becomes the field "message".
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    const auto level = spdlog::level::to_string_view(message.level);
    ordered_json object = {{"time", TimeText(absl::FromChrono(message.time))},
                           {"level", std::string(level.data(), level.size())}};
    std::string line = ToLine(object);
    line.pop_back();
    if (payload.starts_with("{\"")) {
      absl::StrAppend(&line, ",", absl::string_view(payload.data() + 1, payload.size() - 1), "\n");
    } else {
      const std::string text = ToLine(ordered_json(std::string(payload)));
      absl::StrAppend(&line, ",\"message\":", text, "}\n");
    }
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

double Milliseconds(absl::Duration duration) {
  return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1000;
}

std::string Sha256Hex(const google::protobuf::Message& message) {
  const std::string bytes = message.SerializeAsString();
  std::array<char, 32> digest;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
             EVP_sha256(), nullptr);
  return absl::BytesToHexString(absl::string_view(digest.data(), digest.size()));
}

ordered_json CommonFields(const CallRecord& record) {
  return {{"method", record.method},
          {"request_id", record.request_id},
          {"model", record.model},
          {"code", absl::StatusCodeToString(record.status.code())},
          {"peer", record.peer}};
}

}  // namespace

void SetUpLog(const std::string& level, bool json) {
  auto logger = spdlog::stderr_color_mt("stylex-server");
  if (json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  }
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(logger);
}

void RequestLog::OnFinished(const CallRecord& record) {
  ordered_json line = CommonFields(record);
  line["request_bytes"] = record.request_bytes;
  line["response_bytes"] = record.response_bytes;
  line["queue_ms"] = Milliseconds(record.queued);
  line["compute_ms"] = Milliseconds(record.computed);
  line["total_ms"] = Milliseconds(record.total);
  if (!record.traceparent.empty()) {
    line["traceparent"] = record.traceparent;
  }
  const bool fault = IsServerFault(record.status);
  if (!record.status.ok()) {
    line["reason"] = record.reason;
    line[fault ? "cause" : "error"] = std::string(record.status.message());
  }
  spdlog::log(fault ? spdlog::level::err : spdlog::level::info, "{}", ToLine(line));
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (file < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("audit log ", path, ": cannot be opened for appending: ", strerror(errno)));
  }
  return std::unique_ptr<AuditLog>(new AuditLog(file));
}

AuditLog::~AuditLog() { close(file_); }

void AuditLog::OnFinished(const CallRecord& record) {
  ordered_json line = {{"time", TimeText(absl::Now())}};
  line.update(CommonFields(record));
  if (record.request != nullptr) {
    line["request_sha256"] = Sha256Hex(*record.request);
  }
  if (record.response != nullptr && record.status.ok()) {
    line["response_sha256"] = Sha256Hex(*record.response);
  }
  const std::string text = ToLine(line) + "\n";
  if (write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    spdlog::error("the audit log lacks a line: {}", strerror(errno));
  }
}

}  // namespace stylex
