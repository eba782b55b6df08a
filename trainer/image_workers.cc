#include "trainer/image_workers.h"

#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/mutex.h"
#include "base/status_macros.h"

namespace stylex {

absl::Status OnEachImage(const Dataset& dataset, Split split, const std::vector<int64_t>& order,
                         int workers, const std::string& title, Run* run,
                         const std::function<absl::Status(const Bitmap& image, size_t i)>& work) {
  std::atomic<size_t> next = 0;
  Mutex mutex;
  absl::Status failure;
  int64_t done = 0;
  run->StartProgress(title, 0, static_cast<int64_t>(order.size()));
  const auto loop = [&] {
    if (workers > 1) {
      torch::set_num_threads(1);
    }
    torch::NoGradGuard no_grad;
    for (size_t i = next++; i < order.size(); i = next++) {
      const absl::StatusOr<Bitmap> bitmap = dataset.Load(split, order[i]);
      const absl::Status status = bitmap.ok() ? work(*bitmap, i) : absl::OkStatus();
      MutexLock lock(&mutex);
      if (!bitmap.ok()) {
        run->Warn("left out: " + std::string(bitmap.status().message()));
      }
      if (!status.ok()) {
        failure.Update(status);
        next = order.size();
        return;
      }
      run->Progress(++done, "");
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
  run->EndProgress();
  return absl::OkStatus();
}

}  // namespace stylex
