#include "server/telemetry/log_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <new>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace stylex {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A pipe that nobody reads unless told to.
class LogWriterTest : public ::testing::Test {
 protected:
  LogWriterTest() {
    signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
  }
  ~LogWriterTest() override {
    CloseReader();
    close(pipe_[1]);
  }
  void CloseReader() {
    if (pipe_[0] >= 0) {
      close(pipe_[0]);
      pipe_[0] = -1;
    }
  }
  LogWriter::Options Options(size_t max_lines) const {
    return {.file = pipe_[1], .max_lines = max_lines, .on_dropped = [](int64_t dropped) {
              return absl::StrCat(dropped, " dropped\n");
            }};
  }
  // Everything up to a text.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    char buffer[1 << 16];
    while (!absl::StrContains(text, end)) {
      const ssize_t count = read(pipe_[0], buffer, sizeof(buffer));
      if (count <= 0) {
        break;
      }
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }

  int pipe_[2] = {-1, -1};
};

TEST_F(LogWriterTest, WritesLinesInOrder) {
  LogWriter writer(Options(100));
  const std::string large(100'000, 'x');  // more than a pipe holds
  writer.Write("a\n");
  writer.Write(large + "\n");
  writer.Write("b\n");
  EXPECT_EQ(ReadUntil("b\n"), "a\n" + large + "\nb\n");
  EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
  EXPECT_EQ(writer.dropped(), 0);
}

TEST_F(LogWriterTest, AnUnreadPipeCostsLinesButNoTime) {
  const absl::Time start = absl::Now();
  ASSERT_EQ(fcntl(pipe_[1], F_SETPIPE_SZ, 4096), 4096);
  {
    LogWriter writer(Options(10));
    for (int i = 0; i < 1000; ++i) {
      writer.Write(std::string(1000, 'x') + "\n");
    }
    EXPECT_GT(writer.dropped(), 100);
    EXPECT_FALSE(writer.Flush(absl::Milliseconds(200)));
    // The reader is back: the loss is told.
    std::string text;
    std::thread reader([&] { text = ReadUntil("end\n"); });
    EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
    writer.Write("end\n");
    reader.join();
    EXPECT_THAT(text, HasSubstr(" dropped\n"));
    EXPECT_THAT(text, EndsWith("end\n"));
    for (int i = 0; i < 1000; ++i) {
      writer.Write(std::string(1000, 'x') + "\n");
    }
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(30)) << "the end waited for the reader";
}

// The loss is told once there is memory to tell it.
TEST_F(LogWriterTest, WantOfMemoryDoesNotEndTheLog) {
  LogWriter::Options options = Options(1);
  int failures = 0;
  options.on_dropped = [&failures](int64_t dropped) -> std::string {
    if (++failures <= 3) {
      throw std::bad_alloc();
    }
    return absl::StrCat(dropped, " dropped\n");
  };
  ASSERT_EQ(fcntl(pipe_[1], F_SETPIPE_SZ, 4096), 4096);
  LogWriter writer(options);
  for (int i = 0; i < 100; ++i) {
    writer.Write(std::string(1000, 'x') + "\n");
  }
  EXPECT_GT(writer.dropped(), 0);
  std::string text;
  std::thread reader([&] { text = ReadUntil("end\n"); });
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
    writer.Write("a\n");
  }
  EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
  writer.Write("end\n");
  reader.join();
  EXPECT_GT(failures, 3);
  EXPECT_THAT(text, HasSubstr("a\n"));
  EXPECT_THAT(text, HasSubstr(" dropped\n"));
}

TEST_F(LogWriterTest, AClosedPipeIsSurvived) {
  LogWriter writer(Options(10));
  writer.Write("a\n");
  EXPECT_THAT(ReadUntil("\n"), StartsWith("a"));
  CloseReader();
  for (int i = 0; i < 5; ++i) {
    writer.Write("b\n");
    EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
  }
  EXPECT_EQ(writer.dropped(), 5);
}

TEST_F(LogWriterTest, AFullDiskIsSurvived) {
  LogWriter::Options options = Options(10);
  options.file = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(options.file, 0);
  {
    LogWriter writer(options);
    writer.Write("a\n");
    EXPECT_TRUE(writer.Flush(absl::Seconds(60)));
    EXPECT_EQ(writer.dropped(), 1);
  }
  close(options.file);
}

}  // namespace
}  // namespace stylex
