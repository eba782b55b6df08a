#include "server/scheduling/device_scheduler.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"

namespace stylex {
namespace {

// How often a waiting search checks whether it has been cancelled.
constexpr std::chrono::milliseconds kLookUp(20);

thread_local DeviceScheduler::Usage usage_of_this_thread;

// Searches of one level alternate or compute at once.
int LevelOf(absl::Duration used) {
  int level = 0;
  for (const absl::Duration limit : {absl::Milliseconds(500), absl::Seconds(2), absl::Seconds(8)}) {
    level += used >= limit ? 1 : 0;
  }
  return level;
}

}  // namespace

// A ticket and the thread that waits for it.
struct DeviceScheduler::Waiter : BatchTicket {
  CondVar done_wake;
  bool done = false;
  bool dropped = false;
  absl::Time started;
  std::exception_ptr error;
};

// Releases the device, whatever is thrown while it is held.
class DeviceScheduler::Holding {
 public:
  explicit Holding(DeviceScheduler* scheduler) : scheduler_(scheduler) {}
  ~Holding() {
    MutexLock lock(&scheduler_->mutex_);
    scheduler_->Release();
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  DeviceScheduler* const scheduler_;
};

absl::Status DeviceScheduler::Outcome(const Waiter& waiter) {
  if (waiter.error != nullptr) {
    std::rethrow_exception(waiter.error);
  }
  return waiter.dropped ? absl::CancelledError("dropped from the queue: no longer wanted")
                        : absl::OkStatus();
}

DeviceScheduler::DeviceScheduler(const Options& options, const Clock* clock,
                                 DeviceObserver* observer)
    : options_(options), clock_(clock), observer_(observer), queue_(options.batches) {
  searching_.reserve(static_cast<size_t>(std::max(1, options.searches_at_once)));
  engine_ = std::thread([this] { Engine(); });
}

DeviceScheduler::~DeviceScheduler() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    engine_wake_.NotifyOne();
  }
  engine_.join();
}

bool DeviceScheduler::HoldAtOnce(const BatchedPass& pass) {
  if (!pass.RunsAlone() || options_.batches.max_delay > absl::ZeroDuration()) {
    return false;
  }
  MutexLock lock(&mutex_);
  if (!Idle() || queue_.size() > 0 || !turns_.empty()) {
    return false;
  }
  Hold();
  return true;
}

absl::Status DeviceScheduler::ComputeAtOnce(BatchedPass* pass, void* item,
                                            const std::function<bool()>& wanted) {
  Waiter waiter;
  waiter.pass = pass;
  waiter.item = item;
  waiter.queued = clock_->Now();
  {
    const Holding holding(this);
    BatchQueue::Batch batch;
    waiter.dropped = !wanted();
    (waiter.dropped ? batch.unwanted : batch.tickets).push_back(&waiter);
    RunBatch(batch.tickets);
    Observe(batch, waiter.queued);
    usage_of_this_thread.computed += clock_->Now() - waiter.queued;
  }
  return Outcome(waiter);
}

absl::Status DeviceScheduler::Compute(BatchedPass* pass, void* item,
                                      const std::function<bool()>& wanted) {
  if (HoldAtOnce(*pass)) {
    return ComputeAtOnce(pass, item, wanted);
  }
  Waiter waiter;
  waiter.pass = pass;
  waiter.item = item;
  waiter.wanted = wanted;
  waiter.queued = clock_->Now();
  {
    MutexLock lock(&mutex_);
    queue_.Push(&waiter);
    engine_wake_.NotifyOne();
    while (!waiter.done) {
      waiter.done_wake.Wait(&mutex_);
    }
  }
  usage_of_this_thread.waited += waiter.started - waiter.queued;
  usage_of_this_thread.computed += clock_->Now() - waiter.started;
  return Outcome(waiter);
}

bool DeviceScheduler::InteractiveIsNext() const {
  const bool run_is_over = interactive_run_ >= options_.max_interactive_run && !turns_.empty();
  return !run_is_over && queue_.DueAt() <= clock_->Now();
}

void DeviceScheduler::WaitForBatch() {
  while (!stopping_ && (!Idle() || !InteractiveIsNext())) {
    const absl::Time due = queue_.DueAt();
    if (!Idle() || due == absl::InfiniteFuture()) {
      engine_wake_.Wait(&mutex_);
    } else {
      // Not due yet, or a chunk goes first, whose thread wakes this one when it has finished.
      const absl::Duration left = std::max(due - clock_->Now(), absl::Milliseconds(1));
      engine_wake_.WaitFor(&mutex_, absl::ToChronoNanoseconds(left));
    }
  }
}

