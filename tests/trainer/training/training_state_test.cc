#include "trainer/training/training_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A linear layer that Adam trains, with what a run counts.
class LinearRun {
 public:
  explicit LinearRun(uint64_t seed, std::string fingerprint = "lr: 0.1")
      : fingerprint_(std::move(fingerprint)) {
    torch::manual_seed(seed);
    layer_ = torch::nn::Linear(3, 2);
    adam_ =
        std::make_unique<torch::optim::Adam>(layer_->parameters(), torch::optim::AdamOptions(0.1));
  }

  void Step() {
    adam_->zero_grad();
    layer_->forward(torch::ones({4, 3}) * static_cast<double>(++step_)).pow(2).sum().backward();
    adam_->step();
  }
  TrainingState State() {
    return {{{"weight", layer_->weight}, {"bias", layer_->bias}},
            {{"adam", adam_.get()}},
            {{"step", step_}},
            fingerprint_};
  }
  absl::Status Load(const std::string& path) {
    TrainingState state = State();
    const absl::Status status = LoadTrainingState(path, &state);
    if (status.ok()) {
      step_ = state.counters.at("step");
    }
    return status;
  }
  torch::Tensor weight() const { return layer_->weight.detach(); }
  int64_t step() const { return step_; }

 private:
  std::string fingerprint_;
  torch::nn::Linear layer_{nullptr};
  std::unique_ptr<torch::optim::Adam> adam_;
  int64_t step_ = 0;
};

class TrainingStateTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  const std::string path_ = folder_ / "state.pt";
};

TEST_F(TrainingStateTest, AResumedRunGoesOnAsIfItHadNeverStopped) {
  LinearRun straight(1), first(1), second(2);
  for (int i = 0; i < 6; ++i) {
    straight.Step();
  }
  for (int i = 0; i < 3; ++i) {
    first.Step();
  }
  ASSERT_TRUE(SaveTrainingState(first.State(), path_).ok());
  ASSERT_TRUE(second.Load(path_).ok());
  EXPECT_EQ(second.step(), 3);
  EXPECT_TRUE(second.weight().equal(first.weight()));
  for (int i = 0; i < 3; ++i) {
    second.Step();
  }
  EXPECT_TRUE(second.weight().equal(straight.weight())) << "Adam's moments came along";
}

TEST_F(TrainingStateTest, TensorsAreRestoredInPlace) {
  LinearRun first(1), second(2);
  first.Step();
  ASSERT_TRUE(SaveTrainingState(first.State(), path_).ok());
  const void* const before = second.weight().data_ptr();
  ASSERT_TRUE(second.Load(path_).ok());
  EXPECT_EQ(second.weight().data_ptr(), before);
}

TEST_F(TrainingStateTest, WithoutAFileIsNotFound) {
  LinearRun run(1);
  EXPECT_EQ(run.Load(path_).code(), absl::StatusCode::kNotFound);
}

TEST_F(TrainingStateTest, AnotherConfigurationIsRefusedAndBothAreShown) {
  LinearRun first(1), other(1, "lr: 0.2");
  ASSERT_TRUE(SaveTrainingState(first.State(), path_).ok());
  const torch::Tensor before = other.weight().clone();
  const absl::Status status = other.Load(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), StartsWith(path_ + ": "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("There: lr: 0.1 Here: lr: 0.2"));
  EXPECT_TRUE(other.weight().equal(before));
}

TEST_F(TrainingStateTest, ATensorThatDoesNotFitIsNamed) {
  LinearRun first(1);
  ASSERT_TRUE(SaveTrainingState(first.State(), path_).ok());
  TrainingState missing = first.State();
  missing.tensors["more"] = torch::zeros({1});
  absl::Status status = LoadTrainingState(path_, &missing);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no tensor more"));
  for (const torch::Tensor& other : {torch::zeros({3, 2}), torch::zeros({2, 3}, torch::kFloat64)}) {
    TrainingState state = first.State();
    state.tensors["weight"] = other;
    status = LoadTrainingState(path_, &state);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("tensor weight has another shape or type than this run's"));
  }
}

TEST_F(TrainingStateTest, TheLastTwoAreKept) {
  LinearRun run(1);
  ASSERT_TRUE(SaveKeepingPrevious(run.State(), path_).ok());
  EXPECT_FALSE(std::filesystem::exists(PreviousStatePath(path_)));
  for (int i = 0; i < 2; ++i) {
    run.Step();
    ASSERT_TRUE(SaveKeepingPrevious(run.State(), path_).ok());
  }
  LinearRun last(2), previous(3);
  ASSERT_TRUE(last.Load(path_).ok());
  ASSERT_TRUE(previous.Load(PreviousStatePath(path_)).ok());
  EXPECT_EQ(last.step(), 2);
  EXPECT_EQ(previous.step(), 1);
}

TEST_F(TrainingStateTest, WhatIsNotFiniteIsNamed) {
  LinearRun run(1);
  run.Step();
  TrainingState state = run.State();
  EXPECT_EQ(CheckFinite(state), absl::OkStatus());
  const torch::NoGradGuard no_grad;
  auto& moments = static_cast<torch::optim::AdamParamState&>(
      *state.optimizers.at("adam")->state().begin()->second);
  moments.exp_avg_sq().fill_(std::numeric_limits<double>::infinity());
  EXPECT_THAT(std::string(CheckFinite(state).message()),
              HasSubstr("optimiser adam has moments that are not finite"));
  state.tensors.at("bias").fill_(std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT(std::string(CheckFinite(state).message()), HasSubstr("tensor bias"));
}

TEST_F(TrainingStateTest, ABrokenFileIsDataLoss) {
  LinearRun run(1);
  ASSERT_TRUE(SaveTrainingState(run.State(), path_).ok());
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  absl::Status status = run.Load(path_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), StartsWith(path_ + ": not a readable training state"));
  std::ofstream(path_) << "text";
  EXPECT_EQ(run.Load(path_).code(), absl::StatusCode::kDataLoss);
}

TEST_F(TrainingStateTest, AnUnwritableFolderLeavesThePreviousFile) {
  LinearRun run(1);
  EXPECT_FALSE(SaveTrainingState(run.State(), folder_ / "no/state.pt").ok());
  ASSERT_TRUE(SaveTrainingState(run.State(), path_).ok());
  run.Step();
  ASSERT_TRUE(SaveTrainingState(run.State(), path_).ok()) << "replaces it";
  LinearRun again(3);
  ASSERT_TRUE(again.Load(path_).ok());
  EXPECT_EQ(again.step(), 1);
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    ++files;
  }
  EXPECT_EQ(files, 1) << "nothing temporary stays";
}

}  // namespace
}  // namespace stylex
