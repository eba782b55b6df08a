// Batches for the training loop, decoded in advance by worker threads.
#ifndef STYLEX_TRAINER_DATA_BATCH_LOADER_H_
#define STYLEX_TRAINER_DATA_BATCH_LOADER_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "trainer/data/dataset.h"

namespace stylex {

struct Batch {
  int64_t step = 0;
  torch::Tensor images;   // [N, C, R, R], float32 in [-1, 1]
  torch::Tensor labels;   // [N], int64
  torch::Tensor indices;  // [N], int64: positions in the split
};

struct BatchLoaderOptions {
  int64_t batch_size = 32;
  bool horizontal_flip = false;
  bool rotations = false;  // random quarter turns; with horizontal_flip all symmetries of a square
  int shift_pixels = 0;    // random shifts of at most this many pixels, edges repeated
  uint64_t seed = 0;
  int64_t start_step = 0;
  int threads = 1;
  int ahead = 8;  // batches kept ready
};

// Whether so many of a split's images cannot be read that they must not be left out: more than 1 %,
// and more than 3.
bool TooManyUnreadable(int64_t count, int64_t images);

// An endless stream over shuffled epochs of the training split. Batch number `step` is a function
// of (dataset, options.seed, step) alone, whatever the number of threads and the step at which the
// run started; a resumed run is therefore identical to one that never stopped.
//
// An unreadable image is named once in `warnings` and replaced by the next readable one; when more
// than 1 % of the images (and more than 3) are unreadable, Next fails. One consumer thread.
class BatchLoader {
 public:
  // `dataset` must outlive this; `warn` is called from worker threads.
  BatchLoader(const Dataset& dataset, const BatchLoaderOptions& options,
              std::function<void(const std::string&)> warn);
  ~BatchLoader();
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // The next batch, in the order of the steps; blocks until it is there.
  absl::StatusOr<Batch> Next();

 private:
  void Work();
  absl::StatusOr<Batch> MakeBatch(int64_t step);
  // Position in the split of the global sample number `sample`.
  int64_t IndexOf(int64_t sample);
  absl::StatusOr<Bitmap> LoadReadable(int64_t* index);
  absl::Status NoteUnreadable(int64_t index, const absl::Status& status);

  const Dataset& dataset_;
  const BatchLoaderOptions options_;
  const std::function<void(const std::string&)> warn_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t next_to_make_ ABSL_GUARDED_BY(mutex_);
  int64_t next_to_give_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, absl::StatusOr<Batch>> ready_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::vector<int64_t>> epochs_ ABSL_GUARDED_BY(mutex_);  // permutations
  std::map<int64_t, std::string> unreadable_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

// Calls `visit` with consecutive batches of a split, in order, at most `limit` images (0: all).
// Unreadable images are left out and named through `warn`; DATA_LOSS when not one can be read.
absl::Status ForEachBatch(const Dataset& dataset, Split split, int64_t batch_size, int64_t limit,
                          const std::function<void(const std::string&)>& warn,
                          const std::function<absl::Status(const Batch&)>& visit);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_BATCH_LOADER_H_
