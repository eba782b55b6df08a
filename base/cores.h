// How many cores this process may use.
#ifndef STYLEX_BASE_CORES_H_
#define STYLEX_BASE_CORES_H_

#include <string>

namespace stylex {

// The scheduler's mask and the quotas of the control groups that this process is in (versions 1
// and 2, all levels up to the root), whichever is the least; at least 1. A quota of part of a core
// is rounded down.
int AvailableCores();

// The quota that the control groups `membership` (the text of /proc/self/cgroup), mounted at
// `root`, set in cores; 0 if there is none.
double CgroupCores(const std::string& membership, const std::string& root);

}  // namespace stylex

#endif  // STYLEX_BASE_CORES_H_
