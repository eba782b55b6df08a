#include "server/telemetry/stray_output.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace stylex {
namespace {

using ::testing::ElementsAre;

class StrayOutputTest : public testing::Test {
 protected:
  StrayOutputTest()
      : path_(testing::TempDir() + "stray-output-XXXXXX"), file_(mkstemp(path_.data())) {}
  ~StrayOutputTest() override {
    close(file_);
    unlink(path_.c_str());
  }
  void Print(const std::string& text) const {
    EXPECT_EQ(write(file_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  off_t FileSize() const { return lseek(file_, 0, SEEK_END); }

  std::string path_;
  int file_;
  std::vector<std::string> lines_;  // told by the time that the object is destroyed
};

TEST_F(StrayOutputTest, LinesAreToldInsteadOfPrinted) {
  Print("before\n");
  {
    const StrayOutput stray(file_, [this](const std::string& line) { lines_.push_back(line); });
    Print("a warning\n\nhalf ");
    Print("of a line\nwithout an end");
  }
  EXPECT_THAT(lines_, ElementsAre("a warning", "half of a line", "without an end"));
  EXPECT_EQ(FileSize(), 7);
  Print("after\n");
  EXPECT_EQ(FileSize(), 13);
}

TEST_F(StrayOutputTest, ALineWithoutEndDoesNotFillTheMemory) {
  {
    const StrayOutput stray(file_, [this](const std::string& line) { lines_.push_back(line); });
    for (int i = 0; i < 100; ++i) {
      Print(std::string(10'000, 'x'));
    }
    Print("\nnext\n");
  }
  EXPECT_THAT(lines_, ElementsAre(std::string(StrayOutput::kLongestLine, 'x'), "next"));
}

TEST_F(StrayOutputTest, WithoutAFileNothingIsCaught) {
  const StrayOutput stray(-1, [this](const std::string& line) { lines_.push_back(line); });
  EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace stylex
