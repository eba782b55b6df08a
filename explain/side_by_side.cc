#include "explain/side_by_side.h"

#include <ATen/Parallel.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "absl/time/clock.h"
#include "base/mutex.h"

namespace stylex {
namespace {

// Polling interval of a resting thread; shorter than a piece of work.
constexpr std::chrono::milliseconds kLookUp(1);

// Time until which one core is left to others, in nanoseconds of absl's clock.
std::atomic<int64_t> core_left_until = 0;

bool CoreIsLeft() {
  return absl::GetCurrentTimeNanos() < core_left_until.load(std::memory_order_relaxed);
}

}  // namespace

void LeaveACoreFor(absl::Duration time) {
  core_left_until.store(absl::GetCurrentTimeNanos() + absl::ToInt64Nanoseconds(time),
                        std::memory_order_relaxed);
}

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
  // Takes the next piece. The last thread rests first while a core is left to others; the first
  // thread is the caller's, which polls `cancelled`.
  const auto take = [&] {
    const int thread = at::get_thread_num();
    const bool rests = thread > 0 && thread == at::get_num_threads() - 1;
    while (rests && CoreIsLeft() && next < count) {
      std::this_thread::sleep_for(kLookUp);
    }
    return next++;
  };
  const auto run = [&] {
    for (int64_t i = take(); i < count; i = take()) {
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
