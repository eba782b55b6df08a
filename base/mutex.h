// std::mutex with clang's thread-safety annotations. (Not absl::Mutex: Debian's prebuilt Abseil has
// no thread-sanitizer annotations, which causes false reports of races.)
#ifndef STYLEX_BASE_MUTEX_H_
#define STYLEX_BASE_MUTEX_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace stylex {

class ABSL_LOCKABLE Mutex {
 public:
  // Blocks until no other thread holds it.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  // Only by the thread that holds it.
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  // Locks `mutex`, which must outlive this.
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(*mutex) {
    mutex_.Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits while the caller holds the mutex; wake-ups may be spurious, so wait in a loop.
class CondVar {
 public:
  // Unlocks `mutex`, waits for a notification (or wakes without one), and locks it again.
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when `timeout` passed without a notification.
  bool WaitFor(Mutex* mutex, std::chrono::nanoseconds timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const bool notified = condition_.wait_for(lock, timeout) == std::cv_status::no_timeout;
    lock.release();
    return notified;
  }
  // Wakes one waiting thread, if any.
  void NotifyOne() { condition_.notify_one(); }
  // Wakes all waiting threads.
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace stylex

#endif  // STYLEX_BASE_MUTEX_H_
