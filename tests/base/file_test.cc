#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  static size_t CountFiles(const std::string& folder) {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                             std::filesystem::directory_iterator()));
  }

  const TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  const std::string path_ = folder_ + "/file";
};

// Changes that affect the whole process (limits, mounts) are made in a child process, whose exit
// status is the result.
constexpr int kGood = 0;
constexpr int kBad = 1;
constexpr int kCannotTry = 77;

int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(FileTest, WritesAndReads) {
  std::string data = "any bytes";
  data.push_back('\0');
  data += std::string(300000, '\xfe');
  ASSERT_TRUE(WriteFileAtomic(path_, data).ok());
  EXPECT_EQ(*ReadFile(path_), data);
  ASSERT_TRUE(WriteFileAtomic(path_, "").ok());
  EXPECT_EQ(*ReadFile(path_), "");
  EXPECT_EQ(CountFiles(folder_), 1u);
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST_F(FileTest, WritesWithoutAFolderInTheName) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  const absl::Status status = WriteFileAtomic("here", "data");
  std::filesystem::current_path(before);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*ReadFile(folder_ + "/here"), "data");
}

TEST_F(FileTest, AReaderKeepsTheOldFile) {
  ASSERT_TRUE(WriteFileAtomic(path_, "old").ok());
  FILE* reader = std::fopen(path_.c_str(), "rb");
  ASSERT_NE(reader, nullptr);
  ASSERT_TRUE(WriteFileAtomic(path_, "new").ok());
  char bytes[4] = {};
  EXPECT_EQ(std::fread(bytes, 1, 3, reader), 3u);
  std::fclose(reader);
  EXPECT_STREQ(bytes, "old");
  EXPECT_EQ(*ReadFile(path_), "new");
}

TEST_F(FileTest, MissingIsNotFound) {
  const absl::Status status = ReadFile(path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(WriteFileAtomic(folder_ + "/none/file", "x").code(), absl::StatusCode::kNotFound);
}

TEST_F(FileTest, FolderIsNoFile) {
  EXPECT_EQ(ReadFile(folder_).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(std::filesystem::create_directory(path_));
  EXPECT_FALSE(WriteFileAtomic(path_, "x").ok());
  EXPECT_EQ(CountFiles(folder_), 1u);  // nothing temporary is left
}

TEST_F(FileTest, SizeLimitIsExact) {
  ASSERT_TRUE(WriteFileAtomic(path_, std::string(100, 'x')).ok());
  EXPECT_TRUE(ReadFile(path_, 100).ok());
  const absl::Status status = ReadFile(path_, 99).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
}

TEST_F(FileTest, EndlessFilesHitTheLimit) {
  EXPECT_EQ(ReadFile("/dev/zero", 1 << 20).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, ForbiddenIsPermissionDenied) {
  ASSERT_TRUE(WriteFileAtomic(path_, "secret").ok());
  ASSERT_EQ(chmod(path_.c_str(), 0), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0555), 0);
  const int result = InChild([this] {
    if (geteuid() == 0 && setuid(65534) != 0) {  // root may read everything
      return kCannotTry;
    }
    return ReadFile(path_).status().code() == absl::StatusCode::kPermissionDenied &&
                   WriteFileAtomic(path_, "x").code() == absl::StatusCode::kPermissionDenied
               ? kGood
               : kBad;
  });
  chmod(folder_.c_str(), 0755);
  if (result == kCannotTry) {
    GTEST_SKIP() << "cannot become a user without rights";
  }
  EXPECT_EQ(result, kGood);
}

// Writes an old file, then a new one that does not fit into `folder`.
int OverfillFolder(const std::string& folder) {
  const std::string path = folder + "/file";
  const std::string old_data(100, 'o');
  if (!WriteFileAtomic(path, old_data).ok()) {
    return kCannotTry;
  }
  const absl::Status status = WriteFileAtomic(path, std::string(1 << 20, 'n'));
  const bool told = status.code() == absl::StatusCode::kResourceExhausted &&
                    status.message().find(path) != absl::string_view::npos;
  const bool kept = ReadFile(path).value_or("") == old_data;
  const auto files = std::distance(std::filesystem::directory_iterator(folder),
                                   std::filesystem::directory_iterator());
  return told && kept && files == 1 ? kGood : kBad;
}

TEST_F(FileTest, LimitOnFileSizesLeavesTheOldFile) {
  EXPECT_EQ(InChild([this] {
              signal(SIGXFSZ, SIG_IGN);
              const rlimit limit = {64 << 10, 64 << 10};
              return setrlimit(RLIMIT_FSIZE, &limit) == 0 ? OverfillFolder(folder_) : kBad;
            }),
            kGood);
}

TEST_F(FileTest, FullDiskLeavesTheOldFile) {
  const int result = InChild([this] {
    // In a separate mount namespace: other processes do not see the small disk, and it disappears
    // with the child.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) {
      return kCannotTry;
    }
    return OverfillFolder(folder_);
  });
  if (result == kCannotTry) {
    GTEST_SKIP() << "cannot mount a small disk here";
  }
  EXPECT_EQ(result, kGood);
}

}  // namespace
}  // namespace stylex
