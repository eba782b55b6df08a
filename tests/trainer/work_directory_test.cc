#include "trainer/work_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class WorkDirectoryTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<WorkDirectory>> Open(bool resume = false) const {
    return WorkDirectory::Open(folder_, "state.pt", resume);
  }
  std::vector<nlohmann::json> LogLines() const {
    std::vector<nlohmann::json> lines;
    const std::string text = ReadFile(folder_ + "/log.jsonl").value();
    for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(line.begin(), line.end()));
    }
    return lines;
  }
  // "event step" of every line.
  std::vector<std::string> Logged() const {
    std::vector<std::string> out;
    for (const nlohmann::json& line : LogLines()) {
      out.push_back(absl::StrCat(line.at("event").get<std::string>(), " ", line.value("step", -1)));
    }
    return out;
  }

  TemporaryFolder temporary_;
  const std::string folder_ = temporary_ / "runs/first";
};

TEST_F(WorkDirectoryTest, MakesItsFolderAndKnowsItsFiles) {
  const auto run = Open().value();
  EXPECT_TRUE(std::filesystem::is_directory(folder_));
  EXPECT_EQ(run->path(), folder_);
  EXPECT_EQ(run->Path("model.json"), folder_ + "/model.json");
  EXPECT_FALSE(run->resuming());
}

TEST_F(WorkDirectoryTest, OneRunAtATime) {
  auto run = Open().value();
  const absl::Status second = Open().status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(second.message(), folder_ + ": another run is at work in this folder");
  run.reset();
  EXPECT_TRUE(Open().ok()) << "the lock ends with the run";
}

TEST_F(WorkDirectoryTest, AnEarlierRunIsNotOverwrittenByMistake) {
  Open().value();
  std::ofstream(folder_ + "/state.pt") << "state";
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("holds a run already (state.pt); go on with it by --resume"));
  const auto resumed = Open(/*resume=*/true);
  ASSERT_TRUE(resumed.ok()) << "the refused run has given its lock back";
  EXPECT_TRUE((*resumed)->resuming());
}

TEST_F(WorkDirectoryTest, ResumingWhereNothingIsBegins) {
  EXPECT_FALSE(Open(/*resume=*/true).value()->resuming());
}

TEST_F(WorkDirectoryTest, AFileInTheWayIsNamed) {
  std::ofstream(temporary_ / "runs") << "a file";
  const absl::Status status = Open().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), StartsWith(folder_ + ": cannot be created"));
}

TEST_F(WorkDirectoryTest, LogsOneJsonDocumentALine) {
  const auto run = Open().value();
  ASSERT_TRUE(run->Log("training", 3, {{"loss", 0.5}, {"lr", 1e-3}}).ok());
  ASSERT_TRUE(run->Log("validation", 4, {{"loss", std::numeric_limits<double>::quiet_NaN()}}).ok());
  const std::vector<nlohmann::json> lines = LogLines();
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].at("event"), "training");
  EXPECT_EQ(lines[0].at("step"), 3);
  EXPECT_EQ(lines[0].at("loss"), 0.5);
  EXPECT_EQ(lines[0].at("lr"), 1e-3);
  EXPECT_THAT(lines[0].at("time").get<std::string>(), testing::MatchesRegex(".{10}T.{8}\\+00:00"));
  EXPECT_TRUE(lines[1].at("loss").is_null()) << "JSON has no NaN";
}

TEST_F(WorkDirectoryTest, AResumedRunContinuesTheLog) {
  ASSERT_TRUE(Open().value()->Log("training", 1, {}).ok());
  ASSERT_TRUE(Open().value()->Log("training", 2, {}).ok());
  EXPECT_THAT(Logged(), ElementsAre("training 1", "training 2"));
}

TEST_F(WorkDirectoryTest, RewindingDropsLaterLinesOfThatEventAlone) {
  const auto run = Open().value();
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(run->Log("training", step, {}).ok());
    ASSERT_TRUE(run->Log("validation", step, {}).ok());
  }
  ASSERT_TRUE(run->RewindLog("training", 1).ok());
  EXPECT_THAT(Logged(), ElementsAre("training 1", "validation 1", "validation 2", "validation 3"));
  ASSERT_TRUE(run->RewindLog("validation", 9).ok());
  EXPECT_EQ(Logged().size(), 4);
}

TEST_F(WorkDirectoryTest, RewindingDropsALineThatACrashHasCutOff) {
  const auto run = Open().value();
  ASSERT_TRUE(run->RewindLog("training", 1).ok()) << "without a log there is nothing to do";
  ASSERT_TRUE(run->Log("training", 1, {}).ok());
  std::ofstream(folder_ + "/log.jsonl", std::ios::app) << "{\"event\": \"train";
  ASSERT_TRUE(run->RewindLog("training", 5).ok());
  EXPECT_THAT(Logged(), ElementsAre("training 1"));
}

TEST_F(WorkDirectoryTest, NotesAndWarningsGoToStderrAndIntoTheLog) {
  const auto run = Open().value();
  testing::internal::CaptureStderr();
  run->Note("reads 5 images");
  run->Warn("photo \xFF.png: truncated");
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_THAT(shown, HasSubstr("reads 5 images\n"));
  EXPECT_THAT(shown, HasSubstr("warning: photo \xFF.png: truncated\n"));
  const std::vector<nlohmann::json> lines = LogLines();
  ASSERT_EQ(lines.size(), 2);
  EXPECT_EQ(lines[0].at("event"), "note");
  EXPECT_EQ(lines[0].at("message"), "reads 5 images");
  EXPECT_EQ(lines[1].at("event"), "warning");
  EXPECT_THAT(lines[1].at("message").get<std::string>(), HasSubstr(".png: truncated"))
      << "bytes that are no UTF-8 are replaced";
}

TEST_F(WorkDirectoryTest, WarningsOfManyThreadsStayWhole) {
  const auto run = Open().value();
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        run->Warn(std::string(200, 'w'));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(LogLines().size(), 200);
}

TEST_F(WorkDirectoryTest, WithoutATerminalTheEndIsOneLine) {
  const auto run = Open().value();
  testing::internal::CaptureStderr();
  run->Start("classifier", 0, 100);
  run->Advance(10, "loss 1");
  run->Advance(20, "loss 2");
  const std::string before = testing::internal::GetCapturedStderr();
  EXPECT_EQ(before, "") << "a line every 30 s";
  testing::internal::CaptureStderr();
  run->End();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), StartsWith("classifier 100/100 "));
}

}  // namespace
}  // namespace stylex
