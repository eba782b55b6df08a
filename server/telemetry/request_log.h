// The two files that tell of calls: the log, one line a call, and the audit log, if there is one.
//
// Neither ever holds an image, a latent or an answer: the log has names and sizes, the audit log
// SHA-256 digests of the messages, by which somebody who has a message can show that it was this
// one.
#ifndef STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_
#define STYLEX_SERVER_TELEMETRY_REQUEST_LOG_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/call_record.h"

namespace stylex {

// Makes the process's log go to stderr, one line an event: as JSON objects ("time", "level", then
// "message" or a call's fields), or as text for people. Call once, before anything is logged.
void SetUpLog(const std::string& level, bool json);

// One line a call. A server's fault is an error with its cause, all else information.
class RequestLog : public CallObserver {
 public:
  void OnFinished(const CallRecord& record) override;
};

// Appends one JSON line a call with one write each, so that several processes can share the file.
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
