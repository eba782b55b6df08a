// Returns freed memory to the system while the server has nothing to do.
//
// The heap keeps what was freed (base/heap.h), which is fast, but after a wave of large requests
// would never be given back.
#ifndef STYLEX_SERVER_SCHEDULING_IDLE_MEMORY_H_
#define STYLEX_SERVER_SCHEDULING_IDLE_MEMORY_H_

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace stylex {

class IdleMemory {
 public:
  struct Options {
    // Whether no request is held. Must be thread-safe.
    std::function<bool()> idle;
    absl::Duration interval = absl::Seconds(2);  // between looks
    int64_t growth = 64 << 20;  // bytes of resident memory since the last time that are worth it
  };

  explicit IdleMemory(Options options);
  ~IdleMemory();
  IdleMemory(const IdleMemory&) = delete;
  IdleMemory& operator=(const IdleMemory&) = delete;

 private:
  void Watch();

  const Options options_;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// Memory of this process that is in RAM, in bytes; 0 if unknown.
int64_t ResidentBytes();

}  // namespace stylex

#endif  // STYLEX_SERVER_SCHEDULING_IDLE_MEMORY_H_
