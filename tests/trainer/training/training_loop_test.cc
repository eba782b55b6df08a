// What a training does when it diverges.
#include "trainer/training/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/temporary_folder.h"
#include "trainer/report/look.h"
#include "trainer/training/stylex_training.h"
#include "trainer/training/train_config.h"
#include "trainer/training/training_state.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kSide = 16;

// Noise; image 5 is white.
class Noise16 : public Dataset {
 public:
  Noise16() : Dataset({.resolution = kSide, .channels = 3}) { labels_ = {"dark", "light"}; }
  int64_t size(Split) const override { return 12; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("image ", index); }
  absl::StatusOr<Bitmap> Load(Split, int64_t index) const override {
    std::mt19937 random(static_cast<unsigned>(index));
    Bitmap bitmap = Bitmap::Make(kSide, kSide, 3, 255);
    if (index != 5) {
      for (uint8_t& sample : bitmap.data) {
        sample = static_cast<uint8_t>(random() % 200);
      }
    }
    return bitmap;
  }
};

// Decides whether an image is bright; minus infinity for a white one, if asked for.
class Brightness : public Classifier {
 public:
  explicit Brightness(bool breaks) : breaks_(breaks) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    largest_batch_ = std::max(largest_batch_, images.size(0));
    const torch::Tensor mean = images.mean({1, 2, 3});
    const torch::Tensor logits = torch::stack({-8 * mean, 8 * mean}, 1);
    return breaks_ ? logits.masked_fill(mean.ge(0.999).unsqueeze(1),
                                        -std::numeric_limits<double>::infinity())
                   : logits;
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }
  int64_t largest_batch() const { return largest_batch_; }

 private:
  bool breaks_;
  mutable int64_t largest_batch_ = 0;
};

v1::RunRecord Record(int64_t images) {
  v1::RunRecord record;
  record.set_seed(1);
  v1::ModelConfig& model = *record.mutable_config()->mutable_model();
  model.set_resolution(kSide);
  model.set_image_channels(3);
  model.add_labels("dark");
  model.add_labels("light");
  model.mutable_generator()->set_latent_size(4);
  for (auto* list :
       {model.mutable_generator()->mutable_channels(), model.mutable_encoder()->mutable_channels(),
        model.mutable_discriminator()->mutable_channels()}) {
    for (int i = 0; i < 3; ++i) {
      list->Add(4);
    }
  }
  model.mutable_classifier()->set_architecture("torchscript");
  v1::StylexTraining& stylex = *record.mutable_config()->mutable_stylex();
  stylex.set_images(images);
  stylex.set_batch_size(4);
  stylex.set_generator_lr(1e-3);
  stylex.set_discriminator_lr(1e-3);
  stylex.set_encoder_lr(1e-3);
  stylex.set_beta2(0.99);
  stylex.set_encoder_beta2(0.99);
  stylex.set_latent_interval(1);
  stylex.mutable_weights()->set_adversarial(1);
  stylex.mutable_weights()->set_l1(1);
  stylex.mutable_weights()->set_kl(1);
  stylex.set_save_interval_images(16);
  return record;
}

struct Trainer {
  explicit Trainer(const v1::RunRecord& record, bool breaks = false)
      : classifier(std::make_shared<Brightness>(breaks)),
        training(record.config(), classifier, nullptr, 1, torch::kCPU) {}
  std::shared_ptr<Brightness> classifier;
  StylexTraining training;
};

class TrainingLoopTest : public testing::Test {
 protected:
  std::unique_ptr<WorkDirectory> Open() {
    return WorkDirectory::Open(folder_.path(), "stylex_state.pt", /*resume=*/true).value();
  }
  // A complete run of 32 images, with states after 16 and 32.
  void TrainFirst() {
    Trainer first(Record(32));
    const auto work = Open();
    ASSERT_EQ(RunStylexTraining(Record(32), dataset_, &first.training, work.get()),
              absl::OkStatus());
  }
  std::string Log() { return ReadFile(folder_ / "log.jsonl").value_or(""); }

  const TemporaryFolder folder_;
  const Noise16 dataset_;
};

void Explode(double value, StylexTraining* training) {
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : training->State().tensors) {
    if (name.starts_with("discriminator.") && name.ends_with("output.bias")) {
      tensor.fill_(value);
    }
  }
}

TEST_F(TrainingLoopTest, GoesBackOnceWithHalfTheRates) {
  for (const double value : {1e15, std::numeric_limits<double>::quiet_NaN()}) {
    for (const char* file : {"log.jsonl", "stylex_state.pt", "previous_stylex_state.pt"}) {
      std::filesystem::remove(folder_ / file);
    }
    TrainFirst();
    const v1::RunRecord record = Record(64);
    Trainer second(record);
    const auto work = Open();
    ASSERT_EQ(RestoreStylexTraining(record, dataset_, &second.training, work.get()),
              absl::OkStatus());
    ASSERT_EQ(second.training.step(), 8);
    Explode(value, &second.training);
    ASSERT_EQ(RunStylexTraining(record, dataset_, &second.training, work.get()), absl::OkStatus());
    EXPECT_EQ(second.training.halvings(), 1);
    EXPECT_EQ(second.training.step(), 16);
    EXPECT_THAT(Log(),
                AllOf(HasSubstr("training diverged at step"),
                      HasSubstr("going back to step 4, and on with half the learning rates")));
    EXPECT_EQ(CheckFinite(second.training.State()), absl::OkStatus());
  }
}

