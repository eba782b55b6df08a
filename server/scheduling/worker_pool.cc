#include "server/scheduling/worker_pool.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/exceptions.h"

namespace stylex {
namespace {

// Weight of the last job in the moving average.
constexpr double kLastJob = 1.0 / 8;
constexpr absl::Duration kLongestWait =
    absl::Hours(1);  // at a time; a wait without end would not wait

}  // namespace

WorkerPool::WorkerPool(const Options& options) : options_(options) {
  {
    MutexLock lock(&mutex_);
    sleepers_.reserve(static_cast<size_t>(options.workers));
  }
  for (int i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

WorkerPool::~WorkerPool() {
  std::deque<Place> left;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    stopping_ = true;
    left.swap(queue_);
    while (!sleepers_.empty()) {
      WakeOne();
    }
  }
  for (const Place& place : left) {
    Drop(place.job);
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

bool WorkerPool::Submit(Job job) {
  std::vector<Job> unwanted;
  const absl::Cleanup drop = [this, &unwanted] {
    for (const Job& dropped : unwanted) {
      Drop(dropped);
    }
  };
  bool accepted = false;
  {
    MutexLock lock(&mutex_);
    if (!closed_ && queue_.size() >= options_.max_queue) {
      unwanted = TakeUnwanted();
    }
    if (!closed_ && queue_.size() < options_.max_queue) {
      Push(std::move(job));
      accepted = true;
      WakeOne();
    }
  }
  return accepted;
}

void WorkerPool::Push(Job job) {
  const auto client = clients_.try_emplace(job.client).first;
  ++client->second.jobs;
  absl::Cleanup undo = [this, client]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { Leave(client); };
  queue_.push_back({std::move(job), client});
  std::move(undo).Cancel();
}

std::vector<Job> WorkerPool::TakeUnwanted() {
  const auto first = std::stable_partition(queue_.begin(), queue_.end(),
                                           [](const Place& place) { return IsWanted(place.job); });
  std::vector<Job> unwanted;
  unwanted.reserve(static_cast<size_t>(queue_.end() - first));
  for (auto place = first; place != queue_.end(); ++place) {
    unwanted.push_back(std::move(place->job));
    Leave(place->client);
  }
  queue_.erase(first, queue_.end());
  return unwanted;
}

bool WorkerPool::Drain(absl::Duration timeout) {
  const absl::Time deadline = Clock::Real().Now() + timeout;
  MutexLock lock(&mutex_);
  closed_ = true;
  while (!queue_.empty() || running_ > 0) {
    const absl::Duration left = deadline - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) {
      return false;
    }
    all_through_.WaitFor(&mutex_, absl::ToChronoNanoseconds(std::min(left, kLongestWait)));
  }
  return true;
}

absl::Duration WorkerPool::EstimatedWait() const {
  MutexLock lock(&mutex_);
  return usual_run_ * static_cast<int64_t>(queue_.size()) / options_.workers;
}

size_t WorkerPool::waiting() const {
  MutexLock lock(&mutex_);
  return queue_.size();
}

size_t WorkerPool::running() const {
  MutexLock lock(&mutex_);
  return running_;
}

void WorkerPool::Sleep() {
  Sleeper self;
  sleepers_.push_back(&self);
  if (options_.stay_awake > absl::ZeroDuration() && !somebody_awake_) {
    somebody_awake_ = true;
    mutex_.Unlock();
    const absl::Time until = Clock::Real().Now() + options_.stay_awake;
    while (!self.called && Clock::Real().Now() < until) {
      std::this_thread::yield();
    }
    mutex_.Lock();
    somebody_awake_ = false;
  }
  while (!self.called) {
    self.wake.Wait(&mutex_);
  }
}

void WorkerPool::WakeOne() {
  if (!sleepers_.empty()) {
    sleepers_.back()->called = true;
    sleepers_.back()->wake.NotifyOne();
    sleepers_.pop_back();
  }
}

WorkerPool::Place WorkerPool::TakeNext() {
  auto next = queue_.begin();
  for (auto place = std::next(next); place != queue_.end() && next->client->second.at_work > 0;
       ++place) {
    if (place->client->second.at_work < next->client->second.at_work) {
      next = place;
    }
  }
  ++next->client->second.at_work;
  ++running_;
  Place taken = std::move(*next);
  queue_.erase(next);
  return taken;
}

void WorkerPool::Leave(Clients::iterator client) {
  if (--client->second.jobs == 0) {
    clients_.erase(client);
  }
}

bool WorkerPool::IsWanted(const Job& job) noexcept {
  try {
    return job.wanted();
  } catch (...) {
    return true;
  }
}

void WorkerPool::Tell(const absl::Status& status) const noexcept {
  if (!status.ok() && options_.on_error) {
    // What telling throws cannot be told.
    WithoutExceptions([&] {
      options_.on_error(status);
      return absl::OkStatus();
    }).IgnoreError();
  }
}

void WorkerPool::Drop(const Job& job) const noexcept {
  Tell(WithoutExceptions([&] {
    job.drop();
    return absl::OkStatus();
  }));
}

void WorkerPool::RunOrDrop(const Job& job) noexcept {
  if (!IsWanted(job)) {
    Drop(job);
    return;
  }
  const absl::Time start = options_.clock->Now();
  Tell(WithoutExceptions([&] {
    job.run();
    return absl::OkStatus();
  }));
  const absl::Duration took = options_.clock->Now() - start;
  MutexLock lock(&mutex_);
  usual_run_ =
      usual_run_ == absl::ZeroDuration() ? took : usual_run_ + (took - usual_run_) * kLastJob;
}

void WorkerPool::Work() {
  Tell(WithoutExceptions([this] {
    if (options_.on_start) {
      options_.on_start();
    }
    return absl::OkStatus();
  }));
  while (true) {
    Place place;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) {
        Sleep();
      }
      if (stopping_) {
        return;
      }
      place = TakeNext();
    }
    RunOrDrop(place.job);
    place.job = {};  // releases what it holds (model, image) before it counts as done
    MutexLock lock(&mutex_);
    --running_;
    --place.client->second.at_work;
    Leave(place.client);
    if (queue_.empty() && running_ == 0) {
      all_through_.NotifyAll();
    }
  }
}

}  // namespace stylex
