// Measures the peak memory of code.
#ifndef STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_
#define STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_

#include <functional>

namespace stylex {

// Runs `body` in a new child process and returns the growth of its peak resident memory in MiB; 255
// if it is more, or if the child dies.
int PeakGrowthMebibytes(const std::function<void()>& body);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_
