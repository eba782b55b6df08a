// Limits of control groups as containers have them: both versions, unlimited levels, files that
// hold no number.
#include "base/memory_limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/cores.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

// A hierarchy as below /sys/fs/cgroup.
class Hierarchy {
 public:
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = folder_.path() + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  const std::string& root() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

TEST(CgroupMemoryTest, AContainerSeesItsOwnGroupAsTheRoot) {
  Hierarchy groups;
  groups.Write("memory.max", "536870912\n");
  // The path is the host's; nothing of it exists in here.
  EXPECT_EQ(CgroupMemory("0::/kubepods/pod1/container2\n", groups.root()), 536'870'912);
}

TEST(CgroupMemoryTest, OfAnOldAndANewHierarchyTheTighterCounts) {
  Hierarchy groups;
  groups.Write("a/memory.max", "3000000\n");
  groups.Write("memory/b/memory.limit_in_bytes", "2000000\n");
  EXPECT_EQ(CgroupMemory("0::/a\n7:memory:/b\n", groups.root()), 2'000'000);
  groups.Write("a/memory.max", "1000000\n");
  EXPECT_EQ(CgroupMemory("7:memory:/b\n0::/a\n", groups.root()), 1'000'000);
}

// Version 1 writes a huge number where there is no limit; the machine's memory is the limit then.
TEST(CgroupMemoryTest, TheOldHierarchysUnlimitedIsMoreThanAnyMachineHas) {
  Hierarchy groups;
  groups.Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_GT(CgroupMemory("7:memory:/\n", groups.root()), int64_t{1} << 60);
}

TEST(CgroupMemoryTest, OtherControllersLimitsAreNotMemory) {
  Hierarchy groups;
  groups.Write("cpu/a/memory.limit_in_bytes", "1000\n");
  EXPECT_EQ(CgroupMemory("3:cpu,cpuacct:/a\n", groups.root()), 0);
}

TEST(CgroupMemoryTest, WhatIsNoNumberIsNoLimit) {
  Hierarchy groups;
  for (const char* text : {"max\n", "", "unlimited", "-1\n"}) {
    groups.Write("memory.max", text);
    EXPECT_EQ(CgroupMemory("0::/\n", groups.root()), 0) << text;
  }
}

TEST(AvailableMemoryTest, IsNotMoreThanTheMachineHas) {
  const int64_t machine = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  EXPECT_GT(AvailableMemory(), int64_t{16} << 20);
  EXPECT_LE(AvailableMemory(), machine);
}

TEST(CgroupCoresTest, AContainerSeesItsOwnGroupAsTheRoot) {
  Hierarchy groups;
  groups.Write("cpu.max", "50000 100000\n");
  EXPECT_EQ(CgroupCores("0::/kubepods/pod1/container2\n", groups.root()), 0.5);
}

TEST(CgroupCoresTest, TheTightestLevelCountsWhereverItIs) {
  Hierarchy groups;
  groups.Write("cpu.max", "150000 100000\n");
  groups.Write("a/cpu.max", "max 100000\n");
  groups.Write("a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(CgroupCores("0::/a/b\n", groups.root()), 1.5);
  groups.Write("a/b/cpu.max", "20000 10000\n");
  groups.Write("cpu.max", "900000 100000\n");
  EXPECT_EQ(CgroupCores("0::/a/b\n", groups.root()), 2);
}

TEST(CgroupCoresTest, BrokenFilesAreNoQuota) {
  Hierarchy groups;
  for (const char* text : {"", "max", "100000", "100000 0\n", "many few\n"}) {
    groups.Write("cpu.max", text);
    EXPECT_EQ(CgroupCores("0::/\n", groups.root()), 0) << text;
  }
  groups.Write("cpu/x/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(CgroupCores("3:cpu:/x\n", groups.root()), 0) << "without a period";
}

TEST(CgroupCoresTest, LinesThatAreNoneAreSkipped) {
  Hierarchy groups;
  groups.Write("cpu.max", "100000 100000\n");
  EXPECT_EQ(CgroupCores("\nnonsense\n1:2\n0::/\n", groups.root()), 1);
  EXPECT_EQ(CgroupCores("nonsense", groups.root()), 0);
}

}  // namespace
}  // namespace stylex
