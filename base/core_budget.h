// How many of the process's cores long computations may use at the moment.
#ifndef STYLEX_BASE_CORE_BUDGET_H_
#define STYLEX_BASE_CORE_BUDGET_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"

namespace stylex {

// Divides the cores among the long computations that run at a time, and reserves one for
// interactive answers for a given time; computations that were handed the budget look at it between
// their pieces. Thread-safe.
class CoreBudget {
 public:
  CoreBudget() = default;
  CoreBudget(const CoreBudget&) = delete;
  CoreBudget& operator=(const CoreBudget&) = delete;

  // From now on, and for this long, computations on several cores leave one to others.
  void LeaveACoreFor(absl::Duration time) {
    left_until_.store(absl::ToUnixNanos(Clock::Real().Now()) + absl::ToInt64Nanoseconds(time),
                      std::memory_order_relaxed);
  }
  // Whether a core is left to others at the moment.
  bool core_is_left() const {
    return absl::ToUnixNanos(Clock::Real().Now()) < left_until_.load(std::memory_order_relaxed);
  }
  // That many computations share the cores from now on.
  void Share(int computations) { sharers_.store(computations, std::memory_order_relaxed); }
  // Of `cores`, how many one computation may use at the moment; at least 1.
  int CoresOfEach(int cores) const {
    const int left = core_is_left() ? 1 : 0;
    return std::max(1, (cores - left) / std::max(1, sharers_.load(std::memory_order_relaxed)));
  }

 private:
  std::atomic<int64_t> left_until_ = 0;  // nanoseconds of Clock::Real()
  std::atomic<int> sharers_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_BASE_CORE_BUDGET_H_
