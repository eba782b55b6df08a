// A run that was killed and resumed ends with the weights of an uninterrupted one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <torch/script.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "models/cpu/fused_networks.h"
#include "tests/trainer/commands/trainer_process.h"
#include "tests/trainer/data/drawn_dataset.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

// 60 steps, a state every 4 steps; every loss and regulariser is used.
constexpr char kConfig[] = R"({
  "model": {"resolution": 16,
            "generator": {"channels": [8, 8, 8], "latentSize": 8, "mappingLayers": 1},
            "encoder": {"channels": [8, 8, 8]},
            "discriminator": {"channels": [8, 8, 8]},
            "classifier": {"widthMultiplier": 0.1}},
  "classifier": {"epochs": 3, "batchSize": 8},
  "stylex": {"images": 240, "batchSize": 4, "r1Interval": 3, "pathLengthInterval": 2,
             "conditionDropoutEnd": 0.5, "lrDecayShare": 0.5, "saveIntervalImages": 16,
             "sampleIntervalImages": 96, "weights": {"latentKl": 0.01}}
})";

std::string Bytes(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadFile(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

// The lines of a run's log without time stamps.
std::vector<std::string> LogOf(const std::string& work_directory) {
  std::vector<std::string> lines;
  for (const absl::string_view line :
       absl::StrSplit(Bytes(work_directory + "/log.jsonl"), '\n', absl::SkipEmpty())) {
    nlohmann::json parsed = nlohmann::json::parse(line.begin(), line.end());
    parsed.erase("time");
    lines.push_back(parsed.dump());
  }
  return lines;
}

class ResumeTest : public testing::Test {
 protected:
  // All tests share the data, a classifier and the uninterrupted run.
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    DrawTwoClasses(Path("data"), 12, 4);
    WriteBytes(Path("config.json"), kConfig);
    ASSERT_EQ(Run(Classifier("classifier")), 0) << said_;
    ASSERT_EQ(Run(Stylex("whole")), 0) << said_;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(Path("models/whole/1/weights.safetensors")));
    const auto seed = std::random_device()();
    RecordProperty("seed", std::to_string(seed));
    random_.seed(seed);
  }

  static std::string Path(const std::string& name) { return folder_->path() + "/" + name; }

  static std::vector<std::string> Common(const std::string& command, const std::string& work) {
    return {command,    "--data", Path("data"), "--work-dir", Path(work),
            "--device", "cpu",    "--threads",  "1"};
  }
  static std::vector<std::string> Classifier(const std::string& work) {
    return With(Common("classifier", work), {"--config", Path("config.json")});
  }
  // Its checkpoint is models/WORK/1.
  static std::vector<std::string> Stylex(const std::string& work) {
    return Training("stylex", work);
  }
  static std::vector<std::string> Training(const std::string& command, const std::string& work) {
    return With(Common(command, work),
                {"--config", Path("config.json"), "--classifier", Path("classifier"), "--output",
                 Path("models"), "--name", work});
  }
  // An option that is there already gets the new value.
  static std::vector<std::string> With(std::vector<std::string> arguments,
                                       const std::vector<std::string>& more) {
    for (const std::string& word : more) {
      const auto found = std::find(arguments.begin(), arguments.end(), word);
      if (word.starts_with("--") && found != arguments.end()) {
        arguments.erase(found, found + 2);
      }
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Runs to completion; the output is in said_.
  static int Run(const std::vector<std::string>& arguments) {
    TrainerProcess process(arguments, Path("output"));
    const int result = process.Wait();
    said_ = process.Output();
    return result;
  }

  // Kills the run at a random moment after it has written `state` once or twice more.
  int RunKilled(const std::vector<std::string>& arguments, const std::string& state, int most_ms) {
    TrainerProcess process(arguments, Path("output"));
    process.AwaitWritten(state, 2 + static_cast<int>(random_() % 2));
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % most_ms));
    process.Signal(SIGKILL);
    const int result = process.Wait();
    said_ = process.Output();
    return result;
  }

  static void ExpectTheWholeRunsWeights(const std::string& name,
                                        const std::string& whole = "whole") {
    EXPECT_TRUE(Bytes(Path("models/" + name + "/1/weights.safetensors")) ==
                Bytes(Path("models/" + whole + "/1/weights.safetensors")))
        << "other weights than the run that was never stopped";
  }

  static TemporaryFolder* folder_;
  static std::string said_;
  std::mt19937 random_;
};