void DeviceScheduler::Engine() {
  bool more = true;
  while (more) {
    try {
      more = Serve();
    } catch (const std::exception&) {
      // There was no memory to form a batch: its tickets are still in the queue.
      std::this_thread::sleep_for(kLookUp);
    }
  }
}

bool DeviceScheduler::Serve() {
  BatchQueue::Batch batch;
  absl::Time start;
  {
    MutexLock lock(&mutex_);
    WaitForBatch();
    if (stopping_) {
      return false;
    }
    start = clock_->Now();
    batch = queue_.Take(start);
    Hold();
    ++interactive_run_;
  }
  // From here to the release nothing throws.
  RunBatch(batch.tickets);
  Observe(batch, start);
  MutexLock lock(&mutex_);
  Finish(batch, start);
  Release();
  return true;
}

void DeviceScheduler::Observe(const BatchQueue::Batch& batch, absl::Time started) const noexcept {
  if (observer_ == nullptr) {
    return;
  }
  try {
    for (const BatchTicket* ticket : batch.tickets) {
      observer_->OnWaited(/*interactive=*/true, started - ticket->queued);
    }
    for (size_t i = 0; i < batch.unwanted.size(); ++i) {
      observer_->OnDropped();
    }
    if (!batch.tickets.empty()) {
      observer_->OnBatch(batch.tickets.front()->pass->stage(), batch.tickets.size(),
                         clock_->Now() - started);
    }
  } catch (const std::exception&) {
  }
}

void DeviceScheduler::ObserveTurn(absl::Duration waited) const noexcept {
  if (observer_ == nullptr) {
    return;
  }
  try {
    observer_->OnWaited(/*interactive=*/false, waited);
  } catch (const std::exception&) {
  }
}

void DeviceScheduler::RunBatch(std::span<BatchTicket* const> tickets) noexcept {
  if (tickets.empty()) {
    return;
  }
  try {
    std::vector<void*> items;
    for (const BatchTicket* ticket : tickets) {
      items.push_back(ticket->item);
    }
    tickets.front()->pass->Run(items);
    return;
  } catch (...) {
    if (tickets.size() == 1) {
      static_cast<Waiter*>(tickets.front())->error = std::current_exception();
      return;
    }
  }
  RunBatch(tickets.first(tickets.size() / 2));
  RunBatch(tickets.subspan(tickets.size() / 2));
}

void DeviceScheduler::Finish(const BatchQueue::Batch& batch, absl::Time started) {
  // Once the mutex is released, the waiting thread may return and destroy its ticket.
  const auto wake = [started](BatchTicket* ticket, bool dropped) {
    Waiter* const waiter = static_cast<Waiter*>(ticket);
    waiter->started = started;
    waiter->done = true;
    waiter->dropped = dropped;
    waiter->done_wake.NotifyOne();
  };
  for (BatchTicket* ticket : batch.tickets) {
    wake(ticket, /*dropped=*/false);
  }
  for (BatchTicket* ticket : batch.unwanted) {
    wake(ticket, /*dropped=*/true);
  }
}

void DeviceScheduler::Hold() {
  held_ = true;
  heard_of_ = clock_->Now();
}

void DeviceScheduler::Release() {
  held_ = false;
  WakeWaiting();
}

void DeviceScheduler::Start(Turn* turn) {
  searching_.push_back(turn);
  cores_.Share(static_cast<int>(searching_.size()));
  turn->heard_of_ = clock_->Now();
}

void DeviceScheduler::Stop(Turn* turn) {
  searching_.erase(std::find(searching_.begin(), searching_.end(), turn));
  cores_.Share(static_cast<int>(searching_.size()));
  WakeWaiting();
}

void DeviceScheduler::WakeWaiting() {
  // Waking a thread without work would delay the call that releases the device.
  if (queue_.size() > 0 && Idle()) {
    engine_wake_.NotifyOne();
  }
  if (!turns_.empty()) {
    turns_wake_.NotifyAll();
  }
}

absl::Duration DeviceScheduler::UsedBy(const Turn& turn) const {
  return turn.used_ + (turn.active_ ? clock_->Now() - turn.since_ : absl::ZeroDuration());
}

