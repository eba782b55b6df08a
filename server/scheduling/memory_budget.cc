#include "server/scheduling/memory_budget.h"

#include <algorithm>
#include <chrono>

#include "absl/cleanup/cleanup.h"

namespace stylex {
namespace {

// How often a waiting thread asks whether its share is still wanted.
constexpr std::chrono::milliseconds kAskAgain(20);

}  // namespace

std::optional<MemoryBudget::Share> MemoryBudget::TryTake(int64_t bytes) {
  MutexLock lock(&mutex_);
  if (!line_.empty() || bytes > bytes_ - used_) {
    return std::nullopt;
  }
  used_ += bytes;
  return Share(this, bytes);
}

std::optional<MemoryBudget::Share> MemoryBudget::Take(int64_t bytes,
                                                      const std::function<bool()>& wanted) {
  MutexLock lock(&mutex_);
  line_.push_back(&bytes);
  const absl::Cleanup leave = [this, &bytes]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    line_.erase(std::find(line_.begin(), line_.end(), &bytes));
    changed_.NotifyAll();
  };
  while (line_.front() != &bytes || bytes > bytes_ - used_) {
    if (!wanted()) {
      return std::nullopt;
    }
    changed_.WaitFor(&mutex_, kAskAgain);
  }
  used_ += bytes;
  return Share(this, bytes);
}

void MemoryBudget::GiveBack(int64_t bytes) {
  MutexLock lock(&mutex_);
  used_ -= bytes;
  changed_.NotifyAll();
}

int64_t MemoryBudget::used() const {
  MutexLock lock(&mutex_);
  return used_;
}

size_t MemoryBudget::waiting() const {
  MutexLock lock(&mutex_);
  return line_.size();
}

}  // namespace stylex
