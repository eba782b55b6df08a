// Tests the scheduler with networks that block until released, so that tests control the order of
// events.
#include "server/scheduling/device_scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <new>
#include <stdexcept>

#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;

bool Always() { return true; }

// Records events in order.
class Record {
 public:
  void Add(const std::string& event) {
    MutexLock lock(&mutex_);
    events_.push_back(event);
  }
  std::vector<std::string> events() {
    MutexLock lock(&mutex_);
    return events_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> events_;
};

// Doubles numbers; the number 13 makes the whole batch fail.
class DoublingPass : public BatchedPass {
 public:
  explicit DoublingPass(Record* record = nullptr) : record_(record) {}
  const char* stage() const override { return "double"; }
  void Run(std::span<void* const> items) override {
    sizes.push_back(items.size());
    if (record_ != nullptr) {
      record_->Add("batch of " + std::to_string(items.size()));
    }
    for (void* item : items) {
      if (*static_cast<int*>(item) == 13) {
        throw std::runtime_error("13");
      }
    }
    for (void* item : items) {
      *static_cast<int*>(item) *= 2;
    }
  }
  std::vector<size_t> sizes;

 private:
  Record* const record_;
};

DeviceScheduler::Options FullBatchesOf(size_t size) {
  return {.batches = {.max_batch = size, .max_delay = absl::InfiniteDuration()}};
}

void AwaitInteractive(const DeviceScheduler& scheduler, size_t waiting) {
  while (scheduler.interactive_waiting() < waiting) {
    std::this_thread::yield();
  }
}
void AwaitBulk(const DeviceScheduler& scheduler, size_t waiting) {
  while (scheduler.bulk_waiting() < waiting) {
    std::this_thread::yield();
  }
}

TEST(DeviceSchedulerTest, RequestsShareABatchAndEachGetsItsOwnAnswer) {
  DoublingPass pass;
  DeviceScheduler scheduler(FullBatchesOf(4), &Clock::Real());
  std::vector<int> items = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<std::thread> clients;
  for (int& item : items) {
    clients.emplace_back([&] { EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok()); });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  EXPECT_THAT(items, ElementsAre(2, 4, 6, 8, 10, 12, 14, 16));
  EXPECT_THAT(pass.sizes, ElementsAre(4, 4));
}

TEST(DeviceSchedulerTest, OneBadItemFailsAlone) {
  DoublingPass pass;
  DeviceScheduler scheduler(FullBatchesOf(4), &Clock::Real());
  std::vector<int> items = {1, 13, 3, 4};
  std::vector<std::thread> clients;
  for (int& item : items) {
    clients.emplace_back([&, bad = item == 13] {
      if (bad) {
        EXPECT_THROW(scheduler.Compute(&pass, &item, Always).IgnoreError(), std::runtime_error);
      } else {
        EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok());
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  EXPECT_THAT(items, ElementsAre(2, 13, 6, 8));
}

TEST(DeviceSchedulerTest, WhatNobodyWantsAnyMoreIsDroppedUncomputed) {
  DoublingPass pass;
  DeviceScheduler scheduler({}, &Clock::Real());
  DeviceScheduler::Turn turn(&scheduler, Always);  // holds the device until both wait
  ASSERT_TRUE(turn.active());
  std::atomic<bool> wanted = true;
  int dropped = 1, kept = 1;
  std::thread first([&] {
    const absl::Status status = scheduler.Compute(&pass, &dropped, [&] { return wanted.load(); });
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
  });
  std::thread second([&] { EXPECT_TRUE(scheduler.Compute(&pass, &kept, Always).ok()); });
  AwaitInteractive(scheduler, 2);
  wanted = false;
  turn.End();
  first.join();
  second.join();
  EXPECT_EQ(dropped, 1);
  EXPECT_EQ(kept, 2);
  EXPECT_THAT(pass.sizes, ElementsAre(1));
}

TEST(DeviceSchedulerTest, ASearchLetsInteractiveWorkGoFirstBetweenItsChunks) {
  Record record;
  DoublingPass pass(&record);
  DeviceScheduler scheduler({}, &Clock::Real());
  DeviceScheduler::Turn turn(&scheduler, Always);
  record.Add("chunk 1");
  int item = 1;
  std::thread client([&] { EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok()); });
  AwaitInteractive(scheduler, 1);
  EXPECT_TRUE(turn.Yield());
  record.Add("chunk 2");
  EXPECT_TRUE(turn.Yield());  // nobody waits
  record.Add("chunk 3");
  turn.End();
  client.join();
  EXPECT_THAT(record.events(), ElementsAre("chunk 1", "batch of 1", "chunk 2", "chunk 3"));
}

TEST(DeviceSchedulerTest, InteractiveWorkThatComesDuringAChunkGoesBeforeAWaitingSearch) {
  Record record;
  DoublingPass pass(&record);
  DeviceScheduler scheduler({}, &Clock::Real());
  DeviceScheduler::Turn turn(&scheduler, Always);
  std::thread other([&] {
    DeviceScheduler::Turn second(&scheduler, Always);
    record.Add("second search");
  });
  AwaitBulk(scheduler, 1);
  int item = 1;
  std::thread client([&] { EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok()); });
  AwaitInteractive(scheduler, 1);
  turn.End();
  other.join();
  client.join();
  EXPECT_THAT(record.events(), ElementsAre("batch of 1", "second search"));
}

TEST(DeviceSchedulerTest, SearchesAlternate) {
  Record record;
  DeviceScheduler scheduler({}, &Clock::Real());
  const auto search = [&](DeviceScheduler::Turn* turn, const std::string& name) {
    for (int chunk = 0; chunk < 3; ++chunk) {
      record.Add(name);
      turn->Yield();
    }
    turn->End();
  };
  DeviceScheduler::Turn first(&scheduler, Always);
  std::thread other([&] {
    DeviceScheduler::Turn second(&scheduler, Always);
    search(&second, "b");
  });
  AwaitBulk(scheduler, 1);
  search(&first, "a");
  other.join();
  EXPECT_THAT(record.events(), ElementsAre("a", "b", "a", "b", "a", "b"));
}

TEST(DeviceSchedulerTest, AShortSearchGoesBeforeLongOnes) {
  FakeClock clock;
  Record record;
  DeviceScheduler scheduler({}, &clock);
  DeviceScheduler::Turn first(&scheduler, Always);
  clock.Advance(absl::Seconds(10));
  std::promise<void> second_computes;
  std::thread other([&] {
    DeviceScheduler::Turn second(&scheduler, Always);
    clock.Advance(absl::Seconds(10));
    record.Add("second");
    second_computes.set_value();
    AwaitBulk(scheduler, 2);  // the first one, and then the short one
    second.Yield();
  });
  std::thread brief([&] {
    second_computes.get_future().wait();
    AwaitBulk(scheduler, 1);
    DeviceScheduler::Turn third(&scheduler, Always);
    record.Add("short");
  });
  AwaitBulk(scheduler, 1);
  first.Yield();
  record.Add("first");
  first.End();
  other.join();
  brief.join();
  EXPECT_THAT(record.events(), ElementsAre("second", "short", "first"));
}

TEST(DeviceSchedulerTest, UnderSteadyInteractiveLoadASearchStillGetsItsChunk) {
  DoublingPass pass;
  DeviceScheduler scheduler({.max_interactive_run = 3}, &Clock::Real());
  std::atomic<bool> stop = false;
  std::atomic<int64_t> computed = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 3; ++c) {  // more than one, so that something always waits
    clients.emplace_back([&] {
      while (!stop) {
        int item = 1;
        EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok());
        ++computed;
      }
    });
  }
  while (computed == 0) {
    std::this_thread::yield();
  }
  DeviceScheduler::Turn turn(&scheduler, Always);
  for (int chunk = 0; chunk < 50; ++chunk) {
    ASSERT_TRUE(turn.Yield());  // would hang if it starved
  }
  turn.End();
  stop = true;
  for (std::thread& client : clients) {
    client.join();
  }
}

