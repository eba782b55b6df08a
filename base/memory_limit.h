// How much memory this process may use.
#ifndef STYLEX_BASE_MEMORY_LIMIT_H_
#define STYLEX_BASE_MEMORY_LIMIT_H_

#include <cstdint>
#include <string>

namespace stylex {

// Bytes: the least of the machine's memory and the limits of the control groups that this process
// is in (versions 1 and 2, all levels up to the root).
int64_t AvailableMemory();

// The limit that the control groups `membership` (the text of /proc/self/cgroup), mounted at
// `root`, set in bytes; 0 if there is none.
int64_t CgroupMemory(const std::string& membership, const std::string& root);

}  // namespace stylex

#endif  // STYLEX_BASE_MEMORY_LIMIT_H_
