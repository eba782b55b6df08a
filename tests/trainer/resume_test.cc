// A run that was killed, and resumed, ends with the weights of one that never stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>

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
#include "image/codec.h"
#include "tests/trainer/drawn_dataset.h"
#include "tests/trainer/trainer_process.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// 60 steps, a state every 4 of them; every loss and regulariser has its turns.
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

// The lines of a run's log without the time of day.
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
  // The data, a classifier and the run that is never stopped serve all tests.
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
  static std::vector<std::string> With(std::vector<std::string> arguments,
                                       const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // Runs to the end; what it said is in said_.
  static int Run(const std::vector<std::string>& arguments) {
    TrainerProcess process(arguments, Path("output"));
    const int result = process.Wait();
    said_ = process.Output();
    return result;
  }

  // Kills the run at a random moment after it has written `state` once or twice more.
  int RunKilled(const std::vector<std::string>& arguments, const std::string& state, int most_ms) {
    TrainerProcess process(arguments, Path("output"));
    process.AwaitWritten(state, 1 + static_cast<int>(random_() % 2));
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
  // Every loss and regulariser of a GAN, and none of StylEx.
  EXPECT_THAT(log[0], AllOf(HasSubstr("\"event\":\"stylegan2\""), HasSubstr("\"loss_g_mapping\""),
                            HasSubstr("\"path_length\""), HasSubstr("\"r1\"")));
  EXPECT_THAT(log[0], AllOf(Not(HasSubstr("loss_l1")), Not(HasSubstr("loss_kl"))));
  EXPECT_THAT(log.back(), AllOf(HasSubstr("\"event\":\"stylegan2_validation\""),
                                HasSubstr("\"share_dark\""), HasSubstr("\"share_light\"")));
  EXPECT_EQ(Bytes(Path("plain/samples/000000240.png")).substr(1, 3), "PNG");
  EXPECT_EQ(Run(With(Training("stylegan2", "plain"), {"--resume", "--seed", "2"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("stylegan2_state.pt"), HasSubstr("another configuration")));
}

TEST_F(ResumeTest, KilledClassifierEqualsNeverStopped) {
  const std::string state = Path("killed_classifier/classifier_state.pt");
  TrainerProcess process(Classifier("killed_classifier"), Path("output"));
  process.AwaitWritten(state, 1);
  process.Signal(SIGKILL);
  ASSERT_EQ(process.Wait(), -SIGKILL) << process.Output();
  ASSERT_EQ(Run(With(Classifier("killed_classifier"), {"--resume"})), 0) << said_;
  EXPECT_TRUE(Bytes(Path("killed_classifier/classifier.safetensors")) ==
              Bytes(Path("classifier/classifier.safetensors")));
  EXPECT_EQ(LogOf(Path("killed_classifier")), LogOf(Path("classifier")));
}

TEST_F(ResumeTest, ResumingAFinishedRunExportsItAgain) {
  ASSERT_EQ(Run(With(Stylex("whole"), {"--resume", "--version", "7"})), 0) << said_;
  EXPECT_TRUE(Bytes(Path("models/whole/7/weights.safetensors")) ==
              Bytes(Path("models/whole/1/weights.safetensors")));
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
  EXPECT_THAT(said_, AllOf(HasSubstr("stylex_state.pt"), HasSubstr("another configuration")));
  EXPECT_TRUE(Bytes(Path("whole/stylex_state.pt")) == before);
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

// Before the checkpoint that all tests share gets its attributes.
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

TEST_F(ResumeTest, WeakAttributesAreLeftOutWhereThatIsAsked) {
  const std::string checkpoint = Path("models/whole/1");
  // Of the class that most of the images are not decided as.
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
  std::vector<double> strong = all;
  std::erase_if(strong, [&](double effect) { return effect < 0.7 * all[0]; });
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
  EXPECT_EQ(images, 24);  // each raises the class that it is not decided as
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

  // Of another search: said, and not used.
  std::filesystem::copy_file(Path("state_of_killed"), state);
  ASSERT_EQ(Run(With(arguments("killed_attributes"), {"--shift", "0.5"})), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("starting over"));
}

// A file system of its own that is too small for two states.
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
    EXPECT_TRUE(name == "stylex_state.pt" || !name.starts_with("stylex_state")) << name;
  }
  disk.Free();
  ASSERT_EQ(Run(With(Stylex("small"), {"--resume"})), 0) << said_;
  ExpectTheWholeRunsWeights("small");
}

}  // namespace
}  // namespace stylex
