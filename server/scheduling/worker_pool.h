// A bounded first-in-first-out queue and the threads that work on it. Knows neither gRPC nor
// LibTorch.
//
// Each job is either run or dropped, exactly once, by one of the pool's threads or, where it says
// so below, by the caller. Of the threads that wait, the one that did so last gets the next job:
// under little load one thread does all the work, with its caches and its heap still warm, and the
// others are left asleep. Thread-safe.
#ifndef STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_
#define STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace stylex {

struct Job {
  std::function<void()> run;
  // Asked before the job starts: false drops it. Quick, thread-safe, does not call the pool.
  std::function<bool()> wanted;
  // Called instead of `run`.
  std::function<void()> drop;
};

class WorkerPool {
 public:
  struct Options {
    int workers = 1;
    size_t max_queue = 64;                     // jobs that wait; those that run do not count
    std::function<void()> on_start = nullptr;  // on each thread, first; may be empty
    // For so long one thread that has nothing left to do looks for the next job without sleeping,
    // letting any other thread have its core. Waking it then takes no time, nor does a core that
    // stops when nothing runs on it have to start again, which a virtual machine's does slowly.
    absl::Duration stay_awake = absl::ZeroDuration();
    const Clock* clock = &Clock::Real();  // measures what jobs take; must outlive the pool
  };

  explicit WorkerPool(const Options& options);
  // Drops what waits, and joins the threads once the running jobs are through.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is closed: `job` is then neither run nor dropped. A
  // full queue is first rid of the jobs that nobody wants any more; they are dropped on the
  // caller's thread.
  [[nodiscard]] bool Submit(Job job);

  // Takes no more jobs, and waits at most `timeout` for those it has; true when all are through.
  bool Drain(absl::Duration timeout);

  // How long those that wait now will keep the next one waiting, as far as the jobs of late tell;
  // zero while nobody waits, or nothing is known yet.
  absl::Duration EstimatedWait() const;

  size_t waiting() const;
  size_t running() const;

 private:
  // A thread that waits for a job.
  struct Sleeper {
    CondVar wake;
    std::atomic<bool> called = false;  // set under the pool's mutex
  };

  void Work();
  // Waits until there may be a job, or the pool is stopping.
  void Sleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the unwanted jobs out of the queue.
  std::vector<Job> TakeUnwanted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::vector<Sleeper*> sleepers_ ABSL_GUARDED_BY(mutex_);  // the last one to sleep last
  CondVar all_through_;                                     // no job waits or runs
  bool somebody_awake_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  // What jobs take, the last ones weighing most; zero until the first is through.
  absl::Duration usual_run_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;    // takes no more jobs
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // threads end
  std::vector<std::thread> threads_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_
