// Ctrl-C as an event: the program stops what it does in an orderly way, instead of ending at once.
#ifndef STYLEX_CLIENT_INTERRUPT_H_
#define STYLEX_CLIENT_INTERRUPT_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"

namespace stylex {

// While it exists, the given signals call `stop`, on a separate thread (cancelling calls takes
// locks, and must not happen in a signal handler), instead of ending the program. Must be created
// before the channel: threads inherit the signal mask.
class Interrupt {
 public:
  // With `patient`, a second signal ends the program at once.
  Interrupt(const std::vector<int>& signals, std::function<void()> stop, bool patient = false);
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();

  // The first signal that came; 0: none yet.
  int signal() const { return signal_; }

 private:
  sigset_t signals_;
  sigset_t old_mask_;
  std::atomic<int> signal_ = 0;
  std::jthread waiter_;
};

// The status of a command that a signal ended after it had written what there was.
absl::Status InterruptedBy(int signal);
// The exit code of a command's status: 0, 1, or 128 and the signal that ended it.
int ExitCodeOf(const absl::Status& status);

// Calls in flight that are cancelled together. Thread-safe.
class RunningCalls {
 public:
  // Cancels all calls that run, and those that will be added.
  void CancelAll();
  // Whether CancelAll was called.
  bool cancelled() const { return cancelled_; }

  // A call, from before it starts until it has ended.
  class Call {
   public:
    // Both must outlive it.
    Call(RunningCalls* calls, grpc::ClientContext* context);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    RunningCalls& calls_;
    grpc::ClientContext* const context_;
  };

 private:
  Mutex mutex_;
  std::atomic<bool> cancelled_ = false;
  std::set<grpc::ClientContext*> contexts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_INTERRUPT_H_
