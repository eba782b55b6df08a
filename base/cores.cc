#include "base/cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/control_group.h"

namespace stylex {
namespace {

// Cores of the scheduler's mask; 0 if unknown.
int CoresOfMask() {
  constexpr size_t kMaxCores = 1 << 16;
  cpu_set_t* const set = CPU_ALLOC(kMaxCores);
  const size_t size = CPU_ALLOC_SIZE(kMaxCores);
  const int cores = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
  CPU_FREE(set);
  return cores;
}

// The quota of the group in `folder`, in cores; 0 if there is none.
double QuotaIn(const std::string& folder) {
  double quota_us = 0;
  double period_us = 0;
  if (std::ifstream version_2(folder + "/cpu.max"); version_2 >> quota_us >> period_us) {
    return period_us > 0 ? quota_us / period_us : 0;
  }
  std::ifstream quota(folder + "/cpu.cfs_quota_us");
  std::ifstream period(folder + "/cpu.cfs_period_us");
  const bool read = static_cast<bool>(quota >> quota_us) && static_cast<bool>(period >> period_us);
  return read && quota_us > 0 && period_us > 0 ? quota_us / period_us : 0;
}

}  // namespace

double CgroupCores(const std::string& membership, const std::string& root) {
  double least = 0;
  for (const std::string& folder : ControlGroupFolders(membership, root, "cpu")) {
    const double quota = QuotaIn(folder);
    if (quota > 0 && (least == 0 || quota < least)) {
      least = quota;
    }
  }
  return least;
}

int AvailableCores() {
  const int of_mask = CoresOfMask();
  const int cores =
      std::max(1, of_mask > 0 ? of_mask : static_cast<int>(std::thread::hardware_concurrency()));
  const double quota = CgroupCores(OwnControlGroups(), kControlGroupRoot);
  return quota > 0 ? std::clamp(static_cast<int>(quota), 1, cores) : cores;
}

}  // namespace stylex
