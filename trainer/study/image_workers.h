// Runs a function on many single images in parallel, for measurements that search on each image.
#ifndef STYLEX_TRAINER_STUDY_IMAGE_WORKERS_H_
#define STYLEX_TRAINER_STUDY_IMAGE_WORKERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "image/bitmap.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"

namespace stylex {

// Calls work(i) once for every 0 <= i < count from `workers` threads, with gradients disabled; if
// there is more than one worker, each uses a single LibTorch thread. Stops at the first error.
// Progress is shown under `title`.
absl::Status OnEach(int64_t count, int workers, const std::string& title, Progress* progress,
                    const std::function<absl::Status(int64_t i)>& work);

// As OnEach, calls `work` once for every readable image of `order` (positions in the split), with
// its place in `order`. Unreadable images are named in warnings and left out.
absl::Status OnEachImage(const Dataset& dataset, Split split, const std::vector<int64_t>& order,
                         int workers, const std::string& title, Progress* progress,
                         const std::function<absl::Status(const Bitmap& image, size_t i)>& work);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_IMAGE_WORKERS_H_
