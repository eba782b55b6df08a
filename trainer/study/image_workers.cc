#include "trainer/study/image_workers.h"

#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/exceptions.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace stylex {

absl::Status OnEach(int64_t count, int workers, const std::string& title, Progress* progress,
                    const std::function<absl::Status(int64_t i)>& work) {
  std::atomic<int64_t> next = 0;
  Mutex mutex;
  absl::Status failure;
  int64_t done = 0;
  progress->Start(title, 0, count);
  const auto work_on_each = [&]() -> absl::Status {
    if (workers > 1) {
      torch::set_num_threads(1);
    }
    torch::NoGradGuard no_grad;
    for (int64_t i = next++; i < count; i = next++) {
      STYLEX_RETURN_IF_ERROR(work(i));
      MutexLock lock(&mutex);
      progress->Advance(++done, "");
    }
    return absl::OkStatus();
  };
  const auto loop = [&] {
    const absl::Status status = WithoutExceptions(work_on_each);
    if (!status.ok()) {
      MutexLock lock(&mutex);
      failure.Update(status);
      next = count;
    }
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < std::max(1, workers); ++w) {
    threads.emplace_back(loop);
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  STYLEX_RETURN_IF_ERROR(failure);
  progress->End();
  return absl::OkStatus();
}

absl::Status OnEachImage(const Dataset& dataset, Split split, const std::vector<int64_t>& order,
                         int workers, const std::string& title, Progress* progress,
                         const std::function<absl::Status(const Bitmap& image, size_t i)>& work) {
  return OnEach(static_cast<int64_t>(order.size()), workers, title, progress,
                [&](int64_t i) -> absl::Status {
                  const size_t place = static_cast<size_t>(i);
                  const absl::StatusOr<Bitmap> bitmap = dataset.Load(split, order[place]);
                  if (!bitmap.ok()) {
                    progress->Warn("left out: " + std::string(bitmap.status().message()));
                    return absl::OkStatus();
                  }
                  return work(*bitmap, place);
                });
}

}  // namespace stylex
