#include "server/scheduling/stall_watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>

namespace stylex {
namespace {

TEST(StallWatchdogTest, TellsOnceWhenTheSilenceIsTooLong) {
  std::atomic<int64_t> silence_ms = 0;
  std::atomic<int> looks = 0, told = 0;
  std::promise<absl::Duration> stalled;
  StallWatchdog watchdog({.limit = absl::Milliseconds(20),
                          .silence =
                              [&] {
                                ++looks;
                                return absl::Milliseconds(silence_ms.load());
                              },
                          .on_stall =
                              [&](absl::Duration silence) {
                                ++told;
                                stalled.set_value(silence);
                              }});
  while (looks < 3) {
    std::this_thread::yield();
  }
  EXPECT_EQ(told, 0);
  silence_ms = 20;  // the limit itself is still good
  const int before = looks;
  while (looks < before + 3) {
    std::this_thread::yield();
  }
  EXPECT_EQ(told, 0);
  silence_ms = 21;
  EXPECT_EQ(stalled.get_future().get(), absl::Milliseconds(21));
  EXPECT_EQ(told, 1);
}

TEST(StallWatchdogTest, WantOfMemoryDelaysWhatItTells) {
  std::atomic<int> looks = 0, tries = 0;
  std::promise<void> stalled;
  StallWatchdog watchdog({.limit = absl::Milliseconds(20),
                          .silence =
                              [&] {
                                if (++looks < 3) {
                                  throw std::bad_alloc();
                                }
                                return absl::Hours(1);
                              },
                          .on_stall =
                              [&](absl::Duration) {
                                if (++tries < 3) {
                                  throw std::bad_alloc();
                                }
                                stalled.set_value();
                              }});
  stalled.get_future().get();
  EXPECT_EQ(tries, 3);
}

TEST(StallWatchdogTest, EndsAtOnceWithItsOwner) {
  StallWatchdog watchdog({.limit = absl::Hours(24),
                          .silence = [] { return absl::ZeroDuration(); },
                          .on_stall = [](absl::Duration) { ADD_FAILURE(); }});
}

}  // namespace
}  // namespace stylex
