#include "trainer/report/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"
#include "tests/trainer/report/small_run.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class RunLogTest : public testing::Test {
 protected:
  RunLog Read(const LogText& log) const {
    WriteLog(folder_.path(), log);
    return ReadRunLog(folder_.path()).value();
  }
  const TemporaryFolder folder_;
};

TEST_F(RunLogTest, StepsChecksNotesAndWarnings) {
  const RunLog log = Read(LogText()
                              .Say("note", "perceptual loss: none")
                              .Step(10, {{"loss_l1", 0.5}})
                              .Check(20, {{"agreement", 0.9}, {"l1", 0.2}})
                              .Say("warning", "a.png: truncated")
                              .Step(30, {{"loss_l1", 0.25}}));
  EXPECT_EQ(log.name, "stylex");
  EXPECT_TRUE(log.counts_images);
  ASSERT_EQ(log.steps.size(), 2u);
  EXPECT_EQ(log.steps[1].at, 30);
  EXPECT_THAT(log.steps[1].figures, ElementsAre(Pair("loss_l1", 0.25)));
  ASSERT_EQ(log.checks.size(), 1u);
  EXPECT_THAT(log.checks[0].figures, ElementsAre(Pair("agreement", 0.9), Pair("l1", 0.2)));
  EXPECT_THAT(log.notes, ElementsAre("perceptual loss: none"));
  EXPECT_THAT(log.warnings, ElementsAre("a.png: truncated"));
  EXPECT_EQ(log.last(), LogText::Start() + absl::Seconds(3));
}

TEST_F(RunLogTest, AClassifierCountsEpochs) {
  std::ofstream(folder_ / "log.jsonl")
      << R"({"event":"classifier","step":1,"time":"2026-12-01T04:00:00+00:00","loss":0.5})"
      << "\n"
      << R"({"event":"classifier_validation","step":1,"time":"2026-12-01T04:00:09+00:00","accuracy":0.9})"
      << "\n";
  const RunLog log = ReadRunLog(folder_.path()).value();
  EXPECT_EQ(log.name, "classifier");
  EXPECT_FALSE(log.counts_images);
  EXPECT_EQ(log.steps.at(0).at, 1);
  EXPECT_EQ(log.checks.at(0).figures.at("accuracy"), 0.9);
}

TEST_F(RunLogTest, WhatIsNotALineOfFiguresIsLeftOut) {
  LogText log;
  log.Step(10, {{"loss_l1", nullptr}, {"loss_l2", 1}});
  std::ofstream(folder_ / "log.jsonl")
      << log.text() << "[1]\n{\"event\": 3}\n{\"event\": \"stylex\", \"step\": \"x\"}\n"
      << R"({"event":"attributes","step":4,"effects":9})"
      << "\n{\"event\": \"styl";
  const RunLog read = ReadRunLog(folder_.path()).value();
  ASSERT_EQ(read.steps.size(), 1u) << "cut off, or of another command";
  EXPECT_THAT(read.steps[0].figures, ElementsAre(Pair("loss_l2", 1))) << "null was no number";
}

TEST_F(RunLogTest, AFolderWithoutALogIsNamed) {
  const absl::Status status = ReadRunLog(folder_.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(folder_.path() + ": has no log.jsonl"));
}

TEST_F(RunLogTest, TheRateLeavesPausesOut) {
  LogText text;
  for (int i = 1; i <= 5; ++i) {
    text.Step(100 * i, {});
  }
  text.Pause(absl::Hours(8));
  for (int i = 6; i <= 8; ++i) {
    text.Step(100 * i, {});
  }
  EXPECT_DOUBLE_EQ(ProgressPerSecond(Read(text)), 10);
  EXPECT_EQ(ProgressPerSecond(Read(LogText().Step(100, {}))), 0) << "one line has no rate";
  EXPECT_EQ(ProgressPerSecond(RunLog()), 0);
}

}  // namespace
}  // namespace stylex
