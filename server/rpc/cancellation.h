// Cancellation state of a call: cancelled when the client disconnects or cancels, when the deadline
// passes, or when the server gives up on running calls during shutdown.
//
// Workers poll it between batches, so that the computation stops as well as the call. Thread-safe.
#ifndef STYLEX_SERVER_RPC_CANCELLATION_H_
#define STYLEX_SERVER_RPC_CANCELLATION_H_

#include <atomic>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace stylex {

class Cancellation {
 public:
  // `clock` and `abandon_all` (may be null) must outlive this; once `abandon_all` is true, every
  // call that polls it stops.
  Cancellation(const Clock* clock, absl::Time deadline,
               const std::atomic<bool>* abandon_all = nullptr)
      : clock_(clock), deadline_(deadline), abandon_all_(abandon_all) {}
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  // The client does not want the answer any more.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

  absl::Time deadline() const { return deadline_; }
  // Cancelled, or past the deadline.
  bool stopped() const { return !status().ok(); }

  // The cancellation of the call whose work runs on this thread; null if none does. For code that
  // waits on behalf of a call it was not told about.
  static const Cancellation* OfThisThread();
  // Makes a call this thread's while the object exists.
  class Scope {
   public:
    explicit Scope(const Cancellation* cancellation);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

  // OK while the call is active; CANCELLED, DEADLINE_EXCEEDED, or UNAVAILABLE (shutting down).
  absl::Status status() const;

 private:
  const Clock* clock_;
  absl::Time deadline_;
  const std::atomic<bool>* abandon_all_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_RPC_CANCELLATION_H_