TemporaryFolder* ResumeTest::folder_ = nullptr;
std::string ResumeTest::said_;

TEST_F(ResumeTest, KilledTwiceEqualsNeverStopped) {
  const std::string state = Path("killed/stylex_state.pt");
  const std::vector<std::string> resume = With(Stylex("killed"), {"--resume"});
  ASSERT_EQ(RunKilled(Stylex("killed"), state, 60), -SIGKILL) << said_;
  ASSERT_EQ(RunKilled(resume, state, 60), -SIGKILL) << said_;
  ASSERT_EQ(Run(resume), 0) << said_;
  ExpectTheWholeRunsWeights("killed");
  EXPECT_EQ(LogOf(Path("killed")), LogOf(Path("whole")));
}

TEST_F(ResumeTest, KilledAndStoppedStyleGan2EqualsNeverStopped) {
  ASSERT_EQ(Run(Training("stylegan2", "plain")), 0) << said_;
  const std::string state = Path("killed_plain/stylegan2_state.pt");
  const std::vector<std::string> resume = With(Training("stylegan2", "killed_plain"), {"--resume"});
  ASSERT_EQ(RunKilled(Training("stylegan2", "killed_plain"), state, 60), -SIGKILL) << said_;
  {
    TrainerProcess process(resume, Path("output"));
    process.AwaitWritten(state, 1);
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(), 1) << process.Output();
    EXPECT_THAT(process.Output(), HasSubstr("go on with --resume"));
  }
  ASSERT_EQ(Run(resume), 0) << said_;
  ExpectTheWholeRunsWeights("killed_plain", "plain");
  const std::vector<std::string> log = LogOf(Path("plain"));
  EXPECT_EQ(LogOf(Path("killed_plain")), log);
  // All losses and regularisers of a GAN, and none of StylEx.
  EXPECT_THAT(log[0], HasSubstr("computed in "));
  EXPECT_THAT(log[1], AllOf(HasSubstr("\"event\":\"stylegan2\""), HasSubstr("\"loss_g_mapping\""),
                            HasSubstr("\"path_length\""), HasSubstr("\"r1\"")));
  EXPECT_THAT(log[1], AllOf(Not(HasSubstr("loss_l1")), Not(HasSubstr("loss_kl"))));
  EXPECT_THAT(log.back(), AllOf(HasSubstr("\"event\":\"stylegan2_validation\""),
                                HasSubstr("\"share_dark\""), HasSubstr("\"share_light\"")));
  EXPECT_EQ(Bytes(Path("plain/samples/000000240.png")).substr(1, 3), "PNG");
  EXPECT_EQ(Run(With(Training("stylegan2", "plain"), {"--resume", "--seed", "2"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylegan2_state.pt"), HasSubstr("another configuration")));
}

TEST_F(ResumeTest, StoppedClassifierSavesWithinAnEpoch) {
  const std::string state = Path("stopped_classifier/classifier_state.pt");
  {
    TrainerProcess process(Classifier("stopped_classifier"), Path("output"));
    process.AwaitWritten(state, 1);  // before the first step
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(), 1) << process.Output();
    EXPECT_THAT(process.Output(), HasSubstr("go on with --resume"));
  }
  ASSERT_EQ(Run(With(Classifier("stopped_classifier"), {"--resume"})), 0) << said_;
  EXPECT_TRUE(Bytes(Path("stopped_classifier/classifier.safetensors")) ==
              Bytes(Path("classifier/classifier.safetensors")));
  EXPECT_EQ(LogOf(Path("stopped_classifier")), LogOf(Path("classifier")));
}

TEST_F(ResumeTest, KilledClassifierEqualsNeverStopped) {
  const std::string state = Path("killed_classifier/classifier_state.pt");
  TrainerProcess process(Classifier("killed_classifier"), Path("output"));
  process.AwaitWritten(state, 2);
  process.Signal(SIGKILL);
  ASSERT_EQ(process.Wait(), -SIGKILL) << process.Output();
  ASSERT_EQ(Run(With(Classifier("killed_classifier"), {"--resume"})), 0) << said_;
  EXPECT_TRUE(Bytes(Path("killed_classifier/classifier.safetensors")) ==
              Bytes(Path("classifier/classifier.safetensors")));
  EXPECT_EQ(LogOf(Path("killed_classifier")), LogOf(Path("classifier")));
}

TEST_F(ResumeTest, ResumingAFinishedRunPublishesItOnce) {
  ASSERT_EQ(Run(With(Stylex("whole"), {"--resume"})), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("complete"), HasSubstr(Path("models/whole/1"))));
  EXPECT_FALSE(std::filesystem::exists(Path("models/whole/2")));
  ASSERT_EQ(Run(With(Stylex("whole"), {"--export-only", "--version", "7"})), 0) << said_;
  EXPECT_TRUE(Bytes(Path("models/whole/7/weights.safetensors")) ==
              Bytes(Path("models/whole/1/weights.safetensors")));
}

TEST_F(ResumeTest, ExportsWhileTheRunGoesOn) {
  TrainerProcess process(Stylex("running"), Path("output"));
  process.AwaitWritten(Path("running/stylex_state.pt"), 2);
  process.Signal(SIGSTOP);
  TrainerProcess exporting(With(Stylex("running"), {"--export-only", "--name", "snapshot"}),
                           Path("output_of_export"));
  EXPECT_EQ(exporting.Wait(), 0) << exporting.Output();
  EXPECT_TRUE(std::filesystem::exists(Path("models/snapshot/1/weights.safetensors")));
  process.Signal(SIGCONT);
  ASSERT_EQ(process.Wait(), 0) << process.Output();
  ExpectTheWholeRunsWeights("running");
}

TEST_F(ResumeTest, WhereNothingCanBeWrittenIsSaidFirst) {
  const auto refused = [](std::vector<std::string> more) {
    EXPECT_EQ(Run(With(Stylex("nowhere"), more)), 1);
    EXPECT_FALSE(std::filesystem::exists(Path("nowhere")));
    return said_;
  };
  EXPECT_THAT(refused({"--name", "a/b"}), HasSubstr("\"a/b\" cannot be a model's name"));
  EXPECT_THAT(refused({"--output", Path("config.json")}), HasSubstr("no folder can be created"));
  EXPECT_THAT(refused({"--name", "whole", "--version", "1"}), HasSubstr("there already"));
}

TEST_F(ResumeTest, RefusesToOverwriteARun) {
  const std::string before = Bytes(Path("whole/stylex_state.pt"));
  EXPECT_EQ(Run(Stylex("whole")), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr(Path("whole")), HasSubstr("--resume")));
  EXPECT_TRUE(Bytes(Path("whole/stylex_state.pt")) == before);
  EXPECT_EQ(Run(Classifier("classifier")), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr(Path("classifier")), HasSubstr("--resume")));
}

