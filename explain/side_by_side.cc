#include "explain/side_by_side.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "base/exceptions.h"
#include "base/mutex.h"

namespace stylex {
namespace {

// Polling interval of a resting thread; shorter than a piece of work.
constexpr std::chrono::milliseconds kLookUp(1);
// Brief pieces that are not worth a thread that rests first, for which the others would wait.
constexpr int64_t kFewPieces = 4;
// Of many resting threads, those that are far from their turn look less often.
constexpr int kMostPatience = 16;

}  // namespace

absl::Status SideBySide(int64_t count, bool parallel, const SearchControl& control,
                        const std::function<absl::Status(int64_t i, const GiveWay& within)>& work,
                        Pieces pieces) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<bool> stopped = false;
  std::atomic<bool> asking = false;
  const GiveWay within = [&] {
    if (std::this_thread::get_id() != caller) {
      asking.wait(true);
    } else if (control.give_way) {
      asking = true;
      // Others wait for the answer, also when there is none.
      const absl::Cleanup answered = [&asking] {
        asking = false;
        asking.notify_all();
      };
      if (!control.give_way()) {
        stopped = true;
      }
    }
    return !stopped.load();
  };
  std::atomic<int64_t> next = 0;
  Mutex mutex;
  absl::Status first_failure;
  const auto allowed = [&control, threads = at::get_num_threads()] {
    return control.cores == nullptr ? threads : control.cores->CoresOfEach(threads);
  };
  // Takes the next piece. The last threads rest first while their cores are others'; the first
  // thread is the caller's, which gives way.
  const auto take = [&] {
    const int thread = at::get_thread_num();
    for (int most = allowed(); thread > 0 && thread >= most && next < count; most = allowed()) {
      std::this_thread::sleep_for(kLookUp * std::min(1 + thread - most, kMostPatience));
    }
    return next++;
  };
  const auto run = [&] {
    for (int64_t i = take(); i < count; i = take()) {
      const absl::Status status = WithoutExceptions([&] {
        return within() ? work(i, within) : absl::CancelledError("the search was cancelled");
      });
      if (!status.ok()) {
        const MutexLock lock(&mutex);
        first_failure.Update(status);
        next = count;
        stopped = true;
      }
    }
  };
  if (parallel && pieces == Pieces::kBrief && count <= kFewPieces && allowed() == 1) {
    OnOneCore(run);
  } else if (parallel) {
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
