#include "trainer/report/run_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"
#include "tests/trainer/report/small_run.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class RunStatusTest : public testing::Test {
 protected:
  ObservedRun Observe(const LogText& log, int64_t images = 0) const {
    WriteLog(folder_.path(), log);
    ObservedRun run{.work_directory = folder_.path(),
                    .log = ReadRunLog(folder_.path()).value(),
                    .config = {},
                    .state = {}};
    if (images > 0) {
      run.config.emplace().mutable_stylex()->set_images(images);
    }
    return run;
  }
  static std::vector<Alarm> Alarms(const ObservedRun& run) {
    return AlarmsOf(run, StatusOf(run, LogText::Start() + absl::Hours(1)));
  }
  const TemporaryFolder folder_;
};

LogText Steps(int64_t to) {
  LogText log;
  for (int64_t images = 1000; images <= to; images += 1000) {
    log.Step(images, {{"loss_l1", 0.1}});
  }
  return log;
}

TEST_F(RunStatusTest, ARunningOneSaysWhatIsLeft) {
  const ObservedRun run = Observe(Steps(20000), 80000);
  const RunStatus status = StatusOf(run, run.log.last() + absl::Seconds(60));
  EXPECT_EQ(status.state, RunState::kRunning);
  EXPECT_DOUBLE_EQ(status.rate, 10);
  EXPECT_DOUBLE_EQ(status.left, 6000);
  EXPECT_EQ(status.sentence, "Running: 20,000 of 80,000 images (25 %), about 1.7 hours left.");
}

TEST_F(RunStatusTest, OneThatIsSilentHasStopped) {
  const ObservedRun run = Observe(Steps(20000), 80000);
  const RunStatus status = StatusOf(run, run.log.last() + absl::Minutes(45));
  EXPECT_EQ(status.state, RunState::kStopped);
  EXPECT_EQ(status.left, 0);
  EXPECT_EQ(status.sentence,
            "Stopped: 20,000 of 80,000 images (25 %); the last line of the log was written 45 "
            "minutes before this page. --resume goes on.");
}

TEST_F(RunStatusTest, OneThatHasLoggedNotesAloneHasNoLastLine) {
  const ObservedRun run = Observe(LogText().Say("note", "begins"));
  const RunStatus status = StatusOf(run, LogText::Start());
  EXPECT_EQ(status.state, RunState::kStopped);
  EXPECT_EQ(status.sentence, "Stopped: 0 epochs. --resume goes on.");
}

TEST_F(RunStatusTest, ASlowOneMayBeSilentForLonger) {
  LogText log;
  for (int i = 1; i <= 10; ++i) {
    log.Pause(absl::Minutes(15)).Step(100 * i, {});
  }
  const ObservedRun run = Observe(log, 80000);
  EXPECT_EQ(StatusOf(run, run.log.last() + absl::Minutes(40)).state, RunState::kRunning);
  EXPECT_EQ(StatusOf(run, run.log.last() + absl::Hours(3)).state, RunState::kStopped);
}

TEST_F(RunStatusTest, TheEndIsTheEnd) {
  const ObservedRun run = Observe(Steps(20000), 20000);
  const RunStatus status = StatusOf(run, run.log.last() + absl::Hours(99));
  EXPECT_EQ(status.state, RunState::kFinished);
  EXPECT_EQ(status.sentence, "Finished: 20,000 images.");
}

TEST_F(RunStatusTest, WithoutAConfigTheLengthIsNotKnown) {
  const ObservedRun run = Observe(Steps(20000));
  EXPECT_EQ(StatusOf(run, run.log.last()).sentence, "Running: 20,000 images.");
}

TEST_F(RunStatusTest, WhatTheTrainingSaysCounts) {
  ObservedRun run = Observe(Steps(20000), 80000);
  run.state = RunState::kFailed;
  EXPECT_EQ(StatusOf(run, run.log.last()).sentence, "Failed: 20,000 of 80,000 images (25 %).");
}

