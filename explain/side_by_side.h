// Runs pieces of work of the searches in parallel, one per core.
#ifndef STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
#define STYLEX_EXPLAIN_SIDE_BY_SIDE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "explain/style_space.h"

namespace stylex {

// Calls work(i, stop) for 0 <= i < count, on all cores if `parallel`, else one after another;
// returns the first failure, after which no more pieces start. CANCELLED if `cancelled`, which may
// be empty, returns true. `cancelled` is called before each piece, only on the caller's thread: it
// may lend the device to others for a while, so no piece starts while it runs. `stop` checks for
// cancellation within a piece; any thread may call it.
absl::Status SideBySide(int64_t count, bool parallel, const Cancelled& cancelled,
                        const std::function<absl::Status(int64_t i, const Cancelled& stop)>& work);

// Makes all SideBySide calls of this process that use several cores leave one to others for this
// long, so that the threads that deliver an interactive answer get a core at once.
void LeaveACoreFor(absl::Duration time);

// Calls work() on the caller's thread with LibTorch's parallelism disabled: for passes of one
// image, which LibTorch's threads, which synchronise after every operator, would slow down.
void OnOneCore(const std::function<void()>& work);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
