// How calls share the memory for decoding images, and the ids that calls are known by.
#include "server/rpc/decoding_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/rpc/cancellation.h"
#include "server/rpc/request_id.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

TEST(DecodingMemoryShareTest, IsHeldUntilItIsDestroyed) {
  DecodingMemory memory(100);
  auto first = memory.Reserve(60);
  ASSERT_TRUE(first.ok()) << first.status();
  std::atomic<bool> had = false;
  std::thread second([&] {
    const auto share = memory.Reserve(60);
    had = share.ok();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(had) << "60 and 60 of 100";
  first = absl::CancelledError();
  second.join();
  EXPECT_TRUE(had);
}

TEST(DecodingMemoryShareTest, CopiesHoldItTogether) {
  DecodingMemory memory(100);
  std::shared_ptr<const void> copy;
  {
    const auto share = memory.Reserve(100);
    ASSERT_TRUE(share.ok());
    copy = *share;
  }
  std::promise<void> done;
  std::thread other([&] {
    EXPECT_TRUE(memory.Reserve(1).ok());
    done.set_value();
  });
  EXPECT_EQ(done.get_future().wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  copy.reset();
  other.join();
}

TEST(DecodingMemoryShareTest, WhatCanNeverFitIsSaidAtOnceWithBothFigures) {
  DecodingMemory memory(64 * kMebibyte);
  EXPECT_TRUE(memory.Reserve(64 * kMebibyte).ok());
  const absl::Status status = memory.Reserve(65 * kMebibyte).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("takes 66 MiB"));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("64 MiB"));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("--memory-budget-mib"));
}

TEST(DecodingMemoryShareTest, AnEndedCallDoesNotWait) {
  DecodingMemory memory(100);
  const auto all = memory.Reserve(100);
  ASSERT_TRUE(all.ok());
  FakeClock clock;
  Cancellation call(&clock, clock.Now() + absl::Seconds(5));
  std::thread waiting([&] {
    const Cancellation::Scope scope(&call);
    EXPECT_EQ(memory.Reserve(1).status().code(), absl::StatusCode::kCancelled);
  });
  clock.Advance(absl::Seconds(6));
  waiting.join();
}

TEST(DecodingMemoryShareTest, ACancelledCallDoesNotWait) {
  DecodingMemory memory(100);
  const auto all = memory.Reserve(100);
  ASSERT_TRUE(all.ok());
  FakeClock clock;
  Cancellation call(&clock, absl::InfiniteFuture());
  std::thread waiting([&] {
    const Cancellation::Scope scope(&call);
    EXPECT_EQ(memory.Reserve(50).status().code(), absl::StatusCode::kCancelled);
  });
  call.Cancel();
  waiting.join();
  // Whoever gave up does not stand in the line any more.
  EXPECT_FALSE(memory.Reserve(101).ok());
}

TEST(RequestIdTest, IsSixteenHexadecimalDigits) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(RandomRequestId(), testing::MatchesRegex("[0-9a-f]+"));
    EXPECT_EQ(RandomRequestId().size(), 16);
  }
}

// Calls of several threads are told apart by it.
TEST(RequestIdTest, ThreadsDoNotDrawTheSame) {
  constexpr int kThreads = 4, kEach = 500;
  std::vector<std::vector<std::string>> drawn(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<std::string>& own : drawn) {
    threads.emplace_back([&own] {
      for (int i = 0; i < kEach; ++i) {
        own.push_back(RandomRequestId());
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  std::set<std::string> all;
  for (const std::vector<std::string>& own : drawn) {
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), kThreads * kEach);
}

}  // namespace
}  // namespace stylex
