// The first steps of a command, in this process: flags over config over preset, and data that
// become a config's labels.
#include "trainer/commands/opening.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "image/resize.h"
#include "models/pixels.h"
#include "tests/trainer/data/drawn_dataset.h"
#include "trainer/commands/study_options.h"
#include "trainer/commands/subcommand_options.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class OpeningTest : public testing::Test {
 protected:
  OpeningTest() {
    DrawTwoClasses(folder_ / "data", 3, 2);
    common_.data = folder_ / "data";
  }
  std::string Config(const std::string& json) {
    WriteBytes(folder_ / "config.json", json);
    return folder_ / "config.json";
  }
  // A config for 16x16 grey images.
  static v1::TrainConfig Small() {
    v1::TrainConfig config;
    config.mutable_model()->set_resolution(16);
    config.mutable_model()->set_image_channels(1);
    return config;
  }

  const TemporaryFolder folder_;
  CommonOptions common_;
};

TEST_F(OpeningTest, WithoutAConfigThePresetIsTaken) {
  const GivenConfig config = ReadTrainConfig(common_).value();
  EXPECT_FALSE(config.anything);
  EXPECT_EQ(config.resolved.preset(), "default");
  EXPECT_GT(config.resolved.model().resolution(), 0);
  EXPECT_FALSE(config.given.has_model());
}

TEST_F(OpeningTest, FlagsStandOverTheConfigAndTheConfigOverThePreset) {
  common_.config = Config(R"({"preset": "default", "model": {"generator": {"latentSize": 96}},
                              "data": {"crop": 100, "classes": {"a": "x", "b": "y"}}})");
  common_.preset = "seed";
  common_.crop = 80;
  common_.classes = {{"b", "z"}};
  const GivenConfig config = ReadTrainConfig(common_).value();
  EXPECT_TRUE(config.anything);
  EXPECT_EQ(config.given.preset(), "seed");
  EXPECT_EQ(config.resolved.model().generator().latent_size(), 96);
  EXPECT_EQ(config.resolved.data().crop(), 80);
  EXPECT_THAT(config.resolved.data().classes(),
              UnorderedElementsAre(Pair("a", "x"), Pair("b", "z")));
}

TEST_F(OpeningTest, FaultsOfAConfigNameTheFile) {
  common_.config = Config(R"({"model": {"resolutoin": 32}})");
  const absl::Status misspelt = ReadTrainConfig(common_).status();
  EXPECT_EQ(misspelt.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(misspelt.message()), HasSubstr(common_.config));
  EXPECT_THAT(std::string(misspelt.message()), HasSubstr("resolutoin"));
  common_.config = folder_ / "nowhere.json";
  EXPECT_EQ(ReadTrainConfig(common_).status().code(), absl::StatusCode::kNotFound);
  common_.config = "";
  common_.preset = "best";
  EXPECT_THAT(std::string(ReadTrainConfig(common_).status().message()), HasSubstr("\"best\""));
}

TEST_F(OpeningTest, TheFoldersNamesBecomeTheLabels) {
  v1::TrainConfig config = Small();
  const OpenedData opened = OpenData(common_, &config).value();
  EXPECT_THAT(config.model().labels(), ElementsAre("dark", "light"));
  EXPECT_EQ(opened.dataset->size(Split::kTrain), 6);
  EXPECT_EQ(opened.dataset->channels(), 1);
  EXPECT_EQ(opened.inventory.size(), 10);
}

TEST_F(OpeningTest, LabelsOfTheConfigAreKeptInTheirOrder) {
  v1::TrainConfig config = Small();
  config.mutable_data()->add_labels("bright");
  config.mutable_data()->add_labels("dark");
  (*config.mutable_data()->mutable_classes())["light"] = "bright";
  const OpenedData opened = OpenData(common_, &config).value();
  EXPECT_THAT(config.model().labels(), ElementsAre("bright", "dark"));
  EXPECT_THAT(opened.dataset->labels(), ElementsAre("bright", "dark"));
}

