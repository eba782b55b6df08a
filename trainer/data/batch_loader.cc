#include "trainer/data/batch_loader.h"

#include <torch/types.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exceptions.h"
#include "base/status_macros.h"
#include "image/resize.h"
#include "models/pixels.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

// Purposes of random numbers, see SeedFor.
constexpr uint64_t kAugmentation = 12;

constexpr int64_t kToleratedUnreadable = 3;
constexpr double kToleratedShare = 0.01;

// Uniform in [0, n), the same on every platform (std::uniform_int_distribution is not).
uint64_t Below(std::mt19937_64& random, uint64_t n) { return random() % n; }

Bitmap Shift(const Bitmap& bitmap, int dx, int dy) {
  Bitmap shifted = Bitmap::Make(bitmap.width, bitmap.height, bitmap.channels);
  for (int y = 0; y < bitmap.height; ++y) {
    for (int x = 0; x < bitmap.width; ++x) {
      const int from_x = std::clamp(x - dx, 0, bitmap.width - 1);
      const int from_y = std::clamp(y - dy, 0, bitmap.height - 1);
      std::copy_n(bitmap.pixel(from_x, from_y), bitmap.channels, shifted.pixel(x, y));
    }
  }
  return shifted;
}

// Turned to the left by so many quarter turns: pixels change places, none is interpolated.
Bitmap Turn(const Bitmap& bitmap, uint64_t quarters) {
  Bitmap turned = bitmap;
  for (uint64_t turn = 0; turn < quarters; ++turn) {
    const Bitmap before = std::move(turned);
    turned = Bitmap::Make(before.height, before.width, before.channels);
    for (int y = 0; y < turned.height; ++y) {
      for (int x = 0; x < turned.width; ++x) {
        std::copy_n(before.pixel(before.width - 1 - y, x), before.channels, turned.pixel(x, y));
      }
    }
  }
  return turned;
}

Bitmap Augment(Bitmap bitmap, const BatchLoaderOptions& options, uint64_t sample) {
  std::mt19937_64 random(SeedFor(options.seed, sample, kAugmentation));
  if (options.horizontal_flip && Below(random, 2) == 1) {
    bitmap = FlipHorizontal(bitmap);
  }
  if (options.rotations) {
    bitmap = Turn(bitmap, Below(random, 4));
  }
  if (const int most = options.shift_pixels; most > 0) {
    const uint64_t span = static_cast<uint64_t>(2 * most + 1);
    const int dx = static_cast<int>(Below(random, span)) - most;
    const int dy = static_cast<int>(Below(random, span)) - most;
    bitmap = Shift(bitmap, dx, dy);
  }
  return bitmap;
}

torch::Tensor ToTensor(const std::vector<int64_t>& values) {
  return torch::tensor(values, torch::kInt64);
}

}  // namespace

bool TooManyUnreadable(int64_t count, int64_t images) {
  return count > kToleratedUnreadable &&
         static_cast<double>(count) > kToleratedShare * static_cast<double>(images);
}

BatchLoader::BatchLoader(const Dataset& dataset, const BatchLoaderOptions& options,
                         std::function<void(const std::string&)> warn)
    : dataset_(dataset),
      options_(options),
      warn_(std::move(warn)),
      next_to_make_(options.start_step),
      next_to_give_(options.start_step) {
  for (int i = 0; i < std::max(1, options.threads); ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

BatchLoader::~BatchLoader() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

absl::StatusOr<Batch> BatchLoader::Next() {
  absl::StatusOr<Batch> batch = absl::UnknownError("");
  {
    MutexLock lock(&mutex_);
    while (!ready_.contains(next_to_give_)) {
      changed_.Wait(&mutex_);
    }
    auto node = ready_.extract(next_to_give_++);
    batch = std::move(node.mapped());
  }
  changed_.NotifyAll();
  return batch;
}

void BatchLoader::Work() {
  while (true) {
    int64_t step = 0;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && next_to_make_ >= next_to_give_ + options_.ahead) {
        changed_.Wait(&mutex_);
      }
      if (stopping_) {
        return;
      }
      step = next_to_make_++;
    }
    absl::StatusOr<Batch> batch = WithoutExceptions([&] { return MakeBatch(step); });
    {
      MutexLock lock(&mutex_);
      ready_.emplace(step, std::move(batch));
    }
    changed_.NotifyAll();
  }
}