TEST_F(ResumeTest, RefusesToResumeWithAnotherConfiguration) {
  const std::string before = Bytes(Path("whole/stylex_state.pt"));
  EXPECT_EQ(Run(With(Stylex("whole"), {"--resume", "--seed", "2"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylex_state.pt"), HasSubstr("another configuration"),
                           HasSubstr("--seed is 2, there 1")));
  std::string config = kConfig;
  config.replace(config.find("\"r1Interval\": 3"), 15, "\"r1Interval\": 4");
  WriteBytes(Path("other.json"), config);
  EXPECT_EQ(Run(With(Stylex("whole"), {"--resume", "--config", Path("other.json")})), 1);
  EXPECT_THAT(said_, HasSubstr("stylex.r1Interval is 4, there 3"));
  EXPECT_TRUE(Bytes(Path("whole/stylex_state.pt")) == before);
}

TEST_F(ResumeTest, RefusesToResumeOnOtherData) {
  std::filesystem::copy(Path("data"), Path("moved"), std::filesystem::copy_options::recursive);
  const std::vector<std::string> resume =
      With(Stylex("whole"), {"--resume", "--data", Path("moved")});
  EXPECT_EQ(Run(resume), 0) << said_;  // a copy is the same data
  std::filesystem::copy_file(Path("moved/val/dark/0.png"), Path("moved/val/dark/1.png"),
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::remove(Path("moved/train/light/3.png"));
  EXPECT_EQ(Run(resume), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("then 32 files, now 31; 2 differ"),
                           HasSubstr("differ: train/light/3.png (then "),
                           HasSubstr("now not there"), HasSubstr(", val/dark/1.png (then ")));
}

TEST_F(ResumeTest, RefusesToResumeWithAnotherClassifier) {
  ASSERT_EQ(Run(With(Classifier("other_classifier"), {"--seed", "5"})), 0) << said_;
  EXPECT_EQ(Run(With(Stylex("whole"), {"--resume", "--classifier", Path("other_classifier")})), 1);
  EXPECT_THAT(said_, HasSubstr("the classifier has SHA-256 "));
}

TEST_F(ResumeTest, GoesOnWithTheConfigOfThenWithoutBeingGivenIt) {
  {
    TrainerProcess process(Stylex("forgetful"), Path("output"));
    process.AwaitWritten(Path("forgetful/stylex_state.pt"), 2);
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(), 1) << process.Output();
  }
  std::vector<std::string> resume = With(Stylex("forgetful"), {"--resume"});
  const auto config = std::find(resume.begin(), resume.end(), "--config");
  resume.erase(config, config + 2);
  ASSERT_EQ(Run(resume), 0) << said_;
  ExpectTheWholeRunsWeights("forgetful");
}

TEST_F(ResumeTest, ThePrecisionMayChangeAndIsRecorded) {
  if (!CpuMultipliesInBfloat16()) {
    GTEST_SKIP() << "this processor has no AVX512-BF16";
  }
  {
    TrainerProcess process(With(Stylex("rounded"), {"--precision", "float32"}), Path("output"));
    process.AwaitWritten(Path("rounded/stylex_state.pt"), 2);
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(), 1) << process.Output();
  }
  ASSERT_EQ(Run(With(Stylex("rounded"), {"--resume", "--precision", "bfloat16"})), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("computed in bfloat16 from image "));
  EXPECT_THAT(LogOf(Path("rounded")), Contains(HasSubstr("computed in float32 from image 0 on")));
  EXPECT_THAT(LogOf(Path("rounded")), Contains(HasSubstr("computed in bfloat16 from image ")));
  const std::string card = Bytes(Path("models/rounded/1/README.md"));
  EXPECT_THAT(card, ContainsRegex("Computed in: float32, from image [0-9]+ on bfloat16"));
}

