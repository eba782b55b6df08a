// Who computes on the device, and when: one at a time, what people wait for first.
//
// Two kinds of work:
//  - interactive: single passes through a network (Compute). One engine thread gathers those that
//    several requests want of the same network, and computes them as one batch. Where nobody else
//    wants the device, and the pass allows it, the requesting thread computes its item at once,
//    which saves waking the engine and being woken by it.
//  - bulk: long searches that come in chunks (Turn). A search computes on its own thread while it
//    has its turn, and gives others the chance to go first between two chunks (Turn::Yield). So a
//    search delays an interactive pass by one chunk at most; several searches alternate.
// Interactive batches go before chunks; after `max_interactive_run` batches in a row one waiting
// chunk goes nevertheless, so that searches crawl under load but do not stand still. Nothing else
// should compute meanwhile: whoever has the device has all the cores, too.
//
// Knows neither gRPC nor LibTorch. Thread-safe.
#ifndef STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_
#define STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/scheduling/batch_queue.h"

namespace stylex {

// A network that several requests can share a pass of. Tickets with the same object are one batch.
class BatchedPass {
 public:
  virtual ~BatchedPass() = default;
  // For metrics, e.g. "encode".
  virtual const char* stage() const = 0;
  // Computes every item, as handed to Compute. Called by one thread at a time, the engine's unless
  // RunsAlone(); may throw.
  virtual void Run(std::span<void* const> items) = 0;
  // Whether a single item may be computed on the thread that asks for it.
  virtual bool RunsAlone() const { return false; }
};

// What happens on the device, for metrics. Called on the computing thread, at the end of the thing.
class DeviceObserver {
 public:
  virtual ~DeviceObserver() = default;
  virtual void OnBatch(const char* stage, size_t size, absl::Duration computed) = 0;
  // An interactive ticket, or a search's first turn, waited this long.
  virtual void OnWaited(bool interactive, absl::Duration waited) = 0;
  // A ticket was dropped, unwanted, before it was computed.
  virtual void OnDropped() = 0;
};

class DeviceScheduler {
 public:
  struct Options {
    BatchQueue::Limits batches = {};
    int max_interactive_run = 8;
  };

  // `clock` and `observer` (may be null) must outlive this.
  DeviceScheduler(const Options& options, const Clock* clock, DeviceObserver* observer = nullptr);
  // No call may be in Compute or hold a Turn any more.
  ~DeviceScheduler();
  DeviceScheduler(const DeviceScheduler&) = delete;
  DeviceScheduler& operator=(const DeviceScheduler&) = delete;

  // Waits until `pass` has computed `item`, perhaps together with others' items. CANCELLED when
  // `wanted` (quick, thread-safe) was false as the batch was formed. Throws what the pass threw; a
  // batch that throws is tried again in halves, so that one bad item fails alone.
  absl::Status Compute(BatchedPass* pass, void* item, const std::function<bool()>& wanted);

  // A search's hold on the device; for one thread.
  class Turn {
   public:
    // Waits for the device. Every other call of this object needs active().
    Turn(DeviceScheduler* scheduler, std::function<bool()> wanted);
    ~Turn() { End(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // False when the work was no longer wanted before its turn came (again).
    bool active() const { return active_; }
    // To be called between chunks: whoever waits goes first. False when no longer wanted.
    bool Yield();
    // Gives the device back; at most once is enough.
    void End();

   private:
    // Waits in line; false, out of the line, when no longer wanted.
    bool Await() ABSL_EXCLUSIVE_LOCKS_REQUIRED(scheduler_->mutex_);

    DeviceScheduler* const scheduler_;
    const std::function<bool()> wanted_;
    bool active_ = false;
    absl::Time since_;  // when it got the device
  };

  // What the calling thread spent waiting for the device, and having it, since it last asked.
  struct Usage {
    absl::Duration waited;
    absl::Duration computed;
  };
  static Usage TakeUsageOfThisThread();

  // How long the one that computes has not been heard of; zero when nobody computes.
  absl::Duration Silence() const;
  size_t max_batch() const { return options_.batches.max_batch; }
  size_t interactive_waiting() const;
  size_t bulk_waiting() const;

 private:
  struct Waiter;
  // Throws what the pass threw.
  static absl::Status Outcome(const Waiter& waiter);

  // Holds the device for one item of `pass`, if nobody else has it or waits for it.
  bool HoldAtOnce(const BatchedPass& pass);
  absl::Status ComputeAtOnce(BatchedPass* pass, void* item, const std::function<bool()>& wanted);
  void Engine();
  void Observe(const BatchQueue::Batch& batch, absl::Time started) const;
  void RunBatch(std::span<BatchTicket* const> tickets);
  void Finish(const BatchQueue::Batch& batch, absl::Time started)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool InteractiveIsNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WaitForBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Hold() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Release() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Clock* const clock_;
  DeviceObserver* const observer_;
  mutable Mutex mutex_;
  CondVar engine_wake_;
  CondVar turns_wake_;
  BatchQueue queue_ ABSL_GUARDED_BY(mutex_);
  std::deque<const Turn*> turns_ ABSL_GUARDED_BY(mutex_);  // searches that wait, next one first
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time heard_of_ ABSL_GUARDED_BY(mutex_);
  int interactive_run_ ABSL_GUARDED_BY(mutex_) = 0;  // batches since the last chunk
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread engine_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_DEVICE_SCHEDULER_H_
