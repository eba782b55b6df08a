// A bounded queue of jobs and the threads that run them. Independent of gRPC and LibTorch.
//
// The next job is the oldest one of the clients that have the fewest jobs at work, so that one
// client's many jobs do not keep another's few from running.
//
// Each job is either run or dropped, exactly once, by one of the pool's threads or, where
// documented below, by the caller. What a job throws ends here and is told: it costs neither the
// thread nor other jobs. The most recently idle thread gets the next job: under light
// load one thread does all the work, with warm caches and heap, and the others sleep. Thread-safe.
#ifndef STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_
#define STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace stylex {

struct Job {
  std::function<void()> run;
  // Called before the job starts: false drops it; one that throws does not. Must be fast and
  // thread-safe and must not call the pool.
  std::function<bool()> wanted;
  // Called instead of `run`.
  std::function<void()> drop;
  std::string client = "";
};

class WorkerPool {
 public:
  struct Options {
    int workers = 1;
    size_t max_queue = 64;                     // waiting jobs, not counting running ones
    std::function<void()> on_start = nullptr;  // on each thread, first; may be empty
    // How long one idle thread polls for the next job, yielding its core, before it sleeps. A
    // polling thread needs no wake-up, and its core does not go idle, from which a virtual
    // machine's core recovers slowly.
    absl::Duration stay_awake = absl::ZeroDuration();
    const Clock* clock = &Clock::Real();  // measures job durations; must outlive the pool
    // Told what a job threw, on the thread that ran or dropped it, so on several at once. May be
    // empty.
    std::function<void(const absl::Status&)> on_error = nullptr;
  };

  // Starts the threads.
  explicit WorkerPool(const Options& options);
  // Drops waiting jobs and joins the threads once the running jobs have finished.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Returns false if the queue is full or the pool is closed: `job` is then neither run nor
  // dropped; nor is it if there is no memory to queue it, and std::bad_alloc is thrown. Before
  // refusing, cancelled jobs are removed from a full queue and dropped on the caller's thread.
  [[nodiscard]] bool Submit(Job job);

  // Accepts no more jobs and waits at most `timeout` for those it has; true if all have finished.
  bool Drain(absl::Duration timeout);

  // Estimated time that a new job would wait behind those in the queue, from recent job durations;
  // zero if the queue is empty or no job has finished yet.
  absl::Duration EstimatedWait() const;

  // Jobs in the queue.
  size_t waiting() const;
  // Jobs that threads are working on.
  size_t running() const;

 private:
  // An idle thread.
  struct Sleeper {
    CondVar wake;
    std::atomic<bool> called = false;  // set under the pool's mutex
  };

  // The jobs of one client.
  struct Client {
    size_t jobs = 0;  // waiting or running
    int at_work = 0;
  };
  using Clients = std::map<std::string, Client>;
  // What waits has its client's entry, so that taking it needs no memory.
  struct Place {
    Job job;
    Clients::iterator client;
  };

  void Work();
  // The rest throws nothing.
  static bool IsWanted(const Job& job) noexcept;
  void RunOrDrop(const Job& job) noexcept;
  void Drop(const Job& job) const noexcept;
  void Tell(const absl::Status& status) const noexcept;
  // Waits until there may be a job, or the pool is stopping.
  void Sleep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Push(Job job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes the next job from the queue, which is not empty, and counts it as running.
  Place TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A job of this client has ended.
  void Leave(Clients::iterator client) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes the cancelled jobs from the queue.
  std::vector<Job> TakeUnwanted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::vector<Sleeper*> sleepers_ ABSL_GUARDED_BY(mutex_);  // most recently idle last
  CondVar all_through_;                                     // no job is waiting or running
  bool somebody_awake_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Place> queue_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  Clients clients_ ABSL_GUARDED_BY(mutex_);  // those that have jobs
  // Moving average of job durations; zero until the first has finished.
  absl::Duration usual_run_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;    // takes no more jobs
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;  // threads end
  std::vector<std::thread> threads_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_WORKER_POOL_H_
