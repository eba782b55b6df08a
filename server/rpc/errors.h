// Errors as clients see them (google.rpc's error model, AIP-193).
//
// Inside the server an error is an absl::Status whose payloads are google.rpc details; the
// functions below make the errors with details. Only ToGrpcStatus converts them to a grpc::Status.
// Details are at most kMaxDetailsBytes: gRPC drops trailers of more than 8 kB, and the client would
// see a different error. All functions are pure.
#ifndef STYLEX_SERVER_RPC_ERRORS_H_
#define STYLEX_SERVER_RPC_ERRORS_H_

#include <grpcpp/support/status.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace stylex {

inline constexpr size_t kMaxDetailsBytes = 4000;
inline constexpr size_t kMaxMessageBytes = 600;
inline constexpr char kErrorDomain[] = "stylex.v1";

// One thing that is wrong with a request.
struct Fault {
  std::string field;        // path within the request, e.g. "edits[2].index"
  std::string description;  // the fault, and what would be valid
};

using ErrorMetadata = std::map<std::string, std::string>;

// INVALID_ARGUMENT with a violation for each fault. `faults` must not be empty.
absl::Status InvalidRequestError(std::span<const Fault> faults, const ErrorMetadata& metadata = {});

// RESOURCE_EXHAUSTED for one field of the request, with the violation.
absl::Status TooLargeError(const Fault& fault);

// NOT_FOUND, listing the existing models.
absl::Status ModelNotFoundError(absl::string_view asked, const std::vector<std::string>& known);

// FAILED_PRECONDITION. `type`: UPPER_SNAKE_CASE; `subject`: the thing; `description`: the failure
// and its remedy.
absl::Status PreconditionError(absl::string_view type, absl::string_view subject,
                               absl::string_view description);

// UNAVAILABLE; the same call may succeed after `retry_delay`. `reason`: UPPER_SNAKE_CASE.
absl::Status UnavailableError(absl::string_view reason, absl::string_view message,
                              absl::Duration retry_delay);
// Too many calls wait.
absl::Status QueueFullError();
// The server is shutting down.
absl::Status DrainingError();

// Reason of DEADLINE_EXCEEDED for calls refused before queueing because the calls ahead would take
// too long.
inline constexpr char kDeadlineTooShort[] = "DEADLINE_TOO_SHORT";
absl::Status DeadlineTooShortError(absl::Duration estimated_wait);

// UNAUTHENTICATED: the call has no valid token.
absl::Status UnauthenticatedError();

// INVALID_ARGUMENT: the request's bytes are no message of its method.
absl::Status MalformedRequestError();

// UNAVAILABLE: requests that are waiting or at work hold all of their part of the memory.
absl::Status MemoryFullError();
// UNAVAILABLE: calls are to be recorded, and cannot be.
absl::Status AuditError();

// RESOURCE_EXHAUSTED for a whole request.
absl::Status MessageTooLargeError(size_t bytes, size_t limit);

// The reason of ErrorInfo; every error has one, an OK status has none.
std::string ReasonOfError(const absl::Status& status);

// Whether an exception's text indicates a permanently failed device, which only a new process can
// recover.
bool IsPersistentDeviceError(absl::string_view what);
// Whether it indicates a lack of memory, which may not affect the next call.
bool IsOutOfMemory(absl::string_view what);

// The delay of UnavailableError's RetryInfo, if any.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// "a, b, c" quoted and escaped, truncated to about `max_bytes` with the number of omitted names.
std::string ListOf(const std::vector<std::string>& names, size_t max_bytes = 400);
// Makes untrusted text safe to print: quoted, control characters escaped, truncated to `max_bytes`.
std::string Quoted(absl::string_view text, size_t max_bytes = 100);

// Whether the status is a server fault, whose cause only the log may show.
bool IsServerFault(const absl::Status& status);

// Every error gets an ErrorInfo; internal errors get a generic message that contains the request
// id.
grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_ERRORS_H_
