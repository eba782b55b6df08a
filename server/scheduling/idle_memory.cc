#include "server/scheduling/idle_memory.h"

#include <unistd.h>

#include <fstream>
#include <utility>

#include "base/exceptions.h"
#include "base/heap.h"

namespace stylex {

IdleMemory::IdleMemory(Options options) : options_(std::move(options)) {
  thread_ = std::thread([this] { Watch(); });
}

IdleMemory::~IdleMemory() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void IdleMemory::Watch() {
  int64_t kept = 0;
  MutexLock lock(&mutex_);
  while (!stopping_) {
    // Without memory for a look, the next one follows.
    WithoutExceptions([&] {
      if (options_.idle() && ResidentBytes() > kept + options_.growth) {
        ReturnFreedMemory();
        kept = ResidentBytes();
      }
      return absl::OkStatus();
    }).IgnoreError();
    wake_.WaitFor(&mutex_, absl::ToChronoNanoseconds(options_.interval));
  }
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace stylex
