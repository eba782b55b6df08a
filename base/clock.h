// An injectable clock, so that deadlines and delays are tested without waiting.
#ifndef STYLEX_BASE_CLOCK_H_
#define STYLEX_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace stylex {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic enough for deadlines; not meant for dates shown to people.
  virtual absl::Time Now() const = 0;

  // The machine's clock; lives for the whole process.
  static const Clock& Real();
};

}  // namespace stylex

#endif  // STYLEX_BASE_CLOCK_H_
