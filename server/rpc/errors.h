// What a caller is told when a call fails (google.rpc's error model, AIP-193).
//
// Inside the server an error is an absl::Status whose payloads are google.rpc details; the
// functions below make the ones that have details. ToGrpcStatus is the only place where they become
// a grpc::Status. Details stay under kMaxDetailsBytes: gRPC drops trailers of more than 8 kB, and
// the caller would see another error than the real one. All functions are pure.
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
  std::string description;  // what is wrong with it, and what would be right
};

using ErrorMetadata = std::map<std::string, std::string>;

// INVALID_ARGUMENT with a violation for each fault. `faults` must not be empty.
absl::Status InvalidRequestError(std::span<const Fault> faults, const ErrorMetadata& metadata = {});

// RESOURCE_EXHAUSTED about one field of the request; it carries the violation too.
absl::Status TooLargeError(const Fault& fault);

// NOT_FOUND, naming the models there are.
absl::Status ModelNotFoundError(absl::string_view asked, const std::vector<std::string>& known);

// FAILED_PRECONDITION. `type`: UPPER_SNAKE_CASE; `subject`: the thing; `description`: how it fails
// and what would mend it.
absl::Status PreconditionError(absl::string_view type, absl::string_view subject,
                               absl::string_view description);

// UNAVAILABLE; the same call may succeed after `retry_delay`. `reason`: UPPER_SNAKE_CASE.
absl::Status UnavailableError(absl::string_view reason, absl::string_view message,
                              absl::Duration retry_delay);
absl::Status QueueFullError();
absl::Status DrainingError();

// DEADLINE_EXCEEDED before the call was even queued: those ahead of it take too long.
inline constexpr char kDeadlineTooShort[] = "DEADLINE_TOO_SHORT";
absl::Status DeadlineTooShortError(absl::Duration estimated_wait);

// UNAUTHENTICATED: the call showed no token, or none that is known.
absl::Status UnauthenticatedError();

// RESOURCE_EXHAUSTED about a whole request.
absl::Status MessageTooLargeError(size_t bytes, size_t limit);

// ErrorInfo's reason; every error has one in the end, an OK status none.
std::string ReasonOfError(const absl::Status& status);

// Whether an exception's text tells of a device that answers nothing any more: after such an error
// only a new process helps.
bool IsPersistentDeviceError(absl::string_view what);
// Whether it tells of too little memory, which may be enough for the next call.
bool IsOutOfMemory(absl::string_view what);

// The delay of UnavailableError's RetryInfo, if any.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// "a, b, c" quoted and escaped, cut to about `max_bytes` with the number of those left out.
std::string ListOf(const std::vector<std::string>& names, size_t max_bytes = 400);
// Text from outside, safe to show: quoted, control characters escaped, cut to `max_bytes`.
std::string Quoted(absl::string_view text, size_t max_bytes = 100);

// Whether the status tells of a fault of the server, whose cause is for the log alone.
bool IsServerFault(const absl::Status& status);

// Every error gets an ErrorInfo, internal ones a generic sentence that names the request id.
grpc::Status ToGrpcStatus(const absl::Status& status, absl::string_view request_id);

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_ERRORS_H_