TEST(DeviceSchedulerTest, ASearchThatIsNoLongerWantedLeavesTheLine) {
  DeviceScheduler scheduler({}, &Clock::Real());
  DeviceScheduler::Turn turn(&scheduler, Always);
  std::atomic<bool> wanted = true;
  std::thread other([&] {
    DeviceScheduler::Turn second(&scheduler, [&] { return wanted.load(); });
    EXPECT_FALSE(second.active());
    EXPECT_FALSE(second.Yield());
  });
  AwaitBulk(scheduler, 1);
  wanted = false;
  other.join();  // although the device is still held
  EXPECT_EQ(scheduler.bulk_waiting(), 0u);
  EXPECT_TRUE(turn.Yield());
}

TEST(DeviceSchedulerTest, AnUnwantedSearchFreesTheDeviceAtItsNextYield) {
  DeviceScheduler scheduler({}, &Clock::Real());
  std::atomic<bool> wanted = true;
  DeviceScheduler::Turn turn(&scheduler, [&] { return wanted.load(); });
  EXPECT_TRUE(turn.Yield());
  wanted = false;
  EXPECT_FALSE(turn.Yield());
  turn.End();
  DeviceScheduler::Turn next(&scheduler, Always);
  EXPECT_TRUE(next.active());
}

// Moved by the test while scheduler threads read it.
class SharedFakeClock : public Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixMillis(now_ms_); }
  void Advance(int64_t ms) { now_ms_ += ms; }

 private:
  std::atomic<int64_t> now_ms_ = 1'700'000'000'000;
};

