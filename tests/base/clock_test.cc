#include "base/clock.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

#include "absl/time/clock.h"

namespace {
std::atomic<int64_t> wall_step_s = 0;
}  // namespace

// Takes the place of the C library's, so that the test can set the date.
extern "C" int clock_gettime(clockid_t clock, timespec* time) {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_REALTIME) {
    time->tv_sec += wall_step_s;
  }
  return result;
}

namespace stylex {
namespace {

TEST(ClockTest, AStepOfTheDateIsNoTime) {
  const absl::Time before = Clock::Real().Now();
  const absl::Time date_before = absl::Now();
  for (const int64_t step : {7200, -7200}) {
    wall_step_s = step;
    const absl::Duration passed = Clock::Real().Now() - before;
    EXPECT_GE(passed, absl::ZeroDuration());
    EXPECT_LT(passed, absl::Minutes(10));
  }
  wall_step_s = 7200;
  EXPECT_GT(absl::Now() - date_before, absl::Hours(1)) << "the test did not set the date";
  wall_step_s = 0;
}

}  // namespace
}  // namespace stylex
