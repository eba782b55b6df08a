// Runs pieces of work of the searches in parallel, one per core.
#ifndef STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
#define STYLEX_EXPLAIN_SIDE_BY_SIDE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "explain/search_control.h"

namespace stylex {

enum class Pieces {
  kLong,
  kBrief,  // of a few milliseconds: few of them are done before a core that becomes free could help
};

// Calls work(i, within) for 0 <= i < count, on all cores if `parallel`, else one after another;
// returns the first failure, after which no more pieces start. CANCELLED if `control` tells it to
// stop. Its give_way is called before each piece, only on the caller's thread, and no piece starts
// meanwhile, as the device may be lent to others. `within` does the same within a piece; any thread
// may call it. While `control.cores` allows fewer cores, the other threads rest. Batch size and
// progress are not used. What `work` or give_way throws is a failure, see WithoutExceptions.
absl::Status SideBySide(int64_t count, bool parallel, const SearchControl& control,
                        const std::function<absl::Status(int64_t i, const GiveWay& within)>& work,
                        Pieces pieces = Pieces::kLong);

// Calls work() on the caller's thread with LibTorch's parallelism disabled: for passes of one
// image, which LibTorch's threads, which synchronise after every operator, would slow down.
void OnOneCore(const std::function<void()>& work);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SIDE_BY_SIDE_H_
