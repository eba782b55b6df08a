// For tests of what reports progress: keeps the warnings, shows nothing.
#ifndef STYLEX_TESTS_TRAINER_DATA_SILENT_PROGRESS_H_
#define STYLEX_TESTS_TRAINER_DATA_SILENT_PROGRESS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "trainer/data/progress.h"

namespace stylex {

class SilentProgress : public Progress {
 public:
  void Warn(const std::string& message) override {
    const MutexLock lock(&mutex_);
    warnings_.push_back(message);
  }
  void Start(const std::string&, int64_t, int64_t) override {}
  void Advance(int64_t, const std::string&) override {}
  void End() override {}

  std::vector<std::string> warnings() {
    const MutexLock lock(&mutex_);
    return warnings_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> warnings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace stylex

#endif  // STYLEX_TESTS_TRAINER_DATA_SILENT_PROGRESS_H_