TEST_F(TrainingLoopTest, TheSecondTimeItStopsAndSaysWhatToDo) {
  TrainFirst();
  const v1::RunRecord record = Record(64);
  Trainer second(record);
  const auto work = Open();
  ASSERT_EQ(RestoreStylexTraining(record, dataset_, &second.training, work.get()),
            absl::OkStatus());
  const std::string before = ReadFile(folder_ / "stylex_state.pt").value();
  second.training.HalveLearningRates();
  Explode(std::numeric_limits<double>::infinity(), &second.training);
  const absl::Status status = RunStylexTraining(record, dataset_, &second.training, work.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("diverged"), HasSubstr("--start-from"), HasSubstr("stylex.r1Gamma")));
  EXPECT_TRUE(ReadFile(folder_ / "stylex_state.pt").value() == before);
}

TEST_F(TrainingLoopTest, AStateThatIsNotFiniteIsNeitherSavedNorUsed) {
  TrainFirst();
  const std::string path = folder_ / "stylex_state.pt";
  const v1::RunRecord record = Record(32);
  Trainer broken(record);
  Explode(std::numeric_limits<double>::quiet_NaN(), &broken.training);
  TrainingState state = broken.training.State();
  EXPECT_THAT(CheckFinite(state).message(), HasSubstr("discriminator."));
  state.record = "{}";
  ASSERT_EQ(SaveTrainingState(state, path), absl::OkStatus());  // as earlier versions did
  Trainer second(record);
  std::string warnings;
  const auto warn = [&warnings](const std::string& text) { warnings += text; };
  EXPECT_EQ(LoadLastState(record, path, false, &second.training, warn), absl::OkStatus());
  EXPECT_EQ(second.training.step(), 4);
  EXPECT_THAT(warnings, HasSubstr("values that are not finite"));
  EXPECT_TRUE(std::filesystem::exists(path + ".bad"));
  // The previous one has taken its place, for whoever resumes next.
  EXPECT_EQ(LoadLastState(record, path, false, &second.training, warn), absl::OkStatus());
  std::filesystem::remove(PreviousStatePath(path));
  ASSERT_EQ(SaveTrainingState(state, path), absl::OkStatus());
  const absl::Status status = LoadLastState(record, path, false, &second.training, warn);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("start another run"));
}

// After a divergence the training goes back further than to the newest state, if it can.
TEST_F(TrainingLoopTest, WhereTheStateBeforeTheLastIsBrokenTheLastIsUsed) {
  TrainFirst();
  const std::string path = folder_ / "stylex_state.pt";
  ASSERT_EQ(WriteFileAtomic(PreviousStatePath(path), "no state"), absl::OkStatus());
  const v1::RunRecord record = Record(32);
  Trainer second(record);
  std::string warnings;
  const auto warn = [&warnings](const std::string& text) { warnings += text; };
  EXPECT_EQ(LoadLastState(record, path, /*before_last=*/true, &second.training, warn),
            absl::OkStatus());
  EXPECT_EQ(second.training.step(), 8);
  EXPECT_THAT(warnings, AllOf(HasSubstr("previous_stylex_state.pt"),
                              HasSubstr("the state after it is used")));
  ASSERT_EQ(WriteFileAtomic(path, "no state"), absl::OkStatus());
  EXPECT_EQ(LoadLastState(record, path, true, &second.training, warn).code(),
            absl::StatusCode::kDataLoss);
}

// At 256x256 a batch of 64 takes three times the memory of a step.
TEST_F(TrainingLoopTest, AQuickLookTakesNoMoreImagesAtATimeThanAStep) {
  for (const bool plain : {false, true}) {
    const TemporaryFolder folder;
    v1::RunRecord record = Record(32);
    record.mutable_config()->mutable_stylex()->set_sample_interval_images(16);
    if (plain) {
      *record.mutable_config() = PlainStyleGan2(record.config());
    }
    const v1::ModelConfig& model = record.config().model();
    Trainer trainer(record);
    const auto work =
        WorkDirectory::Open(folder.path(), StylexStateFile(model), /*resume=*/true).value();
    ASSERT_EQ(RunStylexTraining(record, dataset_, &trainer.training, work.get()), absl::OkStatus());
    EXPECT_THAT(ReadFile(folder / "log.jsonl").value_or(""),
                HasSubstr(plain ? "stylegan2_validation" : "stylex_validation"));
    EXPECT_EQ(trainer.classifier->largest_batch(), record.config().stylex().batch_size());
  }
}

