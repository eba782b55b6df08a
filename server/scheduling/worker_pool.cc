#include "server/scheduling/worker_pool.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

namespace stylex {
namespace {

// Weight of the last job in the moving average.
constexpr double kLastJob = 1.0 / 8;
constexpr absl::Duration kLongestWait =
    absl::Hours(1);  // at a time; a wait without end would not wait

}  // namespace

WorkerPool::WorkerPool(const Options& options) : options_(options) {
  for (int i = 0; i < options.workers; ++i) {
    threads_.emplace_back([this] { Work(); });
  }
}

WorkerPool::~WorkerPool() {
  std::deque<Job> left;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    stopping_ = true;
    left.swap(queue_);
    while (!sleepers_.empty()) {
      WakeOne();
    }
  }
  for (const Job& job : left) {
    job.drop();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

bool WorkerPool::Submit(Job job) {
  std::vector<Job> unwanted;
  bool accepted = false;
  {
    MutexLock lock(&mutex_);
    if (!closed_ && queue_.size() >= options_.max_queue) {
      unwanted = TakeUnwanted();
    }
    if (!closed_ && queue_.size() < options_.max_queue) {
      queue_.push_back(std::move(job));
      accepted = true;
      WakeOne();
    }
  }
  for (const Job& dropped : unwanted) {
    dropped.drop();
  }
  return accepted;
}

std::vector<Job> WorkerPool::TakeUnwanted() {
  const auto first = std::stable_partition(queue_.begin(), queue_.end(),
                                           [](const Job& job) { return job.wanted(); });
  std::vector<Job> unwanted(std::make_move_iterator(first), std::make_move_iterator(queue_.end()));
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

Job WorkerPool::TakeNext() {
  const auto at_work = [this](const Job& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = at_work_.find(job.client);
    return found == at_work_.end() ? 0 : found->second;
  };
  auto next = queue_.begin();
  int fewest = at_work(*next);
  for (auto job = std::next(next); job != queue_.end() && fewest > 0; ++job) {
    if (const int count = at_work(*job); count < fewest) {
      fewest = count;
      next = job;
    }
  }
  ++at_work_[next->client];
  ++running_;
  Job job = std::move(*next);
  queue_.erase(next);
  return job;
}

void WorkerPool::Leave(const std::string& client) {
  --running_;
  if (const auto found = at_work_.find(client); --found->second == 0) {
    at_work_.erase(found);
  }
}

void WorkerPool::Work() {
  if (options_.on_start) {
    options_.on_start();
  }
  while (true) {
    Job job;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) {
        Sleep();
      }
      if (stopping_) {
        return;
      }
      job = TakeNext();
    }
    const bool wanted = job.wanted();
    const absl::Time start = options_.clock->Now();
    if (wanted) {
      job.run();
    } else {
      job.drop();
    }
    const absl::Duration took = options_.clock->Now() - start;
    const std::string client = std::move(job.client);
    job = {};  // releases what it holds (model, image) before it counts as done
    MutexLock lock(&mutex_);
    Leave(client);
    if (wanted) {
      usual_run_ =
          usual_run_ == absl::ZeroDuration() ? took : usual_run_ + (took - usual_run_) * kLastJob;
    }
    if (queue_.empty() && running_ == 0) {
      all_through_.NotifyAll();
    }
  }
}

}  // namespace stylex
