// Memory that several threads share: each takes what it is going to need before it allocates.
//
// Counts bytes; allocates nothing. Shares are given in the order in which they were asked for, so
// that large ones do not starve. A thread must hold at most one share of a budget, and none while
// it waits for anything else: otherwise threads would wait for each other. Thread-safe.
#ifndef STYLEX_SERVER_SCHEDULING_MEMORY_BUDGET_H_
#define STYLEX_SERVER_SCHEDULING_MEMORY_BUDGET_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

#include "base/mutex.h"

namespace stylex {

class MemoryBudget {
 public:
  explicit MemoryBudget(int64_t bytes) : bytes_(bytes) {}
  // At destruction no share may exist.
  ~MemoryBudget() = default;
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Bytes taken from a budget, which are given back at destruction.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (budget_ != nullptr) {
        budget_->GiveBack(bytes_);
      }
    }

   private:
    friend class MemoryBudget;
    Share(MemoryBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}
    MemoryBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

  int64_t bytes() const { return bytes_; }
  // Whether a share of this size can ever be had.
  bool Fits(int64_t bytes) const { return bytes <= bytes_; }

  // A share if it is free now and nobody waits.
  std::optional<Share> TryTake(int64_t bytes);
  // Waits for a share, which must fit; none if `wanted` (fast, thread-safe), which is asked now and
  // then, says false.
  std::optional<Share> Take(int64_t bytes, const std::function<bool()>& wanted);

  int64_t used() const;
  size_t waiting() const;

 private:
  void GiveBack(int64_t bytes);

  const int64_t bytes_;
  mutable Mutex mutex_;
  CondVar changed_;
  int64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<const int64_t*> line_ ABSL_GUARDED_BY(mutex_);  // who waits, first one first
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_MEMORY_BUDGET_H_
