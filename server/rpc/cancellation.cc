#include "server/rpc/cancellation.h"

#include "server/rpc/errors.h"

namespace stylex {
namespace {

thread_local const Cancellation* of_this_thread = nullptr;

}  // namespace

const Cancellation* Cancellation::OfThisThread() { return of_this_thread; }

Cancellation::Scope::Scope(const Cancellation* cancellation) { of_this_thread = cancellation; }

Cancellation::Scope::~Scope() { of_this_thread = nullptr; }

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
