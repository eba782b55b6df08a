#ifndef STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_
#define STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_

#include <atomic>

#include "base/clock.h"

namespace stylex {

// A clock that only changes when it is advanced. Thread-safe.
class FakeClock : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixNanos(now_ns_); }
  void Advance(absl::Duration duration) { now_ns_ += absl::ToInt64Nanoseconds(duration); }

 private:
  std::atomic<int64_t> now_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_
