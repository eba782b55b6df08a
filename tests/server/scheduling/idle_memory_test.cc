// What is freed is returned while nothing is to be done, and not while something is.
#include "server/scheduling/idle_memory.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

namespace stylex {
namespace {

// Waits up to ten seconds.
template <typename Condition>
bool Eventually(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

TEST(IdleMemoryTest, LooksAgainAndAgainAndStopsAtOnce) {
  std::atomic<int> looks = 0;
  {
    const IdleMemory memory({.idle =
                                 [&looks] {
                                   ++looks;
                                   return false;
                                 },
                             .interval = absl::Milliseconds(1)});
    EXPECT_TRUE(Eventually([&looks] { return looks >= 5; }));
  }
  const int at_the_end = looks;
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(looks, at_the_end) << "its thread outlived it";
}

TEST(IdleMemoryTest, WantOfMemoryDoesNotEndTheLooks) {
  std::atomic<int> looks = 0;
  const IdleMemory memory({.idle = [&looks]() -> bool {
                             ++looks;
                             throw std::bad_alloc();
                           },
                           .interval = absl::Milliseconds(1)});
  EXPECT_TRUE(Eventually([&looks] { return looks >= 5; }));
}

TEST(IdleMemoryTest, DestructionDoesNotWaitForTheInterval) {
  const auto before = std::chrono::steady_clock::now();
  {
    const IdleMemory memory({.idle = [] { return true; }, .interval = absl::Hours(1)});
  }
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

TEST(ResidentBytesTest, GrowsWithWhatIsWritten) {
  constexpr size_t kBytes = size_t{32} << 20;
  const int64_t before = ResidentBytes();
  EXPECT_GT(before, 0);
  std::vector<char> block(kBytes);
  std::memset(block.data(), 1, kBytes);
  asm volatile("" : : "r"(block.data()) : "memory");
  EXPECT_GT(ResidentBytes() - before, static_cast<int64_t>(kBytes) / 2);
}

#if defined(__GLIBC__) && !defined(STYLEX_SANITIZED)

// Many small blocks, which the heap keeps when they are freed; the last one keeps it from shrinking
// by itself.
class Fragments {
 public:
  Fragments() {
    for (int i = 0; i < kBlocks; ++i) {
      blocks_.push_back(malloc(kBytes));
      memset(blocks_.back(), 1, kBytes);
    }
  }
  ~Fragments() { free(blocks_.back()); }
  void FreeAllButTheLast() {
    for (int i = 0; i + 1 < kBlocks; ++i) {
      free(blocks_[static_cast<size_t>(i)]);
    }
  }
  static constexpr int64_t kTotal = int64_t{32} << 20;

 private:
  static constexpr size_t kBytes = 32 << 10;
  static constexpr int kBlocks = static_cast<int>(kTotal / kBytes);
  std::vector<void*> blocks_;
};

TEST(IdleMemoryTest, FreedMemoryIsReturnedOnceNothingIsToBeDone) {
  std::atomic<bool> idle = false;
  Fragments fragments;
  fragments.FreeAllButTheLast();
  const int64_t kept = ResidentBytes();
  const IdleMemory memory({.idle = [&idle] { return idle.load(); },
                           .interval = absl::Milliseconds(1),
                           .growth = 1 << 20});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GT(ResidentBytes(), kept - Fragments::kTotal / 2) << "returned while there was work";
  idle = true;
  EXPECT_TRUE(Eventually([kept] { return ResidentBytes() < kept - Fragments::kTotal / 2; }));
}

#endif

}  // namespace
}  // namespace stylex
