// In a child process each, because these settings are for a whole process and cannot be taken back.
#include "base/heap.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

// Sanitizers have a heap of their own.
#if defined(__GLIBC__) && !defined(STYLEX_SANITIZED)

namespace stylex {
namespace {

constexpr size_t kBlock = size_t{8} << 20;

int64_t ResidentPages() {
  std::ifstream file("/proc/self/statm");
  int64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident;
}

int64_t PageFaults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Allocates, writes and frees a block of 8 MB, as an operator does with a tensor.
void UseABlock() {
  void* const block = malloc(kBlock);
  memset(block, 1, kBlock);
  asm volatile("" : : "r"(block) : "memory");  // else the compiler leaves all of it out
  free(block);
}

// The exit status of a child that runs `body`.
template <typename Body>
int InAChild(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(body());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(HeapTest, FreedMemoryIsUsedAgainWithoutNewPages) {
  const int kept = InAChild([] {
    KeepFreedMemory();
    UseABlock();
    const int64_t before = PageFaults();
    for (int i = 0; i < 20; ++i) {
      UseABlock();
    }
    // Without it each block is mapped anew: 2048 pages, or a few huge ones, each time.
    return PageFaults() - before < 20 ? 0 : 1;
  });
  EXPECT_EQ(kept, 0);
}

TEST(HeapTest, WhatIsKeptCanBeReturned) {
  const int returned = InAChild([] {
    KeepFreedMemory();
    UseABlock();
    const int64_t before = ResidentPages();
    ReturnFreedMemory();
    const auto block = static_cast<int64_t>(kBlock) / sysconf(_SC_PAGESIZE);
    return before - ResidentPages() > block / 2 ? 0 : 1;
  });
  EXPECT_EQ(returned, 0);
}

TEST(HeapTest, AServersLargeBlocksAreReturnedAtOnce) {
  const int returned = InAChild([] {
    KeepFreedMemory();
    ShareFewArenas();
    constexpr size_t kPhotograph = size_t{48} << 20;
    const int64_t before = ResidentPages();
    void* const block = malloc(kPhotograph);
    memset(block, 1, kPhotograph);
    asm volatile("" : : "r"(block) : "memory");
    const int64_t held = ResidentPages() - before;
    free(block);
    const int64_t left = ResidentPages() - before;
    return held > 0 && left < held / 4 ? 0 : 1;
  });
  EXPECT_EQ(returned, 0);
}

}  // namespace
}  // namespace stylex

#endif
