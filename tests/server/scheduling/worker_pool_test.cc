#include "server/scheduling/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>

#include "absl/time/clock.h"
#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;

// A job that blocks its worker until it is released.
class Gate {
 public:
  Job MakeJob() {
    return {.run =
                [this] {
                  started_.set_value();
                  open_.get_future().wait();
                },
            .wanted = [] { return true; },
            .drop = [] { ADD_FAILURE() << "a wanted job was dropped"; }};
  }
  void AwaitStart() { started_.get_future().wait(); }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> started_, open_;
};

// Appends its outcome to a list.
struct JobRecord {
  Mutex mutex;
  std::vector<std::string> events;

  void Add(const std::string& event) {
    MutexLock lock(&mutex);
    events.push_back(event);
  }
  Job MakeJob(const std::string& name, const std::atomic<bool>* wanted = nullptr) {
    return {.run = [this, name] { Add("ran " + name); },
            .wanted = [wanted] { return wanted == nullptr || *wanted; },
            .drop = [this, name] { Add("dropped " + name); }};
  }
};

TEST(WorkerPoolTest, RunsInOrder) {
  JobRecord record;
  WorkerPool pool({.workers = 1, .max_queue = 8});
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(pool.Submit(record.MakeJob(name)));
  }
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
  EXPECT_THAT(record.events, ElementsAre("ran a", "ran b", "ran c"));
}

TEST(WorkerPoolTest, TheClientWithTheFewestJobsAtWorkIsNext) {
  JobRecord record;
  Gate first, second;
  WorkerPool pool({.workers = 2, .max_queue = 8});
  const auto submit = [&pool](Job job, const char* client) {
    job.client = client;
    ASSERT_TRUE(pool.Submit(std::move(job)));
  };
  submit(first.MakeJob(), "greedy");
  submit(second.MakeJob(), "greedy");
  first.AwaitStart();
  second.AwaitStart();
  submit(record.MakeJob("greedy 3"), "greedy");
  submit(record.MakeJob("greedy 4"), "greedy");
  submit(record.MakeJob("modest 1"), "modest");
  submit(record.MakeJob("modest 2"), "modest");
  first.Open();  // one worker goes on; the greedy client's other job stays at work
  while (pool.waiting() > 0) {
    std::this_thread::yield();
  }
  second.Open();
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
  EXPECT_THAT(record.events,
              ElementsAre("ran modest 1", "ran modest 2", "ran greedy 3", "ran greedy 4"));
}

TEST(WorkerPoolTest, RefusesWhenTheQueueIsFull) {
  JobRecord record;
  Gate gate;
  WorkerPool pool({.workers = 1, .max_queue = 2});
  ASSERT_TRUE(pool.Submit(gate.MakeJob()));
  gate.AwaitStart();
  EXPECT_EQ(pool.running(), 1u);
  EXPECT_TRUE(pool.Submit(record.MakeJob("a")));
  EXPECT_TRUE(pool.Submit(record.MakeJob("b")));
  EXPECT_EQ(pool.waiting(), 2u);
  EXPECT_FALSE(pool.Submit(record.MakeJob("c")));
  gate.Open();
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
  EXPECT_THAT(record.events, ElementsAre("ran a", "ran b"));
}

TEST(WorkerPoolTest, TellsHowLongThoseThatWaitWillTake) {
  FakeClock clock;
  JobRecord record;
  Gate first, second;
  WorkerPool pool({.workers = 1, .max_queue = 8, .clock = &clock});
  ASSERT_TRUE(pool.Submit(first.MakeJob()));
  first.AwaitStart();
  ASSERT_TRUE(pool.Submit(second.MakeJob()));
  EXPECT_EQ(pool.EstimatedWait(), absl::ZeroDuration()) << "no job was ever through";
  clock.Advance(absl::Seconds(2));
  first.Open();
  second.AwaitStart();
  EXPECT_EQ(pool.EstimatedWait(), absl::ZeroDuration()) << "nobody waits";
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(pool.Submit(record.MakeJob("a")));
  }
  EXPECT_EQ(pool.EstimatedWait(), absl::Seconds(6));
  second.Open();
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
}