TEST_F(ResumeTest, AnUnknownPrecisionIsRefusedByName) {
  EXPECT_EQ(Run(With(Stylex("strange"), {"--precision", "float8"})), 1);
  EXPECT_THAT(said_, HasSubstr("--precision float8: must be auto, float32 or bfloat16"));
}

// tests/testdata/state_of_before/stylex_state.pt was written by this run's first 16 images at a
// version that stored a text of the config instead of a record.
TEST_F(ResumeTest, AStateOfBeforeGoesOnWithOneWarning) {
  torch::jit::Module brightness("M");
  brightness.define(R"(
    def forward(self, x):
      m = x.mean([1, 2, 3])
      return torch.stack([-8 * m, 8 * m], 1)
  )");
  brightness.save(Path("brightness.pt"));
  const std::string config = R"({
    "model": {"resolution": 16,
              "generator": {"channels": [2, 2, 2], "latentSize": 2, "mappingLayers": 1},
              "encoder": {"channels": [2, 2, 2]},
              "discriminator": {"channels": [2, 2, 2]}},
    "stylex": {"images": 32, "batchSize": RATE, "saveIntervalImages": 8, "sampleIntervalImages": 0}
  })";
  const auto run = [&](const std::string& batch_size) {
    std::string text = config;
    WriteBytes(Path("before.json"), text.replace(text.find("RATE"), 4, batch_size));
    return Run(With(Common("stylex", "before"),
                    {"--config", Path("before.json"), "--classifier", Path("brightness.pt"),
                     "--output", Path("models"), "--name", "before", "--resume"}));
  };
  std::filesystem::create_directories(Path("before"));
  const std::string state = Path("before/stylex_state.pt");
  std::filesystem::copy_file(STYLEX_SOURCE_DIR "/tests/testdata/state_of_before/stylex_state.pt",
                             state);
  EXPECT_EQ(run("8"), 1);
  EXPECT_THAT(said_, HasSubstr("stylex.batchSize is 8, there 4"));
  ASSERT_EQ(run("4"), 0) << said_;
  const std::vector<std::string> parts = absl::StrSplit(said_, "warning: ");
  EXPECT_THAT(parts, testing::SizeIs(2)) << said_;
  EXPECT_THAT(said_, HasSubstr("was written by an earlier version"));
  EXPECT_TRUE(std::filesystem::exists(Path("models/before/1/weights.safetensors")));
  // The states that it saved since are complete.
  ASSERT_EQ(run("4"), 0) << said_;
  EXPECT_THAT(said_, Not(HasSubstr("earlier version")));
}

