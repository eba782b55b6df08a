// Looks whether the one that computes still gives signs of life; tells once when it does not.
#ifndef STYLEX_SERVER_SCHEDULING_STALL_WATCHDOG_H_
#define STYLEX_SERVER_SCHEDULING_STALL_WATCHDOG_H_

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace stylex {

class StallWatchdog {
 public:
  struct Options {
    absl::Duration limit = absl::Seconds(120);
    // How long nothing was heard of the one that computes. Thread-safe.
    std::function<absl::Duration()> silence;
    // Called once, on the watchdog's thread.
    std::function<void(absl::Duration silence)> on_stall;
  };

  explicit StallWatchdog(Options options);
  ~StallWatchdog();
  StallWatchdog(const StallWatchdog&) = delete;
  StallWatchdog& operator=(const StallWatchdog&) = delete;

 private:
  void Watch();

  const Options options_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_STALL_WATCHDOG_H_
