#include "trainer/report/training_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/temporary_folder.h"
#include "tests/trainer/report/small_run.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TrainingReportTest : public testing::Test {
 protected:
  TrainingReport Report() {
    return {config_, folder_.path(), [this](const std::string& text) { said_.push_back(text); }};
  }
  const TemporaryFolder folder_;
  v1::TrainConfig config_;
  std::vector<std::string> said_;
};

TEST_F(TrainingReportTest, WritesPageAndEvents) {
  config_.mutable_stylex()->set_images(400);
  WriteLog(folder_.path(), LogText().Step(100, {{"loss_l1", 0.5}}).Check(200, {{"l1", 0.25}}));
  WriteSheet(GreyRows(4, 2, 64), LookPath(folder_.path(), 200));
  TrainingReport report = Report();
  report.GoOnAfter(0);
  report.Figures("stylex", 10, {{"loss_l1", 0.5}});
  report.Picture("samples", 20, LookPath(folder_.path(), 200));
  report.WritePage(RunState::kStopped);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_THAT(ReadFile(folder_ / "report.html").value(), HasSubstr("Stopped: 200 of 400 images"));
  const auto files = std::filesystem::directory_iterator(folder_ / "tensorboard");
  EXPECT_GT(std::filesystem::file_size(files->path()), 300u);
}

TEST_F(TrainingReportTest, WhatCannotBeWrittenIsToldOnce) {
  std::ofstream(folder_ / "tensorboard") << "in the way";
  TrainingReport report = Report();
  report.GoOnAfter(0);
  report.Figures("stylex", 10, {{"loss_l1", 0.5}});
  report.WritePage(RunState::kRunning);
  ASSERT_EQ(said_.size(), 1u);
  EXPECT_THAT(said_[0], HasSubstr("no report is written any more: "));
  EXPECT_THAT(said_[0], HasSubstr("tensorboard/events"));
}

}  // namespace
}  // namespace stylex
