#include "server/telemetry/request_log.h"

#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/sha256.h"
#include "server/rpc/errors.h"
#include "server/telemetry/log_writer.h"

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

// Formats lines, and has them written by a thread that does not wait for whoever reads them.
class WriterSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit WriterSink(std::unique_ptr<spdlog::formatter> formatter)
      : base_sink(formatter->clone()),
        telling_(std::move(formatter)),
        writer_({.file = OwnStderr(),
                 .on_dropped = [this](int64_t dropped) { return TellDropped(dropped); }}) {}

  LogWriter* writer() { return &writer_; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_.Write(std::string(line.data(), line.size()));
  }
  void flush_() override { writer_.Flush(kFlushPatience); }

 private:
  static constexpr absl::Duration kFlushPatience = absl::Seconds(1);

  // Stays what stderr is now, when something else is put in its place (stray_output.h).
  static int OwnStderr() {
    const int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? STDERR_FILENO : copy;
  }

  // On the writer's thread.
  std::string TellDropped(int64_t dropped) {
    const std::string text =
        absl::StrCat(dropped, " log lines were dropped: nobody took them, or the disk is full");
    spdlog::memory_buf_t line;
    telling_->format({"", spdlog::level::warn, text}, line);
    return std::string(line.data(), line.size());
  }

  const std::unique_ptr<spdlog::formatter> telling_;
  LogWriter writer_;
};

// What gRPC has to say goes into the log too, in its format.
void LogOfGrpc(gpr_log_func_args* args) {
  const spdlog::level::level_enum level =
      args->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::err
      : args->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::info
                                                : spdlog::level::debug;
  spdlog::log(level, "gRPC: {}", args->message);
}

// The same for Protocol Buffers, which e.g. tells of texts that are not UTF-8.
void LogOfProtobuf(google::protobuf::LogLevel severity, const char* /*file*/, int /*line*/,
                   const std::string& message) {
  const bool grave = severity >= google::protobuf::LOGLEVEL_FATAL;
  spdlog::log(grave ? spdlog::level::critical : spdlog::level::debug, "Protocol Buffers: {}",
              message);
}

// The log's writer; null before SetUpLog.
std::shared_ptr<WriterSink>& TheSink() {
  static auto& sink = *new std::shared_ptr<WriterSink>;
  return sink;
}

double Milliseconds(absl::Duration duration) {
  return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1000;
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
  signal(SIGPIPE, SIG_IGN);  // whoever read the log may go away
  // Gives the writer's thread time for the last words.
  signal(SIGABRT, [](int) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 200'000'000};
    nanosleep(&pause, nullptr);
  });
  std::unique_ptr<spdlog::formatter> formatter = std::make_unique<JsonFormatter>();
  if (!json) {
    formatter = std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                                                            spdlog::pattern_time_type::utc);
  }
  TheSink() = std::make_shared<WriterSink>(std::move(formatter));
  auto logger = std::make_shared<spdlog::logger>("stylex-server", TheSink());
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(logger);
  gpr_set_log_function(LogOfGrpc);
  google::protobuf::SetLogHandler(LogOfProtobuf);
}

bool FlushLog(absl::Duration timeout) {
  return TheSink() == nullptr || TheSink()->writer()->Flush(timeout);
}

int64_t LogLinesDropped() { return TheSink() == nullptr ? 0 : TheSink()->writer()->dropped(); }

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
  // Without O_NONBLOCK a pipe that nobody reads would hold the calls.
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
  if (file < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("audit log ", path, ": cannot be opened for appending: ", strerror(errno)));
  }
  return std::unique_ptr<AuditLog>(new AuditLog(path, file));
}

AuditLog::~AuditLog() { close(file_); }

absl::Status AuditLog::Append(const std::string& line) {
  MutexLock lock(&mutex_);
  // Begins anew after a line that was written in part.
  const std::string text = absl::StrCat(partial_ ? "\n" : "", line);
  const ssize_t written = write(file_, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) {
    if (broken_) {
      spdlog::info("the audit log {} can be written again", path_);
    }
    broken_ = partial_ = false;
    return absl::OkStatus();
  }
  const std::string why = written < 0 ? strerror(errno) : "only a part of the line was taken";
  if (!broken_) {
    spdlog::error("the audit log {} cannot be written, calls are refused: {}", path_, why);
  }
  broken_ = true;
  partial_ = partial_ || written > 0;
  return absl::UnavailableError(absl::StrCat("audit log ", path_, ": ", why));
}

absl::Status AuditLog::Ready() {
  {
    MutexLock lock(&mutex_);
    if (!broken_) {
      return absl::OkStatus();
    }
  }
  return Append(ToLine({{"time", TimeText(absl::Now())}, {"event", "can be written again"}}) +
                "\n");
}

absl::Status AuditLog::Record(const CallRecord& record) {
  ordered_json line = {{"time", TimeText(absl::Now())}};
  line.update(CommonFields(record));
  if (record.request != nullptr) {
    line["request_sha256"] = Sha256(record.request->SerializeAsString());
  }
  if (record.response != nullptr && record.status.ok()) {
    line["response_sha256"] = Sha256(record.response->SerializeAsString());
  }
  return Append(ToLine(line) + "\n");
}

}  // namespace stylex