TEST(DeviceSchedulerTest, SilenceIsTheTimeSinceTheLastYield) {
  SharedFakeClock clock;
  DeviceScheduler scheduler({}, &clock);
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration());
  DeviceScheduler::Turn turn(&scheduler, Always);
  clock.Advance(3000);
  EXPECT_EQ(scheduler.Silence(), absl::Seconds(3));
  turn.Yield();
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration());
  clock.Advance(1000);
  turn.End();
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration());
}

TEST(DeviceSchedulerTest, SearchesOfOneLevelShareTheDevice) {
  FakeClock clock;  // so that a slow machine does not change their levels
  DeviceScheduler scheduler({.searches_at_once = 2}, &clock);
  DeviceScheduler::Turn first(&scheduler, Always);
  EXPECT_EQ(scheduler.cores().CoresOfEach(4), 4);
  DeviceScheduler::Turn second(&scheduler, Always);  // does not wait
  EXPECT_EQ(scheduler.cores().CoresOfEach(4), 2);
  std::atomic<bool> third_computes = false;
  std::thread other([&] {
    const DeviceScheduler::Turn third(&scheduler, Always);
    third_computes = true;
  });
  AwaitBulk(scheduler, 1);
  EXPECT_FALSE(third_computes);
  second.End();
  other.join();
  EXPECT_TRUE(third_computes);
  EXPECT_EQ(scheduler.cores().CoresOfEach(4), 4);
}

TEST(DeviceSchedulerTest, InteractiveWorkWaitsForAllThatShareTheDevice) {
  Record record;
  DoublingPass pass(&record);
  FakeClock clock;  // so that a slow machine does not change their levels
  DeviceScheduler scheduler({.searches_at_once = 2}, &clock);
  DeviceScheduler::Turn first(&scheduler, Always);
  std::promise<void> shared, waits;
  std::thread other([&] {
    DeviceScheduler::Turn second(&scheduler, Always);
    shared.set_value();
    waits.get_future().wait();
    record.Add("second's chunk");
    EXPECT_TRUE(second.Yield());
    record.Add("afterwards");
  });
  shared.get_future().wait();
  int item = 1;
  std::thread client([&] { EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok()); });
  AwaitInteractive(scheduler, 1);
  first.End();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // time to begin too early
  EXPECT_EQ(scheduler.interactive_waiting(), 1u) << "the second one still computes";
  waits.set_value();
  other.join();
  client.join();
  EXPECT_THAT(record.events(), ElementsAre("second's chunk", "batch of 1", "afterwards"));
}

// A short search has all cores as soon as the long one's chunk ends, and keeps them.
TEST(DeviceSchedulerTest, AShortSearchDoesNotShareTheDeviceWithALongOne) {
  FakeClock clock;
  Record record;
  DeviceScheduler scheduler({.searches_at_once = 2}, &clock);
  DeviceScheduler::Turn first(&scheduler, Always);
  clock.Advance(absl::Seconds(10));
  std::thread brief([&] {
    DeviceScheduler::Turn second(&scheduler, Always);
    record.Add("short");
    AwaitBulk(scheduler, 1);
    EXPECT_EQ(scheduler.cores().CoresOfEach(4), 4);
    EXPECT_TRUE(second.Yield());
    record.Add("short again");
  });
  AwaitBulk(scheduler, 1);
  EXPECT_TRUE(first.Yield());
  record.Add("long");
  first.End();
  brief.join();
  EXPECT_THAT(record.events(), ElementsAre("short", "short again", "long"));
}

