// Schedules computations on the device: interactive ones first, searches by turns.
//
// Two kinds of work, of which only one computes at a time:
//  - interactive: single passes through a network (Compute). An engine thread collects requests for
//    the same network and computes them as one batch. If the device is idle and the pass allows it,
//    the requesting thread computes its item itself, which saves two thread wake-ups.
//  - bulk: long searches that compute in chunks (Turn). A search computes on its own thread while
//    it has its turn, and lets others go first between two chunks (Turn::Yield). So a search delays
//    an interactive pass by at most one chunk. Searches that have used the device for little time
//    go before those that have used it for long, so that the explanation of one image does not wait
//    for searches over many; each eighth chunk is of the one that waits the longest. Searches that
//    have used about as much alternate, or have their turns at once, as many as `searches_at_once`
//    allows, each with its share of the cores: alone, a search leaves cores idle where its passes
//    wait for one another. An interactive pass then waits for the chunks of all of them.
// Interactive batches have priority over chunks; after `max_interactive_run` batches in a row one
// waiting chunk runs, so that searches slow down under load but do not starve. Nothing else should
// compute meanwhile: those that hold the device use all cores.
//
// Independent of gRPC and LibTorch. Thread-safe.
#ifndef STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_
#define STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/core_budget.h"
#include "base/mutex.h"
#include "server/scheduling/batch_queue.h"

namespace stylex {

// A network whose passes several requests can share. Tickets with the same object form one batch.
class BatchedPass {
 public:
  virtual ~BatchedPass() = default;
  // For metrics, e.g. "encode".
  virtual const char* stage() const = 0;
  // Computes every item that was passed to Compute. Called by one thread at a time, the engine's
  // unless RunsAlone(); may throw.
  virtual void Run(std::span<void* const> items) = 0;
  // Whether a single item may be computed on the requesting thread.
  virtual bool RunsAlone() const { return false; }
};

// Observes events on the device, for metrics. Called on the computing thread, after the event.
class DeviceObserver {
 public:
  virtual ~DeviceObserver() = default;
  // `size` tickets of a stage were computed together.
  virtual void OnBatch(const char* stage, size_t size, absl::Duration computed) = 0;
  // An interactive ticket, or the first turn of a search, has waited this long.
  virtual void OnWaited(bool interactive, absl::Duration waited) = 0;
  // A cancelled ticket was dropped before it was computed.
  virtual void OnDropped() = 0;
};

class DeviceScheduler {
 public:
  struct Options {
    BatchQueue::Limits batches = {};
    int max_interactive_run = 8;
    // At most; they share cores(). While a core is left to interactive answers one fewer, but at
    // least one. 1: no two searches compute at once, as on a GPU.
    int searches_at_once = 1;
  };

  // `clock` and `observer` (may be null) must outlive this.
  DeviceScheduler(const Options& options, const Clock* clock, DeviceObserver* observer = nullptr);
  // At destruction, no call may be in Compute or hold a Turn.
  ~DeviceScheduler();
  DeviceScheduler(const DeviceScheduler&) = delete;
  DeviceScheduler& operator=(const DeviceScheduler&) = delete;

  // Waits until `pass` has computed `item`, possibly in a batch with items of other calls.
  // CANCELLED if `wanted` (fast, thread-safe) returned false when the batch was formed. Rethrows
  // the pass's exception; a batch that throws is retried in halves, so that a bad item fails alone.
  absl::Status Compute(BatchedPass* pass, void* item, const std::function<bool()>& wanted);

  // A search's hold on the device, perhaps beside other searches'; for one thread.
  class Turn {
   public:
    // Waits for the device. All other functions require active().
    Turn(DeviceScheduler* scheduler, std::function<bool()> wanted);
    ~Turn() { End(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // False if the work was cancelled while it waited for its turn.
    bool active() const { return active_; }
    // Call between chunks: lets waiting calls go first. False if cancelled.
    bool Yield();
    // Releases the device. Later calls have no effect.
    void End();

   private:
    friend class DeviceScheduler;

    // Waits in the queue; if cancelled, leaves the queue and returns false.
    bool Await() ABSL_EXCLUSIVE_LOCKS_REQUIRED(scheduler_->mutex_);

    DeviceScheduler* const scheduler_;
    const std::function<bool()> wanted_;
    bool active_ = false;
    absl::Time since_;     // when it obtained the device
    absl::Time heard_of_;  // when it last made progress; guarded by the scheduler's mutex
    // Time that it held the device before; guarded by the scheduler's mutex while it waits.
    absl::Duration used_;
  };

  // Time that the calling thread spent waiting for the device and holding it, since the last call.
  struct Usage {
    absl::Duration waited;
    absl::Duration computed;
  };
  // What this thread has used since the last call.
  static Usage TakeUsageOfThisThread();

  // How many cores a search may use at the moment; searches are handed it.
  CoreBudget& cores() { return cores_; }

  // Time since the running computation, of several the slowest, last made progress; zero when the
  // device is idle.
  absl::Duration Silence() const;
  // Tickets in a batch at most.
  size_t max_batch() const { return options_.batches.max_batch; }
  // Tickets that wait.
  size_t interactive_waiting() const;
  // Searches that wait for a turn.
  size_t bulk_waiting() const;

 private:
  struct Waiter;
  // Rethrows the pass's exception.
  static absl::Status Outcome(const Waiter& waiter);

  class Holding;
  // Takes the device for one item of `pass` if nobody holds it or waits for it.
  bool HoldAtOnce(const BatchedPass& pass);
  absl::Status ComputeAtOnce(BatchedPass* pass, void* item, const std::function<bool()>& wanted);
  void Engine();
  // Waits for a batch and computes it; false if the engine must end.
  bool Serve();
  // Never throws: what cannot be counted for want of memory is not counted.
  void Observe(const BatchQueue::Batch& batch, absl::Time started) const noexcept;
  void ObserveTurn(absl::Duration waited) const noexcept;
  static void RunBatch(std::span<BatchTicket* const> tickets) noexcept;
  void Finish(const BatchQueue::Batch& batch, absl::Time started)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !held_ && searching_.empty(); }
  // Whether a waiting search's turn has come.
  bool MayStart(const Turn& turn) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a search that waits or has its turn.
  absl::Duration UsedBy(const Turn& turn) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool InteractiveIsNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the waiting searches, of which there is one or more.
  const Turn* NextTurn() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitForBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By a batch or a single pass.
  void Hold() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By a search.
  void Start(Turn* turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Stop(Turn* turn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;
  DeviceObserver* const observer_;
  CoreBudget cores_;
  mutable Mutex mutex_;
  CondVar engine_wake_;
  CondVar turns_wake_;
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<const Turn*> turns_ ABSL_GUARDED_BY(mutex_);  // waiting searches, longest wait first
  int64_t turns_given_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Turn*> searching_ ABSL_GUARDED_BY(mutex_);  // searches that have their turns
  bool held_ ABSL_GUARDED_BY(mutex_) = false;             // by a batch or a single pass
  absl::Time heard_of_ ABSL_GUARDED_BY(mutex_);           // of that
  int interactive_run_ ABSL_GUARDED_BY(mutex_) = 0;       // batches since the last chunk
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread engine_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_