// Fashion-MNIST's 28 pixels are framed, which the server has to do as well.
TEST_F(OpeningTest, APaddedSizeGoesIntoTheModel) {
  const std::string values(size_t{4} * 28 * 28, '\x7f'), labels = {0, 1, 1, 0};
  for (const char* split : {"train", "t10k"}) {
    const std::string start = folder_ / "idx/" + split;
    WriteBytes(start + "-images-idx3-ubyte", IdxBytes({4, 28, 28}, values));
    WriteBytes(start + "-labels-idx1-ubyte", IdxBytes({4}, labels));
  }
  common_.data = folder_ / "idx";
  v1::TrainConfig config = Small();
  config.mutable_model()->set_resolution(32);
  ASSERT_TRUE(OpenData(common_, &config).ok());
  EXPECT_EQ(config.model().preprocessing().padded_from(), 28);
}

// A model that learned from cut-out squares is measured and served with them.
TEST_F(OpeningTest, ACropGoesIntoTheModelAndIsCutOutAgain) {
  Bitmap framed = Bitmap::Make(40, 40, 1, 9);
  for (int y = 10; y < 30; ++y) {
    std::fill_n(framed.pixel(10, y), 20, uint8_t{200});
  }
  for (const char* split : {"train", "val"}) {
    for (const char* label : {"a", "b"}) {
      WritePng(folder_ / absl::StrCat("cropped/", split, "/", label, "/1.png"), framed);
    }
  }
  common_.data = folder_ / "cropped";
  v1::TrainConfig config = Small();
  config.mutable_data()->set_crop(20);
  ASSERT_TRUE(OpenData(common_, &config).ok());
  EXPECT_EQ(config.model().preprocessing().crop_pixels(), 20);
  const auto pixel_of = [&] {
    return OpenDataOf(config.model(), common_).value()->Load(Split::kTrain, 0).value().data;
  };
  EXPECT_THAT(pixel_of(), Each(200));
  EXPECT_EQ(PrepareImage(framed, PreparationFor(config.model())),
            Bitmap::Make(16, 16, 1, 200));  // by the server
  common_.crop = 40;                        // for one command
  EXPECT_THAT(pixel_of(), Contains(9));
  common_.crop = 15;
  const absl::Status status = OpenDataOf(config.model(), common_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("15"), HasSubstr("16 pixels")));
}

TEST_F(OpeningTest, DataThatAreNotThereAreNamed) {
  common_.data = folder_ / "nothing";
  v1::TrainConfig config = Small();
  const absl::Status status = OpenData(common_, &config).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(common_.data));
}

TEST_F(OpeningTest, AFinishedModelPairsTheDatasClassesWithItsLabels) {
  v1::ModelConfig model = Small().model();
  model.add_labels("light");
  model.add_labels("dark");
  const std::unique_ptr<Dataset> dataset = OpenDataOf(model, common_).value();
  EXPECT_THAT(dataset->labels(), ElementsAre("light", "dark"));
  EXPECT_EQ(dataset->label(Split::kTrain, 0), 1) << "the folder dark comes first";
  model.set_labels(0, "bright");
  EXPECT_FALSE(OpenDataOf(model, common_).ok());
  common_.classes = {{"light", "bright"}};
  EXPECT_TRUE(OpenDataOf(model, common_).ok());
}

TEST_F(OpeningTest, ARecordHoldsConfigSeedAndFiles) {
  common_.config = Config(R"({"model": {"generator": {"latentSize": 96}}})");
  common_.seed = 77;
  GivenConfig given = ReadTrainConfig(common_).value();
  v1::RunRecord record = RecordOf(std::nullopt, given, "classifier.").value();
  const OpenedData opened = OpenData(common_, record.mutable_config()).value();
  AddInputs(common_, opened, &record);
  EXPECT_EQ(record.seed(), 77);
  EXPECT_EQ(record.given().model().generator().latent_size(), 96);
  EXPECT_FALSE(record.given().has_stylex()) << "only what was given";
  EXPECT_TRUE(record.config().has_stylex());
  EXPECT_EQ(record.data_size(), 10);
  EXPECT_EQ(record.data(0).sha256().size(), 64);
}

