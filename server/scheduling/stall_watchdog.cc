#include "server/scheduling/stall_watchdog.h"

#include <algorithm>
#include <utility>

#include "base/exceptions.h"

namespace stylex {

StallWatchdog::StallWatchdog(Options options) : options_(std::move(options)) {
  thread_ = std::thread([this] { Watch(); });
}

StallWatchdog::~StallWatchdog() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void StallWatchdog::Watch() {
  const absl::Duration interval = std::min(options_.limit / 4, absl::Seconds(1));
  MutexLock lock(&mutex_);
  bool told = false;
  while (!stopping_) {
    // What has no memory is tried again.
    WithoutExceptions([&] {
      const absl::Duration silence = options_.silence();
      if (silence > options_.limit) {
        options_.on_stall(silence);
        told = true;
      }
      return absl::OkStatus();
    }).IgnoreError();
    if (told) {
      return;
    }
    wake_.WaitFor(&mutex_, absl::ToChronoNanoseconds(interval));
  }
}

}  // namespace stylex
