// An injectable clock, so that deadlines and delays are tested without waiting.
#ifndef STYLEX_BASE_CLOCK_H_
#define STYLEX_BASE_CLOCK_H_

#include "absl/time/time.h"

namespace stylex {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic: for durations and deadlines, not for dates shown to people.
  virtual absl::Time Now() const = 0;

  // The machine's monotonic clock; a step of the date does not move it. Lives for the whole
  // process.
  static const Clock& Real();
};

}  // namespace stylex

#endif  // STYLEX_BASE_CLOCK_H_