// What jobs throw costs neither the thread, nor the count of what is at work, nor other jobs.
TEST(WorkerPoolTest, WantOfMemoryDoesNotCostAWorker) {
  JobRecord record;
  std::mutex mutex;  // a job is dropped on the caller's thread, too
  std::vector<absl::StatusCode> told;
  WorkerPool pool({.workers = 1,
                   .max_queue = 8,
                   .on_start = [] { throw std::bad_alloc(); },
                   .on_error =
                       [&](const absl::Status& status) {
                         const std::lock_guard lock(mutex);
                         told.push_back(status.code());
                         throw std::bad_alloc();
                       }});
  const auto no_memory = [] { throw std::bad_alloc(); };
  for (int i = 0; i < 3; ++i) {
    Job fails_to_run = record.MakeJob("a"), cannot_tell = record.MakeJob("b"),
        fails_to_drop = record.MakeJob("c");
    fails_to_run.run = no_memory;
    cannot_tell.wanted = []() -> bool { throw std::runtime_error("no answer"); };
    fails_to_drop.wanted = [] { return false; };
    fails_to_drop.drop = no_memory;
    for (Job* job : {&fails_to_run, &cannot_tell, &fails_to_drop}) {
      job->client = "a client whose name is no short text";
      ASSERT_TRUE(pool.Submit(std::move(*job)));
    }
  }
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
  EXPECT_EQ(pool.running(), 0u);
  EXPECT_THAT(record.events, ElementsAre("ran b", "ran b", "ran b"));
  EXPECT_EQ(told, std::vector(7, absl::StatusCode::kResourceExhausted));
}

// A pool of one worker, busy until the gate opens, in whose queue of two a job waits that can
// become unwanted.
class UnwantedJobTest : public testing::Test {
 protected:
  UnwantedJobTest() : pool_({.workers = 1, .max_queue = 2}) {
    EXPECT_TRUE(pool_.Submit(gate_.MakeJob()));
    gate_.AwaitStart();
    EXPECT_TRUE(pool_.Submit(record_.MakeJob("cancelled", &wanted_)));
  }

  JobRecord record_;
  Gate gate_;
  std::atomic<bool> wanted_ = true;
  WorkerPool pool_;
};

TEST_F(UnwantedJobTest, IsDroppedBeforeItStarts) {
  ASSERT_TRUE(pool_.Submit(record_.MakeJob("kept")));
  wanted_ = false;
  gate_.Open();
  EXPECT_TRUE(pool_.Drain(absl::Seconds(60)));
  EXPECT_THAT(record_.events, ElementsAre("dropped cancelled", "ran kept"));
}

TEST_F(UnwantedJobTest, MakesRoomInAFullQueue) {
  ASSERT_TRUE(pool_.Submit(record_.MakeJob("first")));
  wanted_ = false;
  EXPECT_TRUE(pool_.Submit(record_.MakeJob("second")));
  EXPECT_THAT(record_.events, ElementsAre("dropped cancelled"));
  gate_.Open();
  EXPECT_TRUE(pool_.Drain(absl::Seconds(60)));
  EXPECT_THAT(record_.events, ElementsAre("dropped cancelled", "ran first", "ran second"));
}

// Else whoever submitted the new job would end it, although it has been accepted.
TEST_F(UnwantedJobTest, ThatThrowsWhenItIsDroppedDoesNotReachWhoeverNeededItsPlace) {
  Job other = record_.MakeJob("other");
  other.wanted = [] { return false; };
  other.drop = [] { throw std::bad_alloc(); };
  ASSERT_TRUE(pool_.Submit(std::move(other)));
  wanted_ = false;
  bool accepted = false;
  EXPECT_NO_THROW(accepted = pool_.Submit(record_.MakeJob("new")));
  EXPECT_TRUE(accepted);
  gate_.Open();
  EXPECT_TRUE(pool_.Drain(absl::Seconds(60)));
  EXPECT_THAT(record_.events, ElementsAre("dropped cancelled", "ran new"));
}

TEST(WorkerPoolTest, ADrainTakesNoNewJobsAndGivesUpInTime) {
  JobRecord record;
  Gate gate;
  WorkerPool pool({.workers = 1, .max_queue = 2});
  ASSERT_TRUE(pool.Submit(gate.MakeJob()));
  gate.AwaitStart();
  ASSERT_TRUE(pool.Submit(record.MakeJob("a")));
  EXPECT_FALSE(pool.Drain(absl::ZeroDuration()));
  EXPECT_FALSE(pool.Submit(record.MakeJob("late")));
  gate.Open();
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
  EXPECT_THAT(record.events, ElementsAre("ran a"));
}

// A wait without end would come back at once, again and again.
TEST(WorkerPoolTest, ADrainWithoutEndWaitsAndDoesNotSpin) {
  Gate gate;
  WorkerPool pool({.workers = 1, .max_queue = 2});
  ASSERT_TRUE(pool.Submit(gate.MakeJob()));
  gate.AwaitStart();
  std::thread opener([&] {
    absl::SleepFor(absl::Milliseconds(500));
    gate.Open();
  });
  timespec before, after;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  EXPECT_TRUE(pool.Drain(absl::InfiniteDuration()));
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  EXPECT_LT(absl::DurationFromTimespec(after) - absl::DurationFromTimespec(before),
            absl::Milliseconds(100));
  opener.join();
}