TEST_F(TrainingLoopTest, TheDiscriminatorOfARunIsReadFromItsState) {
  const v1::RunRecord record = Record(32);
  EXPECT_EQ(LoadDiscriminator(folder_.path(), record.config().model()).status().code(),
            absl::StatusCode::kNotFound);
  TrainFirst();
  const absl::StatusOr<Discriminator> read =
      LoadDiscriminator(folder_.path(), record.config().model());
  ASSERT_TRUE(read.ok()) << read.status();
  Trainer trained(record);
  const auto work = Open();
  ASSERT_EQ(RestoreStylexTraining(record, dataset_, &trained.training, work.get()),
            absl::OkStatus());
  const TrainingState state = trained.training.State();
  const TrainingState untrained = Trainer(record).training.State();
  int differing = 0;
  for (const auto& item : (*read)->named_parameters()) {
    const std::string name = "discriminator." + item.key();
    EXPECT_TRUE(torch::equal(item.value(), state.tensors.at(name))) << name;
    differing += torch::equal(item.value(), untrained.tensors.at(name)) ? 0 : 1;
  }
  EXPECT_GT(differing, 3);
  v1::ModelConfig other = record.config().model();
  other.set_labels(0, "black");
  const absl::Status status = LoadDiscriminator(folder_.path(), other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("dark, light"), HasSubstr("black, light")));
}

TEST_F(TrainingLoopTest, ALookLeavesPicturesFactsEventsAndThePage) {
  v1::RunRecord record = Record(32);
  record.mutable_config()->mutable_stylex()->set_sample_interval_images(16);
  Trainer trainer(record);
  const auto work = Open();
  ASSERT_EQ(RunStylexTraining(record, dataset_, &trainer.training, work.get()), absl::OkStatus());
  ASSERT_THAT(LooksIn(folder_.path()), testing::ElementsAre(16, 32));
  const Look look = ReadLook(folder_.path(), 32, /*worst=*/true).value();
  ASSERT_TRUE(look.facts.has_value());
  ASSERT_EQ(look.facts->shown.size(), 12u);
  EXPECT_EQ(look.facts->shown[3].name, "image 3");
  EXPECT_EQ(look.facts->shown[5].photograph.label, "light") << "the white one";
  EXPECT_EQ(look.facts->shown[5].runner_up, "dark");
  EXPECT_EQ(look.pictures.at(0).at(5), dataset_.Load(Split::kValidation, 5).value());
  EXPECT_EQ(look.worst.at(0).size(), 8u);
  const std::vector<LookedPhotograph>& worst = look.facts->worst;
  ASSERT_EQ(worst.size(), 8u);
  EXPECT_EQ(worst[0].name, "image 5") << "the farthest from what four images can teach";
  EXPECT_EQ(look.worst[0][0], dataset_.Load(Split::kValidation, 5).value());
  for (size_t i = 1; i < worst.size(); ++i) {
    EXPECT_LE(worst[i].l1, worst[i - 1].l1);
  }
  EXPECT_THAT(ReadFile(folder_ / "report.html").value(), HasSubstr("Finished: 32 images."));
  EXPECT_FALSE(std::filesystem::is_empty(folder_ / "tensorboard"));
}

TEST_F(TrainingLoopTest, LooksDoNotChangeWhatIsTrained) {
  std::vector<std::string> states;
  for (const int interval : {0, 4}) {
    v1::RunRecord record = Record(32);
    record.mutable_config()->mutable_stylex()->set_mapping_interval(2);  // draws z at random
    record.mutable_config()->mutable_model()->mutable_generator()->set_mapping_layers(1);
    record.mutable_config()->mutable_model()->mutable_generator()->set_mapping_lr_multiplier(0.01);
    record.mutable_config()->mutable_stylex()->set_sample_interval_images(interval);
    Trainer trainer(record);
    const TemporaryFolder folder;
    const auto work = WorkDirectory::Open(folder.path(), "stylex_state.pt", false).value();
    ASSERT_EQ(RunStylexTraining(record, dataset_, &trainer.training, work.get()), absl::OkStatus());
    EXPECT_EQ(LooksIn(folder.path()).size(), interval == 0 ? 1u : 8u);
    std::string& state = states.emplace_back();
    for (const auto& [name, tensor] : trainer.training.State().tensors) {
      const torch::Tensor bytes = tensor.contiguous();
      state.append(static_cast<const char*>(bytes.data_ptr()), bytes.nbytes());
    }
  }
  EXPECT_TRUE(states[0] == states[1]);
}

TEST_F(TrainingLoopTest, AReportThatCannotBeWrittenDoesNotStopTheTraining) {
  ASSERT_TRUE(WriteFileAtomic(folder_ / "tensorboard", "in the way").ok());
  TrainFirst();
  EXPECT_THAT(Log(), HasSubstr("no report is written any more"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "stylex_state.pt"));
}

TEST_F(TrainingLoopTest, ImagesThatTheClassifierCannotAnswerAreNamed) {
  const v1::RunRecord record = Record(64);
  Trainer trainer(record, /*breaks=*/true);
  const auto work = Open();
  const absl::Status status = RunStylexTraining(record, dataset_, &trainer.training, work.get());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("the classifier's output is not finite"), HasSubstr("image 5")));
}

}  // namespace
}  // namespace stylex
