#include "trainer/data/random_order.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

namespace stylex {
namespace {

constexpr uint64_t kEpochOrder = 11;  // a purpose of random numbers, see SeedFor

}  // namespace

uint64_t SeedFor(uint64_t seed, uint64_t step, uint64_t purpose) {
  // splitmix64 over the three numbers.
  uint64_t state = seed;
  for (const uint64_t part : {step, purpose}) {
    state += 0x9e3779b97f4a7c15ULL + part;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebULL;
    state ^= state >> 31;
  }
  return state;
}

std::vector<int64_t> EpochOrder(int64_t n, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(SeedFor(seed, static_cast<uint64_t>(epoch), kEpochOrder));
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random() % i]);
  }
  return order;
}

std::vector<int64_t> DrawnIndices(int64_t n, uint64_t seed, int64_t count) {
  std::vector<int64_t> order = EpochOrder(n, seed, /*epoch=*/0);
  if (count > 0) {
    order.resize(std::min(order.size(), static_cast<size_t>(count)));
  }
  return order;
}

}  // namespace stylex
