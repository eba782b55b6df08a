// How the searches use the cores: pieces of work side by side, each on one of them.
#ifndef STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
#define STYLEX_EXPLAIN_SIDE_BY_SIDE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "explain/style_space.h"

namespace stylex {

// Calls work(i, stop) for 0 <= i < count, on all cores if `parallel`, else one after another;
// returns the first failure, after which no more pieces begin. CANCELLED when `cancelled`, which
// may be empty, says so. `cancelled` is called before each piece, on the caller's thread alone: the
// caller may use it to let others have the device for a while, so nobody begins a piece meanwhile.
// `stop` is the same question for the middle of a piece; any thread may ask it.
absl::Status SideBySide(int64_t count, bool parallel, const Cancelled& cancelled,
                        const std::function<absl::Status(int64_t i, const Cancelled& stop)>& work);

// Asks all SideBySide of this process to leave one core, where they have several, to others for so
// long from now: somebody waits for an answer, and the threads that carry it need a core at once.
void LeaveACoreFor(absl::Duration time);

// Calls work() on the caller's thread while no operator in it uses others: for passes of one image,
// which LibTorch's threads, that meet after every operator, would slow down.
void OnOneCore(const std::function<void()>& work);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
