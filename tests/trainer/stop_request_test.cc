#include "trainer/stop_request.h"

#include <gtest/gtest.h>

#include <csignal>

namespace stylex {
namespace {

int others_signals = 0;
void CountSignal(int) { ++others_signals; }

TEST(StopRequestTest, EitherSignalAsksAndDoesNotEndTheProcess) {
  for (const int number : {SIGTERM, SIGINT}) {
    const StopRequest stop;
    EXPECT_FALSE(stop.requested());
    ASSERT_EQ(std::raise(number), 0);
    EXPECT_TRUE(stop.requested());
    ASSERT_EQ(std::raise(number), 0) << "again, from somebody impatient";
    EXPECT_TRUE(stop.requested());
  }
}

TEST(StopRequestTest, ANewOneWasNotAsked) {
  {
    const StopRequest stop;
    std::raise(SIGTERM);
    EXPECT_TRUE(stop.requested());
  }
  EXPECT_FALSE(StopRequest().requested());
}

// Whoever handled the signals before does so again.
TEST(StopRequestTest, OldHandlersComeBack) {
  const auto before = std::signal(SIGTERM, CountSignal);
  others_signals = 0;
  {
    const StopRequest stop;
    std::raise(SIGTERM);
    EXPECT_EQ(others_signals, 0);
  }
  std::raise(SIGTERM);
  EXPECT_EQ(others_signals, 1);
  std::signal(SIGTERM, before);
}

}  // namespace
}  // namespace stylex