TEST_F(ResumeTest, AUsersClassifierIsLookedAtFirst) {
  torch::jit::Module module("M");
  module.define(R"(
    def forward(self, x):
      m = x.detach().mean([1, 2, 3])
      return torch.stack([-8 * m, 8 * m], 1)
  )");
  module.save(Path("detached.pt"));
  const auto arguments = With(Common("stylex", "detached"),
                              {"--config", Path("config.json"), "--classifier", Path("detached.pt"),
                               "--output", Path("models"), "--name", "detached"});
  EXPECT_EQ(Run(arguments), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr(Path("detached.pt")), HasSubstr("no gradients"),
                           HasSubstr("--anyway"), HasSubstr("the classifier is right on ")));
  EXPECT_FALSE(std::filesystem::exists(Path("detached")));
  ASSERT_EQ(Run(With(arguments, {"--anyway"})), 0) << said_;
  const std::string checkpoint = Path("models/detached/1");
  ASSERT_EQ(
      Run(With(Common("attributes", "detached"), {"--checkpoint", checkpoint, "--images", "4"})), 0)
      << said_;
  // An error on a worker thread, and no abort.
  EXPECT_EQ(Run(With(Common("evaluate", "detached"), {"--checkpoint", checkpoint})), 1);
  EXPECT_THAT(said_, HasSubstr("does not require grad"));
}

