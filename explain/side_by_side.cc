#include "explain/side_by_side.h"

#include <ATen/Parallel.h>

#include <atomic>
#include <thread>

#include "base/mutex.h"

namespace stylex {

absl::Status SideBySide(int64_t count, bool parallel, const Cancelled& cancelled,
                        const std::function<absl::Status(int64_t i, const Cancelled& stop)>& work) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> stopped = false;
  std::atomic<bool> asking = false;
  const Cancelled stop = [&] {
    if (std::this_thread::get_id() != caller) {
      asking.wait(true);
    } else if (cancelled) {
      asking = true;
      if (cancelled()) {
        stopped = true;
      }
      asking = false;
      asking.notify_all();
    }
    return stopped.load();
  };
  std::atomic<int64_t> next = 0;
  Mutex mutex;
  absl::Status first_failure;
  const auto run = [&] {
    for (int64_t i = next++; i < count; i = next++) {
      const absl::Status status =
          stop() ? absl::CancelledError("the search was cancelled") : work(i, stop);
      if (!status.ok()) {
        const MutexLock lock(&mutex);
        first_failure.Update(status);
        next = count;
        stopped = true;
      }
    }
  };
  if (parallel) {
    at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) { run(); });
  } else {
    run();
  }
  return first_failure;
}

void OnOneCore(const std::function<void()>& work) {
  const std::thread::id caller = std::this_thread::get_id();
  at::parallel_for(0, at::get_num_threads(), 1, [&](int64_t, int64_t) {
    if (std::this_thread::get_id() == caller) {
      work();
    }
  });
}

}  // namespace stylex