nlohmann::json Look(double agreement, double without, double ten, double l1 = 0.1) {
  return {{"agreement", agreement},
          {"agreement_without_condition", without},
          {"flips_by_its_ten_furthest", ten},
          {"l1", l1}};
}

TEST_F(RunStatusTest, AHealthyRunRaisesNone) {
  EXPECT_THAT(Alarms(Observe(LogText().Check(500, Look(0.99, 0.93, 0.9)), 1000)), IsEmpty());
  EXPECT_THAT(Alarms(Observe(LogText(), 1000)), IsEmpty());
}

TEST_F(RunStatusTest, HighAgreementAndFewFlips) {
  const auto log = LogText().Check(500, Look(0.98, 0.93, 0.12));
  const std::vector<Alarm> alarms = Alarms(Observe(log, 1000));
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_THAT(alarms[0].words,
              AllOf(HasSubstr("Agreement is high (98.0 %), flips are few (12.0 %")));
  EXPECT_THAT(alarms[0].advice, AllOf(HasSubstr("see constantToRgb"), HasSubstr("swapInterval"),
                                      HasSubstr("When nothing flips")));
  ObservedRun constant = Observe(log, 1000);
  constant.config->mutable_stylex()->set_constant_to_rgb(true);
  constant.config->mutable_stylex()->set_swap_interval(2);
  EXPECT_THAT(Alarms(constant).at(0).advice,
              AllOf(Not(HasSubstr("constantToRgb")), HasSubstr("swapSparsity")));
}

TEST_F(RunStatusTest, FlipsAreNotAskedOfAnEarlyRunOrOneWithoutCondition) {
  EXPECT_THAT(Alarms(Observe(LogText().Check(100, Look(0.98, 0.93, 0.12)), 1000)), IsEmpty());
  EXPECT_THAT(Alarms(Observe(LogText().Check(500, Look(0.98, 0.98, 0.02)), 1000)), IsEmpty());
}

TEST_F(RunStatusTest, LowAgreementCountsInTheSecondHalf) {
  EXPECT_THAT(Alarms(Observe(LogText().Check(400, Look(0.8, 0.7, 0.9)), 1000)), IsEmpty());
  const std::vector<Alarm> alarms =
      Alarms(Observe(LogText().Check(600, Look(0.8, 0.7, 0.9)), 1000));
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_THAT(alarms[0].words, HasSubstr("Only 80.0 % of the reconstructions"));
}

TEST_F(RunStatusTest, WorseThanBefore) {
  const std::vector<Alarm> alarms = Alarms(Observe(
      LogText().Check(100, Look(0.98, 0.9, 0.9, 0.10)).Check(200, Look(0.98, 0.9, 0.9, 0.13)),
      1000));
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_EQ(alarms[0].words, "Reconstructions were better after 100 images: L1 0.100, now 0.130.");
}

TEST_F(RunStatusTest, ADiscriminatorThatAlwaysWins) {
  LogText log;
  for (int i = 1; i <= 40; ++i) {
    log.Step(10 * i, {{"loss_d", i < 36 ? 1.2 : 0.02}});
  }
  const std::vector<Alarm> alarms = Alarms(Observe(log, 1000));
  ASSERT_THAT(alarms, SizeIs(1));
  EXPECT_THAT(alarms[0].words, HasSubstr("loss_d 0.020 over the last tenth"));
}

TEST_F(RunStatusTest, DivergencesAndClassesThatAreNotDrawn) {
  const auto log = LogText()
                       .Say("warning", "a.png: truncated")
                       .Say("warning", "training diverged at step 8: loss_d is inf; going back")
                       .Check(800, {{"share_cat", 0.0}, {"share_dog", 1.0}});
  const std::vector<Alarm> alarms = Alarms(Observe(log, 1000));
  ASSERT_THAT(alarms, SizeIs(2));
  EXPECT_THAT(alarms[0].words, HasSubstr("training diverged at step 8"));
  EXPECT_THAT(alarms[1].words, HasSubstr("The class cat is hardly ever drawn (0.0 %"));
}

}  // namespace
}  // namespace stylex
