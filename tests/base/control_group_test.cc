#include "base/control_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/cores.h"
#include "base/memory_limit.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;

class ControlGroupTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = root() + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  const std::string& root() const { return folder_.path(); }

  TemporaryFolder folder_;
};

TEST_F(ControlGroupTest, FoldersLeadFromTheGroupToTheRoot) {
  EXPECT_THAT(ControlGroupFolders("0::/a/b\n", "/r", "cpu"), ElementsAre("/r/a/b", "/r/a", "/r"));
  EXPECT_THAT(ControlGroupFolders("5:cpuacct,cpu:/c\n4:memory:/m\n", "/r", "cpu"),
              ElementsAre("/r/cpu/c", "/r/cpu"));
  EXPECT_THAT(ControlGroupFolders("0::/\n", "/r", "memory"), ElementsAre("/r"));
  EXPECT_TRUE(ControlGroupFolders("", "/r", "cpu").empty());
}

TEST_F(ControlGroupTest, TheTightestQuotaCounts) {
  Write("cpu.max", "max 100000\n");
  Write("pod/cpu.max", "250000 100000\n");
  Write("pod/container/cpu.max", "800000 100000\n");
  EXPECT_EQ(CgroupCores("0::/pod/container\n", root()), 2.5);
  EXPECT_EQ(CgroupCores("0::/elsewhere\n", root()), 0);
  Write("cpu/old/cpu.cfs_quota_us", "150000\n");
  Write("cpu/old/cpu.cfs_period_us", "100000\n");
  Write("cpu/free/cpu.cfs_quota_us", "-1\n");
  Write("cpu/free/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCores("3:cpu,cpuacct:/old\n", root()), 1.5);
  EXPECT_EQ(CgroupCores("3:cpu,cpuacct:/free\n", root()), 0);
}

TEST_F(ControlGroupTest, TheTightestMemoryLimitCounts) {
  Write("memory.max", "max\n");
  Write("pod/memory.max", "2147483648\n");
  Write("pod/container/memory.max", "max\n");
  EXPECT_EQ(CgroupMemory("0::/pod/container\n", root()), int64_t{2} << 30);
  EXPECT_EQ(CgroupMemory("0::/\n", root()), 0);
  Write("memory/old/memory.limit_in_bytes", "1000000\n");
  EXPECT_EQ(CgroupMemory("3:memory:/old\n", root()), 1000000);
  EXPECT_GT(AvailableMemory(), 0);
}

TEST_F(ControlGroupTest, CoresHeedTheSchedulersMask) {
  EXPECT_GE(AvailableCores(), 1);
  int pinned = 0;
  std::thread([&pinned] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    pinned = AvailableCores();
  }).join();
  EXPECT_EQ(pinned, 1);
}

}  // namespace
}  // namespace stylex
