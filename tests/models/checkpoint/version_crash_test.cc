// State of the repository after writing a version was interrupted by a kill or a full disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>

#include "models/checkpoint/version_directory.h"
#include "tests/models/checkpoint/test_files.h"
#include "tests/models/checkpoint/valid_config.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

constexpr size_t kWeightBytes = 1 << 20;

std::map<std::string, std::string> BigFiles(char letter) {
  return {{kWeightsFile, std::string(kWeightBytes, letter)},
          {kClassifierFile, std::string(1000, letter)},
          {kAttributesFile, std::string(1, letter)}};
}

// Runs `work` in a separate process, so that it cannot affect the test's process.
pid_t InChild(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is stopped leaves no writer behind
    _exit(work());
  }
  EXPECT_GT(child, 0);
  return child;
}

int ExitCode(pid_t child) {
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Waits until an unfinished folder under `model` has `count` entries. (False: the child has ended.)
bool WaitForUnfinished(const std::string& model, int count, pid_t child) {
  while (waitpid(child, nullptr, WNOHANG) == 0) {
    std::error_code ignored;  // entries vanish while they are looked at
    for (fs::directory_iterator entry(model, ignored); entry != fs::directory_iterator();
         entry.increment(ignored)) {
      if (entry->path().filename().string().starts_with(".tmp-")) {
        int entries = 0;
        for (fs::directory_iterator file(entry->path(), ignored); file != fs::directory_iterator();
             file.increment(ignored)) {
          ++entries;
        }
        if (entries >= count) {
          return true;
        }
      }
    }
  }
  return false;
}

void Kill(pid_t child) {
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

class KilledWriterTest : public testing::TestWithParam<int> {};

TEST_P(KilledWriterTest, LeavesWholeVersionsOnly) {
  const TemporaryFolder root;
  const pid_t child = InChild([&] {
    while (WriteVersion(ValidConfig(), BigFiles('a'), root.path(), "tiny", 0, false).ok()) {
    }
    return 1;
  });
  ASSERT_TRUE(WaitForUnfinished(root / "tiny", GetParam(), child));
  Kill(child);
  const absl::StatusOr<std::vector<ModelVersion>> versions = ListVersions(root.path());
  ASSERT_TRUE(versions.ok());
  for (const ModelVersion& version : *versions) {
    EXPECT_TRUE(ReadVersion(version.path).ok()) << ReadVersion(version.path).status();
  }
  // Leftovers do not hinder the next writer.
  const absl::StatusOr<std::string> next =
      WriteVersion(ValidConfig(), BigFiles('b'), root.path(), "tiny", 0, false);
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(ReadVersion(*next).ok());
}

TEST_P(KilledWriterTest, LeavesTheOldOrTheNewVersion) {
  const TemporaryFolder root;
  const std::string version =
      WriteVersion(ValidConfig(), BigFiles('a'), root.path(), "tiny", 1, false).value();
  const pid_t child = InChild([&] {
    while (UpdateVersion(version, ValidConfig(), BigFiles('b')).ok() &&
           UpdateVersion(version, ValidConfig(), BigFiles('a')).ok()) {
    }
    return 1;
  });
  ASSERT_TRUE(WaitForUnfinished(root / "tiny", GetParam(), child));
  Kill(child);
  EXPECT_TRUE(ReadVersion(version).ok()) << ReadVersion(version).status();
  EXPECT_EQ(ListVersions(root.path())->size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(AfterSoManyFiles, KilledWriterTest, testing::Values(0, 1, 2, 3, 4));

// Returns the status code, or 100 if any part of the version is visible.
int WriteWithoutSpace(const std::string& root) {
  const absl::Status status =
      WriteVersion(ValidConfig(), BigFiles('a'), root, "tiny", 0, false).status();
  const bool visible = !fs::is_empty(fs::path(root) / "tiny");
  return visible ? 100 : static_cast<int>(status.code());
}

TEST(FullDiskTest, AFileSizeLimitIsResourceExhaustedAndLeavesNothing) {
  const TemporaryFolder root;
  const pid_t child = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {kWeightBytes / 2, kWeightBytes / 2};
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 ? WriteWithoutSpace(root.path()) : 101;
  });
  EXPECT_EQ(ExitCode(child), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre());
}

TEST(FullDiskTest, AFullFileSystemIsResourceExhaustedAndLeavesNothing) {
  constexpr int kMayNotMount = 102;
  const TemporaryFolder root;
  const pid_t child = InChild([&] {
    // Private to this process: other processes do not see the mount, and it disappears with the
    // process.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", root.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
      return kMayNotMount;
    }
    return WriteWithoutSpace(root.path());
  });
  const int code = ExitCode(child);
  if (code == kMayNotMount) {
    GTEST_SKIP() << "this user may not mount a small file system";
  }
  EXPECT_EQ(code, static_cast<int>(absl::StatusCode::kResourceExhausted));
}

TEST(FullDiskTest, AnUpdateThatDoesNotFitLeavesTheOldVersion) {
  const TemporaryFolder root;
  const std::string version =
      WriteVersion(ValidConfig(), {{kWeightsFile, "old"}}, root.path(), "tiny", 1, false).value();
  const pid_t child = InChild([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {kWeightBytes / 2, kWeightBytes / 2};
    setrlimit(RLIMIT_FSIZE, &limit);
    return static_cast<int>(UpdateVersion(version, ValidConfig(), BigFiles('b')).code());
  });
  EXPECT_EQ(ExitCode(child), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(ReadVersion(version).ok());
  EXPECT_EQ(GetFile(version + "/weights.safetensors"), "old");
  EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre("1"));
}

}  // namespace
}  // namespace stylex
