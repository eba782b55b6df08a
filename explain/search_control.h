// How a search computes, as opposed to what it looks for: handed through to every pass.
#ifndef STYLEX_EXPLAIN_SEARCH_CONTROL_H_
#define STYLEX_EXPLAIN_SEARCH_CONTROL_H_

#include <cstdint>
#include <functional>

#include "base/core_budget.h"

namespace stylex {

// Gives way to others between two chunks of a search, for which it may wait. False: the search is
// no longer wanted and should stop.
using GiveWay = std::function<bool()>;

struct SearchControl {
  // Images (variants) synthesized and classified at once; fewer on the CPU if the activations are
  // large.
  int64_t batch_size = 64;
  // Called between chunks, only on the thread that called the search. May be empty. A search that
  // is told to stop returns CANCELLED.
  GiveWay give_way = nullptr;
  // Called on the same thread with the evaluations done and their total, which may be an estimate.
  // May be empty.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;
  // How many cores the search may use at the moment; null: all. Must outlive the search.
  const CoreBudget* cores = nullptr;
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_SEARCH_CONTROL_H_
