#include "base/folder_lock.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

TEST(FolderLockTest, OnlyOneHoldsIt) {
  const TemporaryFolder folder;
  std::optional<FolderLock> first = FolderLock::Take(folder.path()).value();
  EXPECT_EQ(FolderLock::Take(folder.path()).status().message(),
            folder.path() + ": another run is at work in this folder");
  std::optional<FolderLock> moved = std::move(first);
  first.reset();
  EXPECT_FALSE(FolderLock::Take(folder.path()).ok()) << "it goes with the one it was moved to";
  moved.reset();
  EXPECT_TRUE(FolderLock::Take(folder.path()).ok());
}

TEST(FolderLockTest, WithoutTheFolderTheFileIsNamed) {
  const TemporaryFolder folder;
  const absl::Status status = FolderLock::Take(folder / "no").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(absl::StartsWith(status.message(), folder / "no/lock: cannot be created: "));
}

}  // namespace
}  // namespace stylex