TEST_F(OpeningTest, ARunThatGoesOnKeepsItsOwnConfig) {
  StoredRun stored;
  stored.path = "state.pt";
  common_.config = Config(R"({"model": {"generator": {"latentSize": 96}}})");
  const GivenConfig then = ReadTrainConfig(common_).value();
  *stored.record.mutable_given() = then.given;
  *stored.record.mutable_config() = then.resolved;
  common_.config = "";
  const v1::RunRecord unnamed =
      RecordOf(stored, ReadTrainConfig(common_).value(), "classifier.").value();
  EXPECT_EQ(unnamed.config().model().generator().latent_size(), 96);
  EXPECT_EQ(unnamed.given().model().generator().latent_size(), 96);
  common_.config = Config(R"({"model": {"generator": {"latentSize": 80}}})");
  const absl::Status other =
      RecordOf(stored, ReadTrainConfig(common_).value(), "classifier.").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.message()), testing::AllOf(HasSubstr("96"), HasSubstr("80")));
  EXPECT_THAT(FormerStateWarning(stored), HasSubstr("state.pt"));
}

// Parses the flags of one subcommand, "go", or of the study's commands.
class FlagsTest : public testing::Test {
 protected:
  FlagsTest() {
    AddCommonOptions(app_.add_subcommand("go", ""), &common_);
    study_.Add(&app_, &common_, &run_);
  }
  // Empty, or what was wrong.
  std::string FaultOf(std::vector<std::string> words) {
    std::reverse(words.begin(), words.end());
    try {
      app_.parse(words);
      return "";
    } catch (const CLI::ParseError& error) {
      return error.what();
    }
  }

  CLI::App app_;
  CommonOptions common_;
  StudyCommands study_;
  std::function<absl::Status()> run_;
};

TEST_F(FlagsTest, ClassesArePairsOfFolderAndLabel) {
  EXPECT_EQ(
      FaultOf({"go", "--data", "d", "--work-dir", "w", "--class", "n=tench", "--class", "a=b=c"}),
      "");
  EXPECT_THAT(common_.classes, UnorderedElementsAre(Pair("n", "tench"), Pair("a=b", "c")));
  EXPECT_THAT(FaultOf({"go", "--data", "d", "--work-dir", "w", "--class", "tench"}),
              HasSubstr("\"tench\" is not FOLDER=LABEL"));
}

TEST_F(FlagsTest, WhatARunNeedsIsRequired) {
  EXPECT_THAT(FaultOf({"go", "--work-dir", "w"}), HasSubstr("--data"));
  EXPECT_THAT(FaultOf({"go", "--data", "d"}), HasSubstr("--work-dir"));
  EXPECT_THAT(FaultOf({"go", "--data", "d", "--work-dir", "w", "--crop", "0"}),
              HasSubstr("--crop"));
  EXPECT_THAT(FaultOf({"go", "--data", "d", "--work-dir", "w", "--threads", "-1"}),
              HasSubstr("--threads"));
  EXPECT_THAT(FaultOf({"go", "--data", "d", "--work-dir", "w", "--max-pixels", "0"}),
              HasSubstr("--max-pixels"));
}

// Scoring answers needs neither data nor a work directory.
TEST_F(FlagsTest, AStudyMayBeScoredAlone) {
  EXPECT_EQ(FaultOf({"study", "--score", "answers.csv", "--key", "key.csv"}), "");
  EXPECT_TRUE(static_cast<bool>(run_));
}

TEST_F(FlagsTest, OptionsOfAMarkNeedAMark) {
  EXPECT_EQ(FaultOf({"world", "--output", "o"}), "");
  EXPECT_THAT(FaultOf({"world", "--output", "o", "--rho", "0.5"}), HasSubstr("--mark-on"));
  EXPECT_THAT(FaultOf({"world", "--output", "o", "--classes", "a,b"}), HasSubstr("--mark-on"));
  EXPECT_EQ(FaultOf({"world", "--output", "o", "--rho", "0.5", "--mark-on", "d"}), "");
}

TEST_F(FlagsTest, CountsHaveTheirRanges) {
  const std::vector<std::string> figures = {"figures", "--data",       "d", "--work-dir",
                                            "w",       "--checkpoint", "c"};
  EXPECT_EQ(FaultOf(figures), "");
  for (const std::vector<std::string>& flag : std::vector<std::vector<std::string>>{
           {"--photographs", "65"}, {"--examples", "0"}, {"--attributes", "33"}}) {
    std::vector<std::string> words = figures;
    words.insert(words.end(), flag.begin(), flag.end());
    EXPECT_THAT(FaultOf(words), HasSubstr(flag[0]));
  }
  EXPECT_THAT(FaultOf({"world", "--output", "o", "--resolution", "8"}), HasSubstr("--resolution"));
}

}  // namespace
}  // namespace stylex
