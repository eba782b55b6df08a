#include "base/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace stylex {
namespace {

// A one-element box that one thread fills and another empties.
class Mailbox {
 public:
  void Put(int value) {
    MutexLock lock(&mutex_);
    while (full_) {
      changed_.Wait(&mutex_);
    }
    value_ = value;
    full_ = true;
    changed_.NotifyAll();
  }

  int Take() {
    MutexLock lock(&mutex_);
    while (!full_) {
      changed_.Wait(&mutex_);
    }
    full_ = false;
    changed_.NotifyAll();
    return value_;
  }

  bool WaitUntilFull(std::chrono::nanoseconds timeout) {
    MutexLock lock(&mutex_);
    while (!full_) {
      if (!changed_.WaitFor(&mutex_, timeout)) {
        return full_;
      }
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(MutexTest, LocksExclude) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 2000;
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        MutexLock lock(&mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(count, kThreads * kRounds);
}

TEST(MutexTest, WaitingLetsTheOtherThreadIn) {
  constexpr int kLetters = 500;
  Mailbox mailbox;
  std::thread sender([&mailbox] {
    for (int i = 0; i < kLetters; ++i) {
      mailbox.Put(i);
    }
  });
  for (int i = 0; i < kLetters; ++i) {
    EXPECT_EQ(mailbox.Take(), i);
  }
  sender.join();
}

TEST(MutexTest, WaitForGivesUp) {
  Mailbox mailbox;
  EXPECT_FALSE(mailbox.WaitUntilFull(std::chrono::milliseconds(1)));
  mailbox.Put(1);
  EXPECT_TRUE(mailbox.WaitUntilFull(std::chrono::milliseconds(1)));
}

}  // namespace
}  // namespace stylex
