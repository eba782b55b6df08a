// The two logs of calls: the request log, one line per call, and the optional audit log.
//
// Neither contains images, latents or answers: the request log has names and sizes, the audit log
// has SHA-256 digests of the messages, with which the owner of a message can prove that it was this
// one.
#ifndef STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_
#define STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/rpc/call_record.h"

namespace stylex {

// Directs the process's log to stderr, one line per event: as JSON objects ("time", "level", then
// "message" or a call's fields), or as plain text. What gRPC logs becomes part of it. Nobody who
// logs waits: see log_writer.h. Call once, before anything is logged and before other threads.
void SetUpLog(const std::string& level, bool json);

// Waits until the log is written; false after `timeout`.
bool FlushLog(absl::Duration timeout);

// Lines that could not be written.
int64_t LogLinesDropped();

// One line per call: level error with the cause for server faults, level info for all others.
class RequestLog : public CallObserver {
 public:
  void OnFinished(const CallRecord& record) override;
};

// Appends one JSON line per call with a single write, so that several processes can share the file.
// Loses no line: what cannot be written is an error, and the call is not answered.
class AuditLog : public CallAuditor {
 public:
  // INVALID_ARGUMENT when the file cannot be opened for appending.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path);
  ~AuditLog() override;
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // After a failure: tries to write a line.
  absl::Status Ready() override;
  absl::Status Record(const CallRecord& record) override;

 private:
  AuditLog(std::string path, int file) : path_(std::move(path)), file_(file) {}
  absl::Status Append(const std::string& line);

  const std::string path_;
  const int file_;
  Mutex mutex_;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;   // the last line could not be written
  bool partial_ ABSL_GUARDED_BY(mutex_) = false;  // the file ends with a part of a line
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_
