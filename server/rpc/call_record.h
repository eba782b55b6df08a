// The record of a finished call, and the interface of its observers: log, audit log, metrics.
#ifndef STYLEX_SERVER_RPC_CALL_RECORD_H_
#define STYLEX_SERVER_RPC_CALL_RECORD_H_

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace stylex {

struct CallRecord {
  const char* method = "";
  std::string request_id;
  std::string model;        // as named in the request; may be empty
  std::string traceparent;  // validated W3C trace context; may be empty
  std::string peer;         // the client's address
  absl::Status status;      // for a server fault, with its cause
  std::string reason;       // ErrorInfo's; empty when OK
  int64_t request_bytes = 0;
  int64_t response_bytes = 0;  // of all messages of a stream
  absl::Duration queued;       // waiting for a worker and for the device
  absl::Duration computed;     // holding the device, alone or with others
  absl::Duration total;
  // Valid only while the observer is called. The response of a stream is null.
  const google::protobuf::Message* request = nullptr;
  const google::protobuf::Message* response = nullptr;
};

// Must be thread-safe and fast: it is called on gRPC's and the workers' threads.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // A call has arrived.
  virtual void OnStarted(const char* /*method*/) {}
  // The call was answered or has failed; called once for each OnStarted.
  virtual void OnFinished(const CallRecord& record) = 0;
};

// Keeps a record of every call that must not be lost. Thread-safe.
class CallAuditor {
 public:
  virtual ~CallAuditor() = default;
  // Whether a record could be kept now; else why not.
  virtual absl::Status Ready() = 0;
  // Keeps the record, or says why it could not.
  virtual absl::Status Record(const CallRecord& record) = 0;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_CALL_RECORD_H_
