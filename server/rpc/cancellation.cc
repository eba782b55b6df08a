#include "server/rpc/cancellation.h"

#include "server/rpc/errors.h"

namespace stylex {

absl::Status Cancellation::status() const {
  // The deadline first: gRPC also cancels calls whose deadline has passed.
  if (clock_->Now() >= deadline_) {
    return absl::DeadlineExceededError("the call's deadline passed; its work was stopped");
  }
  if (cancelled_.load(std::memory_order_relaxed)) {
    return absl::CancelledError("the client cancelled the call");
  }
  if (abandon_all_ != nullptr && abandon_all_->load(std::memory_order_relaxed)) {
    return DrainingError();
  }
  return absl::OkStatus();
}

}  // namespace stylex
