// What is known of a call at its end, and who wants to know it: log, audit log, metrics.
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
  std::string model;        // as the request names it; may be empty
  std::string traceparent;  // W3C trace context, checked; may be empty
  std::string peer;         // the client's address
  absl::Status status;      // with a server's fault, its cause
  std::string reason;       // ErrorInfo's; empty when OK
  int64_t request_bytes = 0;
  int64_t response_bytes = 0;  // of all messages of a stream
  absl::Duration queued;       // waiting for a worker and for the device
  absl::Duration computed;     // having the device, alone or with others
  absl::Duration total;
  // Alive during the call of an observer only. The response of a stream is null.
  const google::protobuf::Message* request = nullptr;
  const google::protobuf::Message* response = nullptr;
};

// Thread-safe; quick, as it is called on gRPC's and the workers' threads.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void OnStarted(const char* /*method*/) {}
  virtual void OnFinished(const CallRecord& record) = 0;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_CALL_RECORD_H_
