#include "base/memory_limit.h"

#include <unistd.h>

#include <fstream>

#include "base/control_group.h"

namespace stylex {
namespace {

// The limit of the group in `folder`, in bytes; 0 if there is none ("max" is no number).
int64_t LimitIn(const std::string& folder) {
  for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
    int64_t bytes = 0;
    if (std::ifstream file(folder + name); file >> bytes) {
      return bytes;
    }
  }
  return 0;
}

}  // namespace

int64_t CgroupMemory(const std::string& membership, const std::string& root) {
  int64_t least = 0;
  for (const std::string& folder : ControlGroupFolders(membership, root, "memory")) {
    const int64_t limit = LimitIn(folder);
    if (limit > 0 && (least == 0 || limit < least)) {
      least = limit;
    }
  }
  return least;
}

int64_t AvailableMemory() {
  const int64_t machine =
      static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  const int64_t limit = CgroupMemory(OwnControlGroups(), kControlGroupRoot);
  return limit > 0 && limit < machine ? limit : machine;
}

}  // namespace stylex
