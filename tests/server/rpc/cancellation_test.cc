#include "server/rpc/cancellation.h"

#include <gtest/gtest.h>

#include "server/rpc/errors.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

TEST(CancellationTest, WantedUntilTheDeadline) {
  FakeClock clock;
  const Cancellation cancellation(&clock, clock.Now() + absl::Seconds(2));
  EXPECT_TRUE(cancellation.status().ok());
  clock.Advance(absl::Seconds(1));
  EXPECT_FALSE(cancellation.stopped());
  clock.Advance(absl::Seconds(1));
  EXPECT_TRUE(cancellation.stopped());
  EXPECT_EQ(cancellation.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(CancellationTest, CancelStops) {
  FakeClock clock;
  Cancellation cancellation(&clock, absl::InfiniteFuture());
  cancellation.Cancel();
  EXPECT_EQ(cancellation.status().code(), absl::StatusCode::kCancelled);
}

TEST(CancellationTest, ADeadlineIsToldAsOneThoughGrpcCancelsToo) {
  FakeClock clock;
  Cancellation cancellation(&clock, clock.Now() + absl::Seconds(1));
  clock.Advance(absl::Seconds(1));
  cancellation.Cancel();
  EXPECT_EQ(cancellation.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(CancellationTest, AServerThatEndsStopsAllCalls) {
  FakeClock clock;
  std::atomic<bool> abandon_all = false;
  const Cancellation cancellation(&clock, absl::InfiniteFuture(), &abandon_all);
  EXPECT_FALSE(cancellation.stopped());
  abandon_all = true;
  EXPECT_EQ(cancellation.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(RetryDelay(cancellation.status()).has_value());
}

}  // namespace
}  // namespace stylex