bool DeviceScheduler::MayStart(const Turn& turn) const {
  if (held_ || NextTurn() != &turn || InteractiveIsNext()) {
    return false;
  }
  const int at_once = options_.searches_at_once - (cores_.core_is_left() ? 1 : 0);
  return searching_.empty() ||
         (static_cast<int>(searching_.size()) < at_once &&
          std::all_of(searching_.begin(), searching_.end(),
                      [&](const Turn* other) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                        return LevelOf(UsedBy(*other)) == LevelOf(turn.used_);
                      }));
}

const DeviceScheduler::Turn* DeviceScheduler::NextTurn() const {
  constexpr int64_t kOldestEach = 8;
  if (turns_given_ % kOldestEach == 0) {
    return turns_.front();
  }
  return *std::min_element(turns_.begin(), turns_.end(), [](const Turn* a, const Turn* b) {
    return LevelOf(a->used_) < LevelOf(b->used_);
  });
}

DeviceScheduler::Turn::Turn(DeviceScheduler* scheduler, std::function<bool()> wanted)
    : scheduler_(scheduler), wanted_(std::move(wanted)) {
  const absl::Time start = scheduler_->clock_->Now();
  {
    MutexLock lock(&scheduler_->mutex_);
    active_ = Await();
  }
  if (active_) {
    scheduler_->ObserveTurn(since_ - start);
  }
}

bool DeviceScheduler::Turn::Await() {
  const absl::Time start = scheduler_->clock_->Now();
  std::deque<const Turn*>& turns = scheduler_->turns_;
  turns.push_back(this);
  bool wanted = false;
  {
    // Also when `wanted_` throws.
    const absl::Cleanup leave = [this, &turns]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(scheduler_->mutex_) {
      turns.erase(std::find(turns.begin(), turns.end(), this));
    };
    wanted = wanted_();
    while (wanted && !scheduler_->MayStart(*this)) {
      scheduler_->turns_wake_.WaitFor(&scheduler_->mutex_, kLookUp);
      wanted = wanted_();
    }
  }
  since_ = scheduler_->clock_->Now();
  usage_of_this_thread.waited += since_ - start;
  if (!wanted) {
    scheduler_->turns_wake_.NotifyAll();
    scheduler_->engine_wake_.NotifyOne();
    return false;
  }
  scheduler_->Start(this);
  ++scheduler_->turns_given_;
  scheduler_->interactive_run_ = 0;
  if (!turns.empty()) {
    scheduler_->turns_wake_.NotifyAll();  // the next may start beside this one
  }
  return true;
}

bool DeviceScheduler::Turn::Yield() {
  if (!active_) {
    return false;
  }
  // A request's thread may have been scheduled onto this core, where it would wait for the kernel's
  // next tick although another core is idle (docs/operating.md).
  std::this_thread::yield();
  MutexLock lock(&scheduler_->mutex_);
  if (scheduler_->queue_.DueAt() > scheduler_->clock_->Now() && scheduler_->turns_.empty()) {
    heard_of_ = scheduler_->clock_->Now();
    return wanted_();
  }
  const absl::Duration held = scheduler_->clock_->Now() - since_;
  usage_of_this_thread.computed += held;
  used_ += held;
  active_ = false;  // also if waiting throws
  scheduler_->Stop(this);
  active_ = Await();
  return active_;
}

void DeviceScheduler::Turn::End() {
  if (active_) {
    usage_of_this_thread.computed += scheduler_->clock_->Now() - since_;
    MutexLock lock(&scheduler_->mutex_);
    active_ = false;
    scheduler_->Stop(this);
  }
}

DeviceScheduler::Usage DeviceScheduler::TakeUsageOfThisThread() {
  return std::exchange(usage_of_this_thread, {});
}

absl::Duration DeviceScheduler::Silence() const {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_->Now();
  absl::Duration silence = held_ ? now - heard_of_ : absl::ZeroDuration();
  for (const Turn* turn : searching_) {
    silence = std::max(silence, now - turn->heard_of_);
  }
  return silence;
}

size_t DeviceScheduler::interactive_waiting() const {
  MutexLock lock(&mutex_);
  return queue_.size();
}

size_t DeviceScheduler::bulk_waiting() const {
  MutexLock lock(&mutex_);
  return turns_.size();
}

}  // namespace stylex
