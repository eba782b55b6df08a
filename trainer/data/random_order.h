// Random numbers and orders that are a function of a seed and of what they are for, so that a run
// that was stopped goes on as if it had never been, and needs no generator's state for it.
#ifndef STYLEX_TRAINER_DATA_RANDOM_ORDER_H_
#define STYLEX_TRAINER_DATA_RANDOM_ORDER_H_

#include <cstdint>
#include <vector>

namespace stylex {

// A seed for the random generator, derived from the run's seed, the step and a purpose: random
// numbers are thus a function of the step, and resuming needs no generator state.
uint64_t SeedFor(uint64_t seed, uint64_t step, uint64_t purpose);

// A permutation of 0 .. n-1 that depends on the seed and the epoch alone.
std::vector<int64_t> EpochOrder(int64_t n, uint64_t seed, int64_t epoch);

// The first `count` indices of epoch 0's order; all of them if `count` is 0 or exceeds n.
std::vector<int64_t> DrawnIndices(int64_t n, uint64_t seed, int64_t count);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_RANDOM_ORDER_H_
