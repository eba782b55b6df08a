// Reports, once, a device computation that makes no progress.
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
    // Time since the computation last made progress. Must be thread-safe.
    std::function<absl::Duration()> silence;
    // Called once, on the watchdog's thread.
    std::function<void(absl::Duration silence)> on_stall;
  };

  // Starts a thread.
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
