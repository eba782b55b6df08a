#ifndef STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_
#define STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_

#include "base/clock.h"

namespace stylex {

// A clock that only changes when it is advanced. Not thread-safe.
class FakeClock : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration duration) { now_ += duration; }

 private:
  absl::Time now_ = absl::FromUnixSeconds(1'700'000'000);
};

}  // namespace stylex

#endif  // STYLEX_TESTS_SERVER_SCHEDULING_FAKE_CLOCK_H_
