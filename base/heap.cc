#include "base/heap.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace stylex {

void KeepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kMapped =
      1 << 30;  // bytes; only greater blocks are mapped, and unmapped when freed
  constexpr int kKept = 2'000'000'000;
  constexpr int kGrowth = 64 << 20;
  mallopt(M_MMAP_THRESHOLD, kMapped);
  mallopt(M_TRIM_THRESHOLD, kKept);
  mallopt(M_TOP_PAD, kGrowth);
#endif
}

void ShareFewArenas() {
#ifdef __GLIBC__
  constexpr int kArenas = 2;
  mallopt(M_ARENA_MAX, kArenas);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
#endif
}

void ReturnFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace stylex