TEST(DeviceSchedulerTest, WhileACoreIsLeftOneSearchFewerComputes) {
  FakeClock clock;  // so that a slow machine does not change their levels
  DeviceScheduler scheduler({.searches_at_once = 2}, &clock);
  scheduler.cores().LeaveACoreFor(absl::Hours(1));
  const DeviceScheduler::Turn first(&scheduler, Always);
  std::thread other([&] { const DeviceScheduler::Turn second(&scheduler, Always); });
  AwaitBulk(scheduler, 1);
  scheduler.cores().LeaveACoreFor(absl::ZeroDuration());
  other.join();
}

TEST(DeviceSchedulerTest, SilenceIsThatOfTheSlowestSearch) {
  SharedFakeClock clock;
  DeviceScheduler scheduler({.searches_at_once = 2}, &clock);
  DeviceScheduler::Turn first(&scheduler, Always), second(&scheduler, Always);
  clock.Advance(300);
  EXPECT_TRUE(second.Yield());
  EXPECT_EQ(scheduler.Silence(), absl::Milliseconds(300));
  first.End();
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration());
}

// Records the thread that computes.
class PassForAnyThread : public DoublingPass {
 public:
  bool RunsAlone() const override { return true; }
  void Run(std::span<void* const> items) override {
    computed_by = std::this_thread::get_id();
    DoublingPass::Run(items);
  }
  std::thread::id computed_by;
};

TEST(DeviceSchedulerTest, AnIdleDeviceIsTakenByTheThreadThatAsks) {
  PassForAnyThread pass;
  DeviceScheduler scheduler({}, &Clock::Real());
  int item = 1;
  EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok());
  EXPECT_EQ(item, 2);
  EXPECT_EQ(pass.computed_by, std::this_thread::get_id());

  DoublingPass of_the_engine;  // does not allow it
  EXPECT_TRUE(scheduler.Compute(&of_the_engine, &item, Always).ok());
  EXPECT_EQ(item, 4);
}

TEST(DeviceSchedulerTest, ABusyDeviceIsLeftToTheEngine) {
  PassForAnyThread pass;
  DeviceScheduler scheduler({}, &Clock::Real());
  DeviceScheduler::Turn turn(&scheduler, Always);
  int item = 1;
  std::thread::id client_id;
  std::thread client([&] {
    client_id = std::this_thread::get_id();
    EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok());
  });
  AwaitInteractive(scheduler, 1);
  turn.End();
  client.join();
  EXPECT_EQ(item, 2);
  EXPECT_NE(pass.computed_by, client_id);
}

TEST(DeviceSchedulerTest, WhereBatchesWaitForCompanyNobodyGoesAhead) {
  PassForAnyThread pass;
  DeviceScheduler scheduler({.batches = {.max_batch = 2, .max_delay = absl::Milliseconds(1)}},
                            &Clock::Real());
  int item = 1;
  EXPECT_TRUE(scheduler.Compute(&pass, &item, Always).ok());
  EXPECT_NE(pass.computed_by, std::this_thread::get_id());
}

TEST(DeviceSchedulerTest, ADeviceTakenAtOnceIsFreeAgainWhateverComesOfIt) {
  PassForAnyThread pass;
  DeviceScheduler scheduler({}, &Clock::Real());
  int bad = 13, unwanted = 1;
  EXPECT_THROW(scheduler.Compute(&pass, &bad, Always).IgnoreError(), std::runtime_error);
  EXPECT_TRUE(absl::IsCancelled(scheduler.Compute(&pass, &unwanted, [] { return false; })));
  EXPECT_EQ(unwanted, 1);
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration());
  DeviceScheduler::Turn turn(&scheduler, Always);
  EXPECT_TRUE(turn.active());
}

