// What a piece of code costs in memory.
#ifndef STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_
#define STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_

#include <functional>

namespace stylex {

// Runs `body` in a child process, whose peak nothing before has raised, and gives by how many MiB
// the resident memory grew; 255 stands for more, and for a child that dies.
int PeakGrowthMebibytes(const std::function<void()>& body);

}  // namespace stylex

#endif  // STYLEX_TESTS_IMAGE_PEAK_MEMORY_H_
