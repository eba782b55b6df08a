// The control groups (cgroups) that a process is in.
#ifndef STYLEX_BASE_CONTROL_GROUP_H_
#define STYLEX_BASE_CONTROL_GROUP_H_

#include <string>
#include <vector>

namespace stylex {

// The folders in which the files of `controller` ("cpu", "memory") may be: of this process's groups
// of version 2, then of version 1, each from the innermost group up to the root of the hierarchy.
// In a container the paths of the outer system may not exist below `root`; its root then stands for
// the group. `membership` is the text of /proc/self/cgroup, `root` is /sys/fs/cgroup.
std::vector<std::string> ControlGroupFolders(const std::string& membership, const std::string& root,
                                             const std::string& controller);

// The text of /proc/self/cgroup; empty where there are no control groups.
std::string OwnControlGroups();

inline constexpr char kControlGroupRoot[] = "/sys/fs/cgroup";

}  // namespace stylex

#endif  // STYLEX_BASE_CONTROL_GROUP_H_