class CountingObserver : public DeviceObserver {
 public:
  void OnBatch(const char* stage, size_t size, absl::Duration) override {
    EXPECT_STREQ(stage, "double");
    batched += size;
  }
  void OnWaited(bool interactive, absl::Duration) override { (interactive ? passes : turns)++; }
  void OnDropped() override { ++dropped; }
  std::atomic<size_t> batched = 0, passes = 0, turns = 0, dropped = 0;
};

void ComputeFromManyThreads(DoublingPass* pass) {
  CountingObserver observer;
  std::atomic<int> doubled = 0, dropped = 0;
  {
    DeviceScheduler scheduler({.batches = {.max_batch = 3}}, &Clock::Real(), &observer);
    std::vector<std::thread> clients;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&, c] {
        for (int i = 0; i < 300; ++i) {
          int item = 1;
          const bool wanted = (i + c) % 5 != 0;
          const absl::Status status = scheduler.Compute(pass, &item, [=] { return wanted; });
          EXPECT_EQ(status.ok(), wanted);
          (status.ok() ? doubled : dropped)++;
          EXPECT_EQ(item, wanted ? 2 : 1);
        }
      });
    }
    std::thread search([&] {
      for (int s = 0; s < 20; ++s) {
        DeviceScheduler::Turn turn(&scheduler, Always);
        for (int chunk = 0; chunk < 5; ++chunk) {
          EXPECT_TRUE(turn.Yield());
        }
      }
    });
    for (std::thread& client : clients) {
      client.join();
    }
    search.join();
  }
  EXPECT_EQ(doubled + dropped, 1200);
  EXPECT_EQ(observer.batched, static_cast<size_t>(doubled));
  EXPECT_EQ(observer.dropped, static_cast<size_t>(dropped));
  EXPECT_EQ(observer.turns, 20u);
}

TEST(DeviceSchedulerTest, ManyThreadsAndEveryItemIsComputedOrDroppedOnce) {
  DoublingPass of_the_engine;
  ComputeFromManyThreads(&of_the_engine);
  PassForAnyThread of_all;
  ComputeFromManyThreads(&of_all);
}

// An observer without memory.
class ForgetfulObserver : public DeviceObserver {
 public:
  void OnBatch(const char*, size_t, absl::Duration) override { throw std::bad_alloc(); }
  void OnWaited(bool, absl::Duration) override { throw std::bad_alloc(); }
  void OnDropped() override { throw std::bad_alloc(); }
};

class AlonePass : public DoublingPass {
 public:
  bool RunsAlone() const override { return true; }
};

TEST(DeviceSchedulerTest, WantOfMemoryDoesNotCostTheDevice) {
  ForgetfulObserver observer;
  DeviceScheduler scheduler({}, &Clock::Real(), &observer);
  DoublingPass shared;
  AlonePass alone;
  for (int i = 0; i < 3; ++i) {
    int item = 1;
    EXPECT_TRUE(scheduler.Compute(&shared, &item, Always).ok());
    EXPECT_TRUE(scheduler.Compute(&alone, &item, Always).ok());
    EXPECT_EQ(item, 4);
    EXPECT_TRUE(absl::IsCancelled(scheduler.Compute(&alone, &item, [] { return false; })));
    DeviceScheduler::Turn turn(&scheduler, Always);
    EXPECT_TRUE(turn.active());
    EXPECT_TRUE(turn.Yield());
  }
  EXPECT_EQ(scheduler.Silence(), absl::ZeroDuration()) << "the device is still held";
}

TEST(DeviceSchedulerTest, AWaitThatThrowsLeavesTheDeviceToOthers) {
  DeviceScheduler scheduler({}, &Clock::Real());
  {
    bool fail = false;
    DeviceScheduler::Turn turn(&scheduler, [&fail] {
      if (fail) {
        throw std::bad_alloc();
      }
      return true;
    });
    ASSERT_TRUE(turn.active());
    std::atomic<bool> done = false;
    std::thread other([&] {
      DeviceScheduler::Turn second(&scheduler, Always);
      done = second.active();
    });
    AwaitBulk(scheduler, 1);
    fail = true;
    EXPECT_THROW(turn.Yield(), std::bad_alloc);
    EXPECT_FALSE(turn.active());
    other.join();
    EXPECT_TRUE(done);
  }
  DeviceScheduler::Turn next(&scheduler, Always);
  EXPECT_TRUE(next.active());
}

}  // namespace
}  // namespace stylex
