// The two logs of calls: the request log, one line per call, and the optional audit log.
//
// Neither contains images, latents or answers: the request log has names and sizes, the audit log
// has SHA-256 digests of the messages, with which the owner of a message can prove that it was this
// one.
#ifndef STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_
#define STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/call_record.h"

namespace stylex {

// Directs the process's log to stderr, one line per event: as JSON objects ("time", "level", then
// "message" or a call's fields), or as plain text. Call once, before anything is logged.
void SetUpLog(const std::string& level, bool json);

// One line per call: level error with the cause for server faults, level info for all others.
class RequestLog : public CallObserver {
 public:
  void OnFinished(const CallRecord& record) override;
};

// Appends one JSON line per call with a single write, so that several processes can share the file.
class AuditLog : public CallObserver {
 public:
  // INVALID_ARGUMENT when the file cannot be opened for appending.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path);
  ~AuditLog() override;
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void OnFinished(const CallRecord& record) override;

 private:
  explicit AuditLog(int file) : file_(file) {}
  const int file_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_