TEST(WorkerPoolTest, TheDestructorDropsWhatWaits) {
  JobRecord record;
  Gate gate;
  {
    WorkerPool pool({.workers = 1, .max_queue = 2});
    ASSERT_TRUE(pool.Submit(gate.MakeJob()));
    gate.AwaitStart();
    Job job = record.MakeJob("a");
    job.drop = [&] {
      record.Add("dropped a");
      gate.Open();
    };
    ASSERT_TRUE(pool.Submit(std::move(job)));
  }
  EXPECT_THAT(record.events, ElementsAre("dropped a"));
}

TEST(WorkerPoolTest, WorkersRunSideBySide) {
  Gate first, second;
  WorkerPool pool({.workers = 2, .max_queue = 2});
  ASSERT_TRUE(pool.Submit(first.MakeJob()));
  ASSERT_TRUE(pool.Submit(second.MakeJob()));
  first.AwaitStart();
  second.AwaitStart();  // would hang with one worker
  EXPECT_EQ(pool.running(), 2u);
  first.Open();
  second.Open();
  EXPECT_TRUE(pool.Drain(absl::Seconds(60)));
}

// Jobs that arrive one at a time are all run by one thread, while the others sleep.
TEST(WorkerPoolTest, TheLastToRestWorksNext) {
  std::map<std::thread::id, int> jobs;
  WorkerPool pool({.workers = 8, .max_queue = 1});
  absl::SleepFor(absl::Milliseconds(100));  // all threads are idle
  for (int i = 0; i < 40; ++i) {
    std::promise<std::thread::id> ran;
    ASSERT_TRUE(pool.Submit({.run = [&] { ran.set_value(std::this_thread::get_id()); },
                             .wanted = [] { return true; },
                             .drop = [] { ADD_FAILURE() << "a wanted job was dropped"; }}));
    ++jobs[ran.get_future().get()];
    absl::SleepFor(absl::Milliseconds(5));
  }
  int most = 0;
  for (const auto& [thread, count] : jobs) {
    most = std::max(most, count);
  }
  EXPECT_GE(most, 20);  // round robin would give 5 each; occasionally a thread idles late
}

TEST(WorkerPoolTest, ManyThreadsSubmitAndEveryJobHasOneEnd) {
  std::atomic<int> ran = 0, dropped = 0, refused = 0;
  std::atomic<bool> unwanted = false;
  {
    WorkerPool pool({.workers = 3, .max_queue = 4});
    std::vector<std::thread> clients;
    for (int t = 0; t < 4; ++t) {
      clients.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i) {
          const bool odd = (i + t) % 2 == 1;
          if (!pool.Submit({.run = [&] { ++ran; },
                            .wanted = [&, odd] { return !odd || unwanted; },
                            .drop = [&] { ++dropped; }})) {
            ++refused;
          }
        }
      });
    }
    for (std::thread& client : clients) {
      client.join();
    }
  }
  EXPECT_EQ(ran + dropped + refused, 2000);
}

// CPU time of the process so far.
absl::Duration CpuTime() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return absl::DurationFromTimespec(time);
}

TEST(WorkerPoolTest, AThreadThatStaysAwakeDoesTheNextJob) {
  WorkerPool pool({.workers = 2, .max_queue = 8, .stay_awake = absl::Minutes(1)});
  for (int i = 0; i < 200; ++i) {
    std::promise<void> done;
    ASSERT_TRUE(pool.Submit({.run = [&done] { done.set_value(); },
                             .wanted = [] { return true; },
                             .drop = [] { ADD_FAILURE() << "dropped"; }}));
    ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
}

TEST(WorkerPoolTest, OneThreadAtMostStaysAwake) {
  WorkerPool pool({.workers = 4, .stay_awake = absl::Minutes(1)});
  absl::SleepFor(absl::Milliseconds(20));  // all threads have found nothing to do
  const absl::Duration before = CpuTime();
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_LT(CpuTime() - before, absl::Milliseconds(250));
}

TEST(WorkerPoolTest, SleepsWhenNothingComesInTime) {
  WorkerPool pool({.workers = 1, .stay_awake = absl::Milliseconds(20)});
  absl::SleepFor(absl::Milliseconds(200));
  const absl::Duration before = CpuTime();
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_LT(CpuTime() - before, absl::Milliseconds(20));
}

TEST(WorkerPoolTest, EndsWhileAThreadStaysAwake) {
  const absl::Time start = absl::Now();
  auto pool = std::make_unique<WorkerPool>(
      WorkerPool::Options{.workers = 2, .stay_awake = absl::Minutes(1)});
  pool.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

}  // namespace
}  // namespace stylex