int64_t BatchLoader::IndexOf(int64_t sample) {
  const int64_t n = dataset_.size(Split::kTrain);
  const int64_t epoch = sample / n;
  MutexLock lock(&mutex_);
  auto found = epochs_.find(epoch);
  if (found == epochs_.end()) {
    found = epochs_.emplace(epoch, EpochOrder(n, options_.seed, epoch)).first;
    epochs_.erase(epochs_.begin(), epochs_.lower_bound(epoch - 1));
  }
  return found->second[static_cast<size_t>(sample % n)];
}

absl::Status BatchLoader::NoteUnreadable(int64_t index, const absl::Status& status) {
  const int64_t n = dataset_.size(Split::kTrain);
  MutexLock lock(&mutex_);
  if (unreadable_.emplace(index, status.message()).second) {
    warn_(absl::StrCat("left out: ", status.message()));
  }
  const int64_t count = static_cast<int64_t>(unreadable_.size());
  if (TooManyUnreadable(count, n)) {
    return absl::DataLossError(absl::StrCat(
        count, " of ", n, " training images cannot be read, e.g. ", unreadable_.begin()->second));
  }
  return absl::OkStatus();
}

absl::StatusOr<Bitmap> BatchLoader::LoadReadable(int64_t* index) {
  const int64_t n = dataset_.size(Split::kTrain);
  for (int64_t tried = 0; tried < n; ++tried) {
    absl::StatusOr<Bitmap> bitmap = dataset_.Load(Split::kTrain, *index);
    if (bitmap.ok()) {
      return bitmap;
    }
    STYLEX_RETURN_IF_ERROR(NoteUnreadable(*index, bitmap.status()));
    *index = (*index + 1) % n;
  }
  return absl::DataLossError("no training image can be read");
}

absl::StatusOr<Batch> BatchLoader::MakeBatch(int64_t step) {
  std::vector<Bitmap> bitmaps;
  std::vector<int64_t> labels;
  std::vector<int64_t> indices;
  for (int64_t b = 0; b < options_.batch_size; ++b) {
    const int64_t sample = step * options_.batch_size + b;
    int64_t index = IndexOf(sample);
    STYLEX_ASSIGN_OR_RETURN(Bitmap bitmap, LoadReadable(&index));
    bitmaps.push_back(Augment(std::move(bitmap), options_, static_cast<uint64_t>(sample)));
    labels.push_back(dataset_.label(Split::kTrain, index));
    indices.push_back(index);
  }
  return Batch{step, BitmapsToTensor(bitmaps), ToTensor(labels), ToTensor(indices)};
}

absl::Status ForEachBatch(const Dataset& dataset, Split split, int64_t batch_size, int64_t limit,
                          const std::function<void(const std::string&)>& warn,
                          const std::function<absl::Status(const Batch&)>& visit) {
  const int64_t n = limit > 0 ? std::min(limit, dataset.size(split)) : dataset.size(split);
  int64_t step = 0;
  std::string first_unreadable;
  for (int64_t start = 0; start < n; start += batch_size) {
    std::vector<Bitmap> bitmaps;
    std::vector<int64_t> labels;
    std::vector<int64_t> indices;
    for (int64_t index = start; index < std::min(n, start + batch_size); ++index) {
      absl::StatusOr<Bitmap> bitmap = dataset.Load(split, index);
      if (!bitmap.ok()) {
        warn(absl::StrCat("left out: ", bitmap.status().message()));
        if (first_unreadable.empty()) {
          first_unreadable = std::string(bitmap.status().message());
        }
        continue;
      }
      bitmaps.push_back(*std::move(bitmap));
      labels.push_back(dataset.label(split, index));
      indices.push_back(index);
    }
    if (!bitmaps.empty()) {
      STYLEX_RETURN_IF_ERROR(
          visit(Batch{step++, BitmapsToTensor(bitmaps), ToTensor(labels), ToTensor(indices)}));
    }
  }
  if (step == 0) {
    return absl::DataLossError(absl::StrCat("not one of ", n,
                                            split == Split::kTrain ? " training" : " validation",
                                            " images can be read, e.g. ", first_unreadable));
  }
  return absl::OkStatus();
}

}  // namespace stylex
