// Replacing a version on a file system that cannot exchange two names atomically, like some network
// file systems: this program's renameat2 fails as theirs does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "models/checkpoint/version_directory.h"
#include "tests/models/checkpoint/test_files.h"
#include "tests/models/checkpoint/valid_config.h"

namespace {

int renameat2_error = EINVAL;
int renameat2_calls = 0;

}  // namespace

extern "C" int renameat2(int, const char*, int, const char*, unsigned int) noexcept {
  ++renameat2_calls;
  errno = renameat2_error;
  return -1;
}

namespace stylex {
namespace {

using testing::ElementsAre;

absl::Status Replace(const TemporaryFolder& root, const std::string& weights) {
  return WriteVersion(ValidConfig(), {{kWeightsFile, weights}}, root.path(), "tiny", 1, true)
      .status();
}

TEST(VersionExchangeTest, ReplacesInTwoSteps) {
  for (const int error : {EINVAL, ENOSYS}) {
    renameat2_error = error;
    const TemporaryFolder root;
    ASSERT_TRUE(Replace(root, "old").ok());
    renameat2_calls = 0;
    ASSERT_TRUE(Replace(root, "new").ok());
    EXPECT_EQ(renameat2_calls, 1);
    EXPECT_EQ(GetFile(root / "tiny/1/weights.safetensors"), "new");
    EXPECT_TRUE(ReadVersion(root / "tiny/1").ok());
    EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre("1"));
  }
}

TEST(VersionExchangeTest, AnotherFailureKeepsTheOldVersion) {
  renameat2_error = EACCES;
  const TemporaryFolder root;
  ASSERT_TRUE(Replace(root, "old").ok());
  const absl::Status status = Replace(root, "new");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(root / "tiny/1"));
  EXPECT_EQ(GetFile(root / "tiny/1/weights.safetensors"), "old");
  EXPECT_TRUE(ReadVersion(root / "tiny/1").ok());
  EXPECT_THAT(NamesIn(root / "tiny"), ElementsAre("1"));
}

}  // namespace
}  // namespace stylex