TEST_F(ResumeTest, EvaluatingWithoutAnIndexIsRefusedFirst) {
  ASSERT_EQ(Run(With(Stylex("whole"), {"--export-only", "--name", "bare"})), 0) << said_;
  EXPECT_EQ(Run(With(Common("evaluate", "bare"), {"--checkpoint", Path("models/bare/1")})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylex-train attributes"), Not(HasSubstr("agreement"))));
}

TEST_F(ResumeTest, TheCardsCommandsCanBePasted) {
  ASSERT_EQ(Run(With(Stylex("whole"), {"--export-only", "--name", "it's (new)"})), 0) << said_;
  EXPECT_THAT(Bytes(Path("models/it's (new)/1/README.md")),
              HasSubstr("--export-only --name 'it'\\''s (new)'\n"));
}

TEST_F(ResumeTest, ABrokenStateIsNamed) {
  const std::string bytes = Bytes(Path("whole/stylex_state.pt"));
  WriteBytes(Path("broken/stylex_state.pt"), bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(Run(With(Stylex("broken"), {"--resume"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr(Path("broken/stylex_state.pt")),
                           HasSubstr("not a readable training state")));
}

TEST_F(ResumeTest, AMisspeltFieldIsNamed) {
  WriteBytes(Path("typo.json"), R"({"stylex": {"batchSise": 4}})");
  EXPECT_EQ(Run(With(Common("classifier", "typo"), {"--config", Path("typo.json")})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("typo.json"), HasSubstr("batchSise")));
  EXPECT_FALSE(std::filesystem::exists(Path("typo")));
  WriteBytes(Path("typo.json"), R"({"stylex": {"batchSize": -4}})");
  EXPECT_EQ(Run(With(Common("classifier", "typo"), {"--config", Path("typo.json")})), 1);
  EXPECT_THAT(said_, HasSubstr("stylex.batchSize is -4"));
}

// Stands before the test that gives this checkpoint attributes.
TEST_F(ResumeTest, ReconstructionsAreMeasuredWithoutAttributesToo) {
  const std::string checkpoint = Path("models/whole/1");
  const std::vector<std::string> evaluate =
      With(Common("evaluate", "plain"), {"--checkpoint", checkpoint});
  EXPECT_EQ(Run(evaluate), 1);
  EXPECT_THAT(said_, HasSubstr("no attribute index"));
  ASSERT_EQ(Run(With(evaluate, {"--reconstruction-only"})), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("sharpness"), HasSubstr("small parts"), HasSubstr("light")));
  const auto metrics = nlohmann::json::parse(Bytes(checkpoint + "/model.json")).at("metrics");
  EXPECT_GT(metrics.at("sharpness"), 0);
  EXPECT_GE(metrics.at("small_parts"), 0);
  EXPECT_LE(metrics.at("small_parts_found"), 1);
  EXPECT_FALSE(metrics.contains("flip_images"));
}

TEST_F(ResumeTest, AttributesAndEvaluationGoIntoTheCheckpoint) {
  const std::string checkpoint = Path("models/whole/1");
  ASSERT_EQ(Run(With(Common("attributes", "whole"), {"--checkpoint", checkpoint, "--images", "8"})),
            0)
      << said_;
  const auto index = nlohmann::json::parse(Bytes(checkpoint + "/attributes.json"));
  EXPECT_EQ(index.at("classes").size(), 2);
  EXPECT_EQ(index.at("searchImages"), 8);
  ASSERT_EQ(
      Run(With(Common("evaluate", "whole"), {"--checkpoint", checkpoint, "--flip-images", "2"})), 0)
      << said_;
  EXPECT_THAT(said_, HasSubstr("agreement"));
  const auto metrics = nlohmann::json::parse(Bytes(checkpoint + "/model.json")).at("metrics");
  EXPECT_EQ(metrics.at("images"), 8);
  EXPECT_EQ(metrics.at("flip_images"), 2);
  EXPECT_GE(metrics.at("agreement"), 0);
  EXPECT_LE(metrics.at("agreement"), 1);
  EXPECT_TRUE(metrics.contains("classifier_accuracy"));
  EXPECT_EQ(nlohmann::json::parse(Bytes(Path("whole/evaluation.json"))).at("images"), 8);
}

TEST_F(ResumeTest, TailsOfRangesAreLeftOutWhereThatIsAsked) {
  const std::string checkpoint = Path("models/whole/1");
  const auto width_with = [&](const std::string& tails) {
    EXPECT_EQ(Run(With(Common("attributes", "tails"),
                       {"--checkpoint", checkpoint, "--images", "8", "--range-tails", tails})),
              0)
        << said_;
    const auto index = nlohmann::json::parse(Bytes(checkpoint + "/attributes.json"));
    EXPECT_EQ(index.value("rangeTails", 0.0), std::stod(tails));
    double width = 0;
    for (const auto& style : index.at("styles")) {
      width += style.value("max", 0.0) - style.value("min", 0.0);
    }
    return width;
  };
  EXPECT_LT(width_with("0.2"), width_with("0"));
}

TEST_F(ResumeTest, WeakAttributesAreLeftOutWhereThatIsAsked) {
  const std::string checkpoint = Path("models/whole/1");
  // For the class that most of the images are not decided as.
  const auto effects_with = [&](const std::string& least_effect) {
    EXPECT_EQ(Run(With(Common("attributes", "weak"),
                       {"--checkpoint", checkpoint, "--images", "8", "--explained-at", "0",
                        "--least-effect", least_effect})),
              0)
        << said_;
    std::vector<double> longest;
    const auto index = nlohmann::json::parse(Bytes(checkpoint + "/attributes.json"));
    for (const nlohmann::json& of_class : index.at("classes")) {
      std::vector<double> effects;
      // An effect of 0 is not written.
      for (const auto& attribute : of_class.value("attributes", nlohmann::json::array())) {
        effects.push_back(attribute.value("meanEffect", 0.0));
      }
      longest = effects.size() > longest.size() ? effects : longest;
    }
    return longest;
  };
  const std::vector<double> all = effects_with("0");
  ASSERT_GT(all.size(), 2);
  // Which is first may be decided by rounding: equal effects are summed in other orders elsewhere.
  const double strongest = *std::max_element(all.begin(), all.end());
  std::vector<double> strong = all;
  std::erase_if(strong, [&](double effect) { return effect < 0.7 * strongest; });
  ASSERT_LT(strong.size(), all.size());
  EXPECT_EQ(effects_with("0.7"), strong);
}

// That both searches find the same is tested in tests/explain; this network's effects are noise.
TEST_F(ResumeTest, ScreenedAttributesGoIntoTheCheckpointToo) {
  const std::string checkpoint = Path("models/whole/1");
  const auto arguments = With(Common("attributes", "screened"),
                              {"--checkpoint", checkpoint, "--images", "24", "--max-attributes",
                               "3", "--explained-at", "0", "--screened"});
  ASSERT_EQ(Run(arguments), 0) << said_;
  const auto index = nlohmann::json::parse(Bytes(checkpoint + "/attributes.json"));
  int64_t images = 0;
  for (const nlohmann::json& of_class : index.at("classes")) {
    images += of_class.value("images", 0);
    EXPECT_LE(of_class.value("attributes", nlohmann::json::array()).size(), 3);
  }
  EXPECT_EQ(images, 24);  // each is searched for the class it is not decided as
  EXPECT_THAT(Bytes(Path("screened/log.jsonl")), HasSubstr("classifier_calls"));
  EXPECT_NE(Run(With(arguments, {"--subset"})), 0);
  EXPECT_THAT(said_, HasSubstr("--subset"));
}

TEST_F(ResumeTest, KilledAttributesEqualNeverStopped) {
  const std::string checkpoint = Path("models/whole/1");
  const auto arguments = [&](const std::string& work) {
    return With(Common("attributes", work), {"--checkpoint", checkpoint, "--images", "24"});
  };
  ASSERT_EQ(Run(arguments("attributes")), 0) << said_;
  const std::string expected = Bytes(checkpoint + "/attributes.json");
  EXPECT_FALSE(std::filesystem::exists(Path("attributes/attributes_state")));

  const std::string state = Path("killed_attributes/attributes_state");
  {
    TrainerProcess process(arguments("killed_attributes"), Path("output"));
    process.AwaitWritten(state, 2);  // the ranges, and some images
    process.Signal(SIGKILL);
    ASSERT_EQ(process.Wait(), -SIGKILL) << process.Output();
  }
  ASSERT_TRUE(std::filesystem::exists(state));
  std::filesystem::copy_file(state, Path("state_of_killed"));
  ASSERT_EQ(Run(arguments("killed_attributes")), 0) << said_;
  EXPECT_THAT(said_, Not(HasSubstr("starting over")));
  EXPECT_EQ(Bytes(checkpoint + "/attributes.json"), expected);

  // The state of another search: reported and not used.
  std::filesystem::copy_file(Path("state_of_killed"), state);
  ASSERT_EQ(Run(With(arguments("killed_attributes"), {"--shift", "0.5"})), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("starting over"));
}

// A separate file system that is too small for two states.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    std::filesystem::create_directories(path);
    mounted_ = mount("tmpfs", path.c_str(), "tmpfs", 0, "size=2m") == 0;
    error_ = mounted_ ? "" : std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) {
      umount2(path_.c_str(), MNT_DETACH);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& error() const { return error_; }
  // Leaves this many bytes.
  void Fill(int64_t left) const {
    const int64_t size = static_cast<int64_t>(std::filesystem::space(path_).available) - left;
    WriteBytes(path_ + "/filler", std::string(static_cast<size_t>(size), 'x'));
  }
  void Free() const { std::filesystem::remove(path_ + "/filler"); }

 private:
  std::string path_;
  bool mounted_;
  std::string error_;
};

TEST_F(ResumeTest, AFullDiskLeavesTheLastState) {
  const SmallDisk disk(Path("small"));
  if (!disk.mounted()) {
    GTEST_SKIP() << "a small file system cannot be mounted here: " << disk.error();
  }
  const std::string state = Path("small/stylex_state.pt");
  {
    TrainerProcess process(Stylex("small"), Path("output"));
    process.AwaitWritten(state, 1);
    process.Signal(SIGTERM);
    ASSERT_EQ(process.Wait(), 1) << process.Output();
    EXPECT_THAT(process.Output(), HasSubstr("go on with --resume"));
  }
  const std::string before = Bytes(state);
  disk.Fill(/*left=*/64 << 10);  // the log fits, a state does not
  EXPECT_EQ(Run(With(Stylex("small"), {"--resume"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("RESOURCE_EXHAUSTED"), HasSubstr(state)));
  EXPECT_TRUE(Bytes(state) == before);
  for (const auto& entry : std::filesystem::directory_iterator(Path("small"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "stylex_state.pt" || name == "previous_stylex_state.pt" ||
                name.find("stylex_state") == std::string::npos)
        << name;
  }
  disk.Free();
  ASSERT_EQ(Run(With(Stylex("small"), {"--resume"})), 0) << said_;
  ExpectTheWholeRunsWeights("small");
}

// Half a file, as a disk that fails may leave it: the state before it does.
TEST_F(ResumeTest, ADamagedStateIsReplacedByThePreviousOne) {
  const std::string state = Path("damaged/stylex_state.pt");
  {
    TrainerProcess process(Stylex("damaged"), Path("output"));
    process.AwaitWritten(state, 2);
    process.Signal(SIGKILL);
    process.Wait();
  }
  ASSERT_TRUE(std::filesystem::exists(Path("damaged/previous_stylex_state.pt")));
  const std::string whole = Bytes(state);
  WriteBytes(state, whole.substr(0, whole.size() / 2));
  ASSERT_EQ(Run(With(Stylex("damaged"), {"--resume"})), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("not a readable training state"),
                           HasSubstr("the state before it is used")));
  ExpectTheWholeRunsWeights("damaged");
}

}  // namespace
}  // namespace stylex
