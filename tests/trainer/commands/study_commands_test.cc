// The evaluation commands, from a drawn data set to a scored user study, run through the command
// line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "explain/style_space.h"
#include "image/codec.h"
#include "models/checkpoint.h"
#include "models/pixels.h"
#include "tests/trainer/commands/trainer_process.h"
#include "tests/trainer/data/drawn_dataset.h"
#include "trainer/commands/study_options.h"
#include "trainer/data/csv.h"
#include "trainer/study/paper_figures.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Enough training, with enough weight on the classifier, that images of both classes are
// reconstructed as their class on any CPU, regardless of rounding.
constexpr char kConfig[] = R"({
  "model": {"resolution": 16,
            "generator": {"channels": [8, 8, 8], "latentSize": 8, "mappingLayers": 1},
            "encoder": {"channels": [8, 8, 8]},
            "discriminator": {"channels": [8, 8, 8]},
            "classifier": {"widthMultiplier": 0.25}},
  "classifier": {"epochs": 40, "batchSize": 16, "learningRate": 0.005},
  "stylex": {"images": 2400, "batchSize": 4, "generatorLr": 0.006, "encoderLr": 0.006,
             "discriminatorLr": 0.003, "weights": {"adversarial": 0.1, "l1": 5, "kl": 3}}
})";

class StudyCommandsTest : public testing::Test {
 protected:
  // All tests, of the suites derived from this one too, share a data set and a model of it: making
  // them takes longer than most tests do.
  static void SetUpTestSuite() {
    if (folder_.has_value()) {
      return;
    }
    folder_.emplace();
    WriteBytes(Path("config.json"), kConfig);
    ASSERT_EQ(Run({"world", "--output", Path("world"), "--resolution", "16", "--train", "320",
                   "--val", "96", "--rule", "background"}),
              0)
        << said_;
    ASSERT_EQ(Run(With(Common("classifier", "classifier"), {"--config", Path("config.json")})), 0)
        << said_;
    ASSERT_EQ(Run(With(Common("stylex", "stylex"),
                       {"--config", Path("config.json"), "--classifier", Path("classifier"),
                        "--output", Path("models"), "--name", "tiny"})),
              0)
        << said_;
    ASSERT_EQ(Run(With(Common("attributes", "attributes"),
                       {"--images", "16", "--checkpoint", Path("models/tiny/1")})),
              0)
        << said_;
  }
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(Path("models/tiny/1/attributes.json")));
    ASSERT_THAT(Bytes("models/tiny/1/attributes.json"), HasSubstr("meanEffect"));
  }

  static std::string Path(const std::string& name) { return folder_->path() + "/" + name; }
  static std::string Bytes(const std::string& name) {
    const absl::StatusOr<std::string> bytes = ReadFile(Path(name));
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or("");
  }
  static std::vector<std::string> Common(const std::string& command, const std::string& work,
                                         const std::string& data = "world") {
    return {command,    "--data", Path(data),  "--work-dir", Path(work),
            "--device", "cpu",    "--threads", "1"};
  }
  static std::vector<std::string> With(std::vector<std::string> arguments,
                                       const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  static std::vector<std::string> OnModel(const std::string& command, const std::string& work,
                                          const std::vector<std::string>& more) {
    return With(With(Common(command, work), {"--checkpoint", Path("models/tiny/1")}), more);
  }
  // For trainings whose pictures no test looks at.
  static std::string ShortConfig() {
    WriteBytes(Path("short.json"), absl::StrReplaceAll(kConfig, {{"2400", "240"}}));
    return Path("short.json");
  }
  static int Run(const std::vector<std::string>& arguments) {
    TrainerProcess process(arguments, Path("output"));
    const int result = process.Wait();
    said_ = process.Output();
    return result;
  }

  static std::optional<TemporaryFolder> folder_;
  static std::string said_;
};

std::optional<TemporaryFolder> StudyCommandsTest::folder_;
std::string StudyCommandsTest::said_;

TEST_F(StudyCommandsTest, AStudyIsMadeAndScored) {
  ASSERT_EQ(Run(OnModel("study", "study", {"--attributes", "2", "--questions", "2"})), 0) << said_;
  const std::string page = Bytes("study/study/index.html");
  EXPECT_THAT(page, HasSubstr("data-questions=\"4\""));
  for (const std::string gif : {"q01_example1", "q01_example2", "q04_A", "q04_B"}) {
    EXPECT_EQ(Bytes(absl::StrCat("study/study/gifs/", gif, ".gif")).substr(0, 3), "GIF");
  }
  EXPECT_FALSE(std::filesystem::exists(Path("study/study/key.csv"))) << "not with the questions";
  // One participant who knows the key, one who always says A.
  const CsvTable key = ReadCsv(Path("study/key.csv")).value();
  ASSERT_EQ(key.rows.size(), 4);
  const size_t answer = key.Column("answer").value();
  std::string sheet = "Timestamp,Study,Question 1,Question 2,Question 3,Question 4\n";
  absl::StrAppend(&sheet, "now,", key.rows[0][0], ",", key.rows[0][answer], ",",
                  key.rows[1][answer], ",", key.rows[2][answer], ",", key.rows[3][answer], "\n");
  absl::StrAppend(&sheet, "now,", key.rows[0][0], ",A,A,A,A\n");
  WriteBytes(Path("answers.csv"), sheet);
  ASSERT_EQ(Run({"study", "--score", Path("answers.csv"), "--key", Path("study/key.csv")}), 0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("0.7500 +- 0.2500"), HasSubstr("2 participants")));
}

TEST_F(StudyCommandsTest, ACheckpointsClassifierIsTakenForAnotherExplainer) {
  ASSERT_EQ(
      Run(With(Common("stylex", "on"),
               {"--config", ShortConfig(), "--classifier", Path("models/tiny/1"), "--start-from",
                Path("models/tiny/1"), "--output", Path("models_on"), "--name", "tiny"})),
      0)
      << said_;
  const Checkpoint first = LoadCheckpoint(Path("models/tiny/1")).value();
  const Checkpoint second = LoadCheckpoint(Path("models_on/tiny/1")).value();
  torch::manual_seed(1);
  const torch::Tensor x = torch::rand({4, 3, 16, 16}) * 2 - 1;
  EXPECT_TRUE(torch::equal(first.model.Logits(x), second.model.Logits(x)));
  const auto& metrics = second.model.config().metrics();
  EXPECT_TRUE(metrics.contains("classifier_accuracy"));
  for (const auto& [name, value] : metrics) {
    EXPECT_TRUE(name.starts_with("classifier_")) << name << " is of the other explainer";
  }
}

TEST_F(StudyCommandsTest, AttributesAreNamedAllOrNone) {
  const auto naming = [](const std::vector<std::string>& names) {
    return With({"name", "--checkpoint", Path("models/tiny/1")}, names);
  };
  const auto read = [] { return LoadCheckpoint(Path("models/tiny/1")).value(); };
  const v1::Attribute first = read().attributes->classes(0).attributes(0);
  const std::string spelled =
      absl::StrCat(first.index(), first.direction() == v1::DIRECTION_TO_MIN ? ":min" : ":max");
  ASSERT_EQ(Run(naming({spelled + "=bröad = leaf"})), 0) << said_;
  EXPECT_EQ(read().attributes->classes(0).attributes(0).name(), "bröad = leaf");
  EXPECT_THAT(Bytes("models/tiny/1/README.md"), HasSubstr("bröad = leaf"));
  for (const std::string& wrong : std::initializer_list<std::string>{
           spelled, spelled + "=two\nlines", spelled + "=a|b", spelled + "=\xff",
           spelled + "=" + std::string(65, 'a'), std::string("first:max=a"), std::string("1:up=a"),
           std::string("9999:max=a")}) {
    EXPECT_EQ(Run(naming({spelled + "=other", wrong})), 1) << wrong;
    EXPECT_THAT(said_, HasSubstr("stylex-train: ")) << wrong;
  }
  EXPECT_EQ(read().attributes->classes(0).attributes(0).name(), "bröad = leaf");
  ASSERT_EQ(Run(naming({spelled + "="})), 0) << said_;
  EXPECT_EQ(read().attributes->classes(0).attributes(0).name(), "");
}

TEST_F(StudyCommandsTest, AttributesAreDescribedAndNamedByWhatWasMeasured) {
  ASSERT_EQ(Run(OnModel("describe", "describe", {"--images", "12", "--word", "dark parts=eyes"})),
            0)
      << said_;
  const std::string said = said_;
  const auto told = nlohmann::json::parse(Bytes("describe/descriptions.json"));
  ASSERT_FALSE(told.empty());
  const Checkpoint checkpoint = LoadCheckpoint(Path("models/tiny/1")).value();
  int described = 0;
  for (const v1::ClassAttributes& of_class : checkpoint.attributes->classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      const std::string spelled = absl::StrCat(
          attribute.index(), attribute.direction() == v1::DIRECTION_TO_MIN ? ":min" : ":max");
      EXPECT_THAT("\n" + said, HasSubstr("\n" + spelled + ": "));
      EXPECT_THAT(attribute.description(), Not(HasSubstr("dark parts redder")));
      if (attribute.changes_size() > 0 && described++ == 0) {
        EXPECT_THAT(Bytes("models/tiny/1/README.md"), HasSubstr(attribute.description()));
        const std::vector<std::string> naming = {"name", "--checkpoint", Path("models/tiny/1")};
        EXPECT_EQ(Run(With(naming, {spelled + "=rounder but less round, lighter and darker"})), 1);
        EXPECT_THAT(said_, AllOf(HasSubstr("was not measured to become"), HasSubstr("--anyway")));
        EXPECT_EQ(Run(With(naming, {spelled + "=" + attribute.changes(0).words()})), 0) << said_;
        EXPECT_EQ(Run(With(naming, {"--anyway", spelled + "=lighter and darker"})), 0) << said_;
        EXPECT_EQ(Run(With(naming, {spelled + "="})), 0) << said_;
      }
    }
  }
  EXPECT_EQ(Run(OnModel("describe", "describe", {"--word", "nose=snout"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("nose=snout"), HasSubstr("background, border, centre")));
}

TEST_F(StudyCommandsTest, TruthIsMeasured) {
  ASSERT_EQ(Run(OnModel("truth", "truth", {"--images", "8", "--top", "3"})), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("class no"), HasSubstr("class yes"), HasSubstr("recall")));
  const auto truth = nlohmann::json::parse(Bytes("truth/truth.json"));
  EXPECT_EQ(truth.at("images"), 8);
  EXPECT_EQ(truth.at("factors").size(), 10);
  EXPECT_EQ(truth.at("factors")[8].at("name"), "background");
  EXPECT_EQ(truth.at("factors")[8].at("sign"), 1);
  ASSERT_EQ(truth.at("classes").size(), 2);
  for (const auto& of_class : truth.at("classes")) {
    EXPECT_LE(of_class.at("attributes").size(), 3);
    EXPECT_EQ(of_class.at("true_effect").size(), 10);
  }
  // The checkpoint tells it as well, until its index is made anew.
  const Checkpoint told = LoadCheckpoint(Path("models/tiny/1")).value();
  ASSERT_TRUE(told.truth.has_value());
  EXPECT_EQ(told.truth->factors(8).sign(), 1);
  EXPECT_EQ(told.truth->images(), 8);
  EXPECT_THAT(Bytes("models/tiny/1/README.md"), HasSubstr("| background | yes |"));
  const std::string card = Bytes("models/tiny/1/README.md");
  ASSERT_EQ(Run(OnModel("truth", "truth", {"--images", "6", "--no-record"})), 0) << said_;
  EXPECT_EQ(Bytes("models/tiny/1/README.md"), card);
}

TEST_F(StudyCommandsTest, FiguresAreDrawn) {
  ASSERT_EQ(Run(OnModel("figures", "figures",
                        {"--photographs", "5", "--examples", "2", "--attributes", "1"})),
            0)
      << said_;
  const Bitmap photographs = DecodeImage(Bytes("figures/reconstructions.png"), {}).value();
  EXPECT_EQ(photographs.width, 6 + 5 * (80 + 6))
      << "five columns of 16 pixels, five times as large";
  const Checkpoint checkpoint = LoadCheckpoint(Path("models/tiny/1")).value();
  int drawn = 0;
  for (const v1::ClassAttributes& entry : checkpoint.attributes->classes()) {
    if (entry.attributes().empty()) {
      continue;
    }
    ++drawn;
    const std::string png = Bytes(absl::StrCat("figures/attributes-", entry.class_id(), ".png"));
    EXPECT_THAT(png, HasSubstr("Synthetic image"));
    const Bitmap attributes = DecodeImage(png, {}).value();
    EXPECT_EQ(attributes.width, 6 + 2 * 3 * (80 + 6) + 18);
  }
  EXPECT_GE(drawn, 1);
}

TEST_F(StudyCommandsTest, TheBaselinesFigureIsOfPhotographs) {
  ASSERT_EQ(Run(OnModel("figures", "wu", {"--baseline", "wu", "--exemplars", "5%"})), 0) << said_;
  EXPECT_THAT(Bytes("wu/wu-0.png"), HasSubstr("Synthetic image"));
  EXPECT_FALSE(std::filesystem::exists(Path("wu/attributes-0.png")));
  EXPECT_NE(Run(OnModel("figures", "wu", {"--exemplars", "5%"})), 0);
  EXPECT_THAT(said_, HasSubstr("--baseline"));
}

// The tiles show the images that the model synthesizes for the moved styles.
TEST_F(StudyCommandsTest, AnAttributesTilesAreItsMoves) {
  const Checkpoint checkpoint = LoadCheckpoint(Path("models/tiny/1")).value();
  const Stylex& model = checkpoint.model;
  const StyleRanges ranges = RangesFromIndex(*checkpoint.attributes);
  const v1::ClassAttributes& entry = checkpoint.attributes->classes(0);
  torch::manual_seed(7);
  const torch::NoGradGuard no_grad;
  const StyleVectors styles = model.StylesOfImages(torch::rand({1, 3, 16, 16}) * 2 - 1);
  const Bitmap drawn = DrawAttributes(model, styles, ranges, entry, 1, 1);
  const Coordinate raising = ToCoordinate(entry.attributes(0));
  for (int column = 0; column < 3; ++column) {
    const Move move{{raising.index, column / 2}, 1};
    const StyleVectors moved = column == 1 ? styles : ApplyMoves(styles, ranges, {&move, 1});
    const Bitmap expected = TensorToBitmap(model.Synthesize(moved));
    const int x0 = 6 + column * (80 + 6), y0 = 6 + 12 + 6 + 2 * 12;
    for (int y = 0; y < 16; ++y) {
      for (int x = 0; x < 16; ++x) {
        for (int c = 0; c < 3; ++c) {
          ASSERT_EQ(drawn.pixel(x0 + 5 * x + 2, y0 + 5 * y + 2)[c], expected.pixel(x, y)[c])
              << "column " << column << " at " << x << ", " << y;
        }
      }
    }
  }
}

TEST_F(StudyCommandsTest, ProtocolsCompareTheMethods) {
  ASSERT_EQ(Run(OnModel("evaluate", "protocols", {"--protocol", "heldout"})), 0) << said_;
  EXPECT_THAT(said_,
              AllOf(HasSubstr("| Wu et al."), HasSubstr("| AttFind |"), HasSubstr("of 96 images")));
  const auto held_out = nlohmann::json::parse(Bytes("protocols/heldout.json"));
  EXPECT_EQ(held_out.at("flips").at("nothing").at("10"), 0);
  ASSERT_EQ(Run(OnModel("evaluate", "protocols", {"--protocol", "table2"})), 0) << said_;
  EXPECT_THAT(said_, HasSubstr("(+- "));
  const auto table2 = nlohmann::json::parse(Bytes("protocols/table2.json"));
  EXPECT_EQ(table2.at("attfind").at("rates").size(), 10);
  EXPECT_EQ(Bytes("protocols/table2.md"), said_.substr(said_.find("| ")));
}

// 320 training images are fewer than the 1000 of a repeat.
TEST_F(StudyCommandsTest, Table2MarksWhatItsFiguresDoNotSay) {
  ASSERT_EQ(Run(OnModel("evaluate", "doubts", {"--protocol", "table2"})), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr(") [1] |"),
                           HasSubstr("\n[1] the training split has 320 images and a repeat 1000")));
  ASSERT_EQ(Run(OnModel("evaluate", "doubts", {"--protocol", "table2", "--flip-images", "100"})), 0)
      << said_;
  EXPECT_THAT(said_, Not(HasSubstr("training split has 320 images and a repeat")));
  // A share of 320 images that is less than one image.
  for (const std::string protocol : {kTable2Protocol, kHeldOutProtocol}) {
    ASSERT_EQ(Run(OnModel("evaluate", "doubts",
                          {"--protocol", protocol, "--flip-images", "50", "--exemplars", "0.1%"})),
              0)
        << said_;
    EXPECT_THAT(said_, AllOf(HasSubstr("[1] Wu et al.: class 0 has 0 exemplars (the top 0.1 %)"),
                             HasSubstr("nothing is moved for it")));
    EXPECT_EQ(nlohmann::json::parse(Bytes("doubts/" + protocol + ".json")).at("exemplars"),
              "the top 0.1 %");
  }
  EXPECT_THAT(said_, HasSubstr("| Wu et al. [1]"));
  EXPECT_EQ(Run(OnModel("evaluate", "doubts", {"--protocol", "table2", "--exemplars", "some"})), 1);
  EXPECT_THAT(said_, HasSubstr("\"some\""));
  EXPECT_NE(Run(OnModel("evaluate", "doubts", {"--exemplars", "2%"})), 0);
  EXPECT_THAT(said_, HasSubstr("--protocol"));
}

// The lists of attributes by direction and coordinate, one for each class.
std::vector<std::string> ListsOf(const std::string& version) {
  std::vector<std::string> lists;
  const Checkpoint checkpoint = LoadCheckpoint(version).value();
  for (const v1::ClassAttributes& entry : checkpoint.attributes->classes()) {
    lists.emplace_back();
    for (const v1::Attribute& attribute : entry.attributes()) {
      absl::StrAppend(&lists.back(), attribute.direction(), ":", attribute.index(), " ");
    }
  }
  return lists;
}

TEST_F(StudyCommandsTest, AttributesAreChosenByTheRuleThatIsAsked) {
  const std::string version = Path("models/ruled/1");
  std::filesystem::create_directories(Path("models/ruled"));
  std::filesystem::copy(Path("models/tiny/1"), version, std::filesystem::copy_options::recursive);
  const auto search = [&](const std::vector<std::string>& more) {
    return Run(With(
        With(Common("attributes", "ruled"), {"--checkpoint", version, "--images", "16"}), more));
  };
  ASSERT_EQ(search({}), 0) << said_;
  const std::vector<std::string> usual = ListsOf(version);
  EXPECT_EQ(usual, ListsOf(Path("models/tiny/1")));
  ASSERT_THAT(usual, ::testing::Each(Not("")));
  // Algorithm 1 takes signed means over the images that are left: here all are.
  ASSERT_EQ(search({"--rule", "paper", "--explained-at", "1e9"}), 0) << said_;
  const Checkpoint by_paper = LoadCheckpoint(version).value();
  for (const v1::ClassAttributes& entry : by_paper.attributes->classes()) {
    for (int i = 1; i < entry.attributes_size(); ++i) {
      EXPECT_LE(entry.attributes(i).mean_effect(), entry.attributes(i - 1).mean_effect());
    }
  }
  const std::vector<std::string> none(usual.size(), "");
  ASSERT_EQ(search({"--drop-unstable", "1e9"}), 0) << said_;
  EXPECT_EQ(ListsOf(version), usual);
  EXPECT_THAT(said_, HasSubstr("0 of 16 images left out as unstable"));
  ASSERT_EQ(search({"--drop-unstable", "1e-9"}), 0) << said_;
  EXPECT_EQ(ListsOf(version), none);
  EXPECT_EQ(LoadCheckpoint(version)->attributes->classes(0).images(), 0);
  const std::vector<std::string> filter = {"--discriminator", Path("stylex"),
                                           "--most-score-change"};
  ASSERT_EQ(search(With(filter, {"1e9"})), 0) << said_;
  EXPECT_EQ(ListsOf(version), usual);
  ASSERT_EQ(search(With(filter, {"1e-9"})), 0) << said_;
  EXPECT_NE(ListsOf(version), usual);
  EXPECT_THAT(said_, HasSubstr("coordinates left out, which change the discriminator's score"));
  ASSERT_EQ(search({"--subset", "--threshold", "1e9"}), 0) << said_;
  EXPECT_EQ(ListsOf(version), none);

  EXPECT_EQ(search({"--discriminator", Path("nowhere")}), 1);
  EXPECT_THAT(said_, HasSubstr(Path("nowhere")));
  for (const std::vector<std::string>& wrong : std::initializer_list<std::vector<std::string>>{
           {"--rule", "mine"},
           {"--rule", "paper", "--subset"},
           {"--rule", "paper", "--screened"},
           {"--drop-unstable", "2", "--screened"},
           {"--discriminator", Path("stylex"), "--screened"},
           {"--discriminator", Path("stylex"), "--subset"},
           {"--threshold", "1"},
           {"--most-score-change", "1"}}) {
    EXPECT_NE(search(wrong), 0) << wrong[0];
    EXPECT_THAT(said_, HasSubstr(wrong[0]));
  }
}

TEST_F(StudyCommandsTest, CounterfactualsAreMeasuredAndShownToOthers) {
  ASSERT_EQ(Run(OnModel("evaluate", "quality",
                        {"--protocol", "counterfactuals", "--flip-images", "6", "--oracle",
                         Path("classifier")})),
            0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("of 6 images"), HasSubstr("another classifier")));
  const auto quality = nlohmann::json::parse(Bytes("quality/counterfactuals.json"));
  EXPECT_EQ(quality.at("images"), 6);
  // The oracle is the explained classifier itself: it agrees everywhere and classifies every
  // counterfactual, but no reconstruction, as the target.
  const auto& oracle = quality.at("oracles").at(0);
  EXPECT_EQ(oracle.at("agreeing"), 6);
  EXPECT_EQ(oracle.at("convinced"), quality.at("found"));
  EXPECT_EQ(oracle.at("by_the_image"), 0);
  if (quality.at("found") > 0) {
    const auto& figures = quality.at("counterfactuals");
    EXPECT_GE(figures.at("attributes").at("median"), 1);
    EXPECT_GT(figures.at("gain").at("mean"), 0);
    EXPECT_LE(figures.at("changed_area").at("mean"), 1);
  }
  ASSERT_EQ(Run(OnModel("evaluate", "quality",
                        {"--protocol", "heldout", "--lists-only", "--oracle", Path("classifier")})),
            0)
      << said_;
  const auto held_out = nlohmann::json::parse(Bytes("quality/heldout.json"));
  EXPECT_EQ(held_out.at("oracles").at(0).at("agreeing"), held_out.at("images"));
  EXPECT_EQ(held_out.at("oracles").at(0).at("convinced"), held_out.at("flips"));
  EXPECT_FALSE(held_out.at("flips").contains("joint"));
  EXPECT_EQ(Run(OnModel("evaluate", "quality", {"--protocol", "table2", "--oracle", "x"})), 1);
  EXPECT_THAT(said_, HasSubstr("counterfactuals or heldout"));
  EXPECT_EQ(Run(OnModel("evaluate", "quality", {"--protocol", "table2", "--lists-only"})), 1);
  EXPECT_THAT(said_, HasSubstr("--lists-only is for --protocol heldout"));
  EXPECT_EQ(Run(OnModel("evaluate", "quality",
                        {"--protocol", "counterfactuals", "--oracle", Path("nowhere")})),
            1);
  EXPECT_THAT(said_, HasSubstr(Path("nowhere")));
}

// Searches need gradients; threads compute them, in which an exception must not end the program.
TEST_F(StudyCommandsTest, AClassifierWithoutGradientsIsEvaluatedAsFarAsThatGoes) {
  const Checkpoint checkpoint = LoadCheckpoint(Path("models/tiny/1")).value();
  torch::jit::Module classifier("Blind");
  classifier.define(R"(
    def forward(self, images):
      mean = images.detach().mean([1, 2, 3])
      return torch.stack([-8.0 * mean, 8.0 * mean], 1)
  )");
  classifier.save(Path("blind.pt"));
  CheckpointToWrite blind = {.config = checkpoint.model.config(),
                             .networks = checkpoint.model.networks(),
                             .torchscript_classifier = Path("blind.pt"),
                             .attributes = checkpoint.attributes,
                             .model_card = ""};
  blind.config.clear_files();
  blind.config.mutable_classifier()->Clear();
  blind.config.mutable_classifier()->set_architecture("torchscript");
  const std::string version =
      WriteCheckpoint(blind, Path("models"), "blind", 1, /*replace=*/false).value();
  const auto evaluate = [&](const std::vector<std::string>& more) {
    return Run(With(With(Common("evaluate", "blind"), {"--checkpoint", version}), more));
  };
  EXPECT_EQ(evaluate({"--reconstruction-only"}), 0) << said_;
  EXPECT_EQ(evaluate({"--flip-images", "4"}), 1) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("agreement"), HasSubstr("the classifier gives no gradients")));
  EXPECT_EQ(evaluate({"--protocol", "counterfactuals", "--flip-images", "4"}), 1) << said_;
  EXPECT_THAT(said_, HasSubstr("the classifier gives no gradients"));
}

TEST_F(StudyCommandsTest, ComponentsOfTheLatentAreSearchedInsteadOfChannels) {
  ASSERT_EQ(Run(OnModel("components", "components",
                        {"--components", "4", "--output", Path("models"), "--name", "turned"})),
            0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("4 components"), HasSubstr("excess kurtosis")));
  const auto plain = LoadCheckpoint(Path("models/tiny/1"));
  const auto turned = LoadCheckpoint(Path("models/turned/1"));
  ASSERT_TRUE(plain.ok() && turned.ok()) << turned.status();
  EXPECT_FALSE(turned->attributes.has_value());
  EXPECT_EQ(turned->model.layout().num_conv(), 4);
  // The reconstructions are the same, whatever the coordinates.
  const torch::NoGradGuard no_grad;
  const torch::Tensor images = torch::rand({3, 3, 16, 16}) * 2 - 1;
  const torch::Tensor before = plain->model.Synthesize(plain->model.StylesOfImages(images));
  const torch::Tensor after = turned->model.Synthesize(turned->model.StylesOfImages(images));
  EXPECT_LT((after - before).abs().max().item<double>(), 1e-3);

  const auto on_turned = [&](const std::string& command, const std::vector<std::string>& more) {
    return Run(
        With(With(Common(command, "turned-" + command), {"--checkpoint", Path("models/turned/1")}),
             more));
  };
  ASSERT_EQ(on_turned("attributes", {"--images", "16"}), 0) << said_;
  ASSERT_EQ(on_turned("evaluate", {"--flip-images", "8"}), 0) << said_;
  ASSERT_EQ(on_turned("truth", {"--images", "8"}), 0) << said_;
  EXPECT_THAT(Bytes("models/turned/1/README.md"), HasSubstr("4 independent directions"));
  EXPECT_NE(Run(OnModel("components", "components",
                        {"--components", "9", "--output", Path("models"), "--name", "turned"})),
            0);
  EXPECT_THAT(said_, HasSubstr("vary along"));
}

TEST_F(StudyCommandsTest, AnExplainerNeedsNoLabels) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Path("world/train"))) {
    if (entry.is_regular_file()) {
      WriteBytes(Path("bare/" + entry.path().filename().string()),
                 ReadFile(entry.path().string()).value());
    }
  }
  const std::vector<std::string> train =
      With(Common("stylex", "bare_work", "bare"), {"--classifier", Path("classifier"), "--output",
                                                   Path("models"), "--name", "bare", "--config"});
  std::string config = kConfig;
  config.insert(1, "\"data\": {\"labels\": [\"no\", \"yes\"]},");
  WriteBytes(Path("labels.json"), config);
  EXPECT_EQ(
      Run(With(Common("classifier", "no_classifier", "bare"), {"--config", Path("labels.json")})),
      1);
  EXPECT_THAT(said_, HasSubstr("no labels"));
  // The classes are the classifier's.
  ASSERT_EQ(Run(With(train, {ShortConfig()})), 0) << said_;
  const std::vector<std::string> checkpoint = {"--checkpoint", Path("models/bare/1")};
  ASSERT_EQ(
      Run(With(With(Common("attributes", "bare_work", "bare"), checkpoint), {"--images", "8"})), 0)
      << said_;
  ASSERT_EQ(
      Run(With(With(Common("evaluate", "bare_work", "bare"), checkpoint), {"--flip-images", "2"})),
      0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("agreement"), Not(HasSubstr("classifier accuracy"))));
}

// The same with a StyleGAN2 around the same classifier, and its attributes.
class StyleGan2CommandsTest : public StudyCommandsTest {
 protected:
  static void SetUpTestSuite() {
    StudyCommandsTest::SetUpTestSuite();
    ASSERT_EQ(Run(With(Common("stylegan2", "plain"),
                       {"--config", Path("config.json"), "--classifier", Path("classifier"),
                        "--output", Path("models"), "--name", "plain"})),
              0)
        << said_;
    EXPECT_EQ(Run(OnPlain("evaluate", "on_plain", {"--protocol", "heldout"})), 1);
    EXPECT_THAT(said_, HasSubstr("stylex-train attributes"));
    ASSERT_EQ(Run(OnPlain("attributes", "on_plain", {"--images", "16"})), 0) << said_;
  }

  static std::vector<std::string> OnPlain(const std::string& command, const std::string& work,
                                          const std::vector<std::string>& more) {
    return With(With(Common(command, work), {"--checkpoint", checkpoint()}), more);
  }
  static std::string checkpoint() { return Path("models/plain/1"); }
};

TEST_F(StyleGan2CommandsTest, HasAttributesAndFlipRates) {
  EXPECT_FALSE(LoadCheckpoint(checkpoint()).value().model.has_encoder());
  EXPECT_THAT(Bytes("models/plain/1/README.md"), HasSubstr("A plain StyleGAN2"));
  const auto index = nlohmann::json::parse(Bytes("models/plain/1/attributes.json"));
  EXPECT_EQ(index.at("searchImages"), 16);
  EXPECT_EQ(index.at("rangeImages"), 320) << "as many as the training split has";

  ASSERT_EQ(Run(OnPlain("evaluate", "on_plain", {"--protocol", "heldout", "--flip-images", "12"})),
            0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("StyleGAN2: images drawn from z"), HasSubstr("| AttFind |"),
                           HasSubstr("| Wu et al."), Not(HasSubstr("photograph:"))));
  const auto held_out = nlohmann::json::parse(Bytes("on_plain/heldout.json"));
  EXPECT_EQ(held_out.at("system"), "stylegan2");
  EXPECT_EQ(held_out.at("images"), 12);
  EXPECT_FALSE(held_out.contains("reconstruction_flips"));
  EXPECT_EQ(held_out.at("flips").at("nothing").at("10"), 0);
  ASSERT_EQ(Run(OnPlain("evaluate", "on_plain", {"--protocol", "table2", "--flip-images", "9"})), 0)
      << said_;
  const auto table2 = nlohmann::json::parse(Bytes("on_plain/table2.json"));
  EXPECT_EQ(table2.at("system"), "stylegan2");
  EXPECT_EQ(table2.at("attfind").at("rates").size(), 10);
}

TEST_F(StyleGan2CommandsTest, BesideStylExItHasTheSameFigures) {
  const auto alone = [&](const std::string& protocol, const std::string& images) {
    EXPECT_EQ(
        Run(OnPlain("evaluate", "on_plain", {"--protocol", protocol, "--flip-images", images})), 0)
        << said_;
    return nlohmann::json::parse(Bytes("on_plain/" + protocol + ".json"));
  };
  const auto table2 = alone("table2", "9");
  const auto held_out = alone("heldout", "12");
  const auto beside = [&](const std::string& protocol, const std::vector<std::string>& more) {
    return Run(With(OnModel("evaluate", "beside", {"--protocol", protocol}), more));
  };
  ASSERT_EQ(beside("table2", {"--flip-images", "9", "--stylegan2", checkpoint()}), 0) << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("| system |"), HasSubstr("\n| StyleGAN2 | "),
                           HasSubstr("\n| StylEx | ")));
  const auto both = nlohmann::json::parse(Bytes("beside/table2.json"));
  EXPECT_EQ(both.at("stylegan2").at("wu"), table2.at("wu"));
  EXPECT_EQ(both.at("stylegan2").at("attfind"), table2.at("attfind"));
  EXPECT_EQ(both.at("system"), "stylex");
  EXPECT_EQ(both.at("wu").at("rates").size(), 10);
  ASSERT_EQ(beside("heldout", {"--lists-only", "--flip-images", "12", "--stylegan2", checkpoint()}),
            0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("StyleGAN2: images drawn from z"),
                           HasSubstr("StylEx: photographs"), HasSubstr("photograph:")));
  EXPECT_EQ(
      nlohmann::json::parse(Bytes("beside/heldout.json")).at("stylegan2").at("flips").at("attfind"),
      held_out.at("flips").at("attfind"));
  EXPECT_EQ(beside("counterfactuals", {"--stylegan2", checkpoint()}), 1);
  EXPECT_THAT(said_, HasSubstr("--stylegan2 is for --protocol table2 or heldout"));
  EXPECT_EQ(beside("table2", {"--stylegan2", Path("models/tiny/1")}), 1);
  EXPECT_THAT(said_, HasSubstr("without encoder"));
}

TEST_F(StyleGan2CommandsTest, DrawsFigures6To9OfThePaper) {
  ASSERT_EQ(Run(OnPlain("figures", "plain_figures", {"--examples", "2"})), 0) << said_;
  EXPECT_FALSE(std::filesystem::exists(Path("plain_figures/reconstructions.png")));
  const Bitmap six = DecodeImage(Bytes("plain_figures/attributes-1.png"), {}).value();
  EXPECT_EQ(six.width, 6 + 2 * 3 * (80 + 6) + 18);
  ASSERT_EQ(Run(OnPlain("figures", "plain_figures", {"--baseline", "wu", "--exemplars", "10%"})), 0)
      << said_;
  EXPECT_THAT(Bytes("plain_figures/wu-0.png"), HasSubstr("Synthetic image"));
  EXPECT_NE(Bytes("plain_figures/wu-1.png"), Bytes("plain_figures/attributes-1.png"));
  const std::vector<std::string> drawn = {"--checkpoint", checkpoint(), "--images", "5"};
  ASSERT_EQ(Run(With({"samples", "--work-dir", Path("samples"), "--columns", "3"}, drawn)), 0)
      << said_;
  const Bitmap samples = DecodeImage(Bytes("samples/samples.png"), {}).value();
  EXPECT_EQ(samples.width, 6 + 3 * (80 + 6));
  ASSERT_EQ(
      Run(With({"samples", "--work-dir", Path("other"), "--seed", "2", "--columns", "3"}, drawn)),
      0)
      << said_;
  EXPECT_NE(Bytes("samples/samples.png"), Bytes("other/samples.png"));
  EXPECT_EQ(Run({"samples", "--work-dir", Path("samples"), "--checkpoint", Path("models/tiny/1")}),
            1);
  EXPECT_THAT(said_, HasSubstr("stylex-train figures"));
}

TEST_F(StyleGan2CommandsTest, CommandsThatNeedPhotographsSaySo) {
  for (const std::vector<std::string>& refused :
       {OnPlain("evaluate", "on_plain", {}), OnPlain("study", "on_plain", {}),
        OnPlain("truth", "on_plain", {}),
        OnPlain("evaluate", "on_plain", {"--protocol", "counterfactuals"})}) {
    EXPECT_EQ(Run(refused), 1) << refused[0];
    EXPECT_THAT(said_, AllOf(HasSubstr(checkpoint()), HasSubstr("has no encoder")));
  }
}

// Whatever is drawn of them, all is decided alike.
TEST_F(StudyCommandsTest, WhereAllIsDecidedAlikeThereIsNothingToExplain) {
  const Checkpoint checkpoint = LoadCheckpoint(Path("models/tiny/1")).value();
  int64_t alike = 0;
  const torch::NoGradGuard no_grad;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Path("world/train"))) {
    const std::string bytes =
        entry.is_regular_file() ? ReadFile(entry.path().string()).value() : "";
    const absl::StatusOr<Bitmap> image = DecodeImage(bytes, {});
    if (image.ok() &&
        checkpoint.model.Logits(BitmapToTensor(*image)).argmax(1).item<int64_t>() == 1) {
      WriteBytes(Path("alike/" + entry.path().filename().string()), bytes);
      ++alike;
    }
  }
  ASSERT_GT(alike, 70);
  ASSERT_EQ(
      Run(With(Common("evaluate", "alike_work", "alike"),
               {"--checkpoint", Path("models/tiny/1"), "--reconstruction-only", "--no-record"})),
      0)
      << said_;
  EXPECT_THAT(said_, AllOf(HasSubstr("nothing to explain: the classifier decides 100.00 %"),
                           HasSubstr("\"yes\"")));
  const auto metrics = nlohmann::json::parse(Bytes("alike_work/evaluation.json"));
  EXPECT_EQ(metrics.at("nothing_to_explain"), 1);
  EXPECT_EQ(metrics.at("commonest_decision"), 1);
}

// Random labels are equivalent to shuffled labels: no classifier is better than chance.
TEST_F(StudyCommandsTest, WhereLabelsAreNoiseThereIsNothingToExplain) {
  ASSERT_EQ(Run({"world", "--output", Path("coin"), "--resolution", "16", "--train", "8", "--val",
                 "40", "--rule", "none"}),
            0)
      << said_;
  ASSERT_EQ(Run(With(Common("evaluate", "null", "coin"),
                     {"--checkpoint", Path("models/tiny/1"), "--flip-images", "2"})),
            0)
      << said_;
  EXPECT_THAT(said_, HasSubstr("there is nothing to explain"));
  const auto metrics = nlohmann::json::parse(Bytes("null/evaluation.json"));
  EXPECT_EQ(metrics.at("nothing_to_explain"), 1);
  EXPECT_GE(metrics.at("constant_accuracy"), 0.5);
}

TEST(NullCheckTest, AnAccuracyThatAConstantCouldHaveExplainsNothing) {
  ReconstructionFigures figures;
  figures.images = 1000;
  EXPECT_FALSE(NothingToExplain(figures)) << "no labels, no verdict";
  figures.constant_accuracy = 0.5;
  figures.classifier_accuracy = 0.9;
  EXPECT_FALSE(NothingToExplain(figures));
  figures.classifier_accuracy = 0.52;  // Wilson: [0.489, 0.551]
  EXPECT_TRUE(NothingToExplain(figures));
  figures.classifier_accuracy = 0.54;  // Wilson: [0.509, 0.571]
  EXPECT_FALSE(NothingToExplain(figures));
  figures.constant_accuracy = 0.9;  // nine of ten images are of one class
  EXPECT_TRUE(NothingToExplain(figures));
}

TEST_F(StudyCommandsTest, FaultsAreNamed) {
  EXPECT_EQ(Run({"study", "--score", Path("answers.csv")}), 1);
  EXPECT_THAT(said_, HasSubstr("--key"));
  EXPECT_EQ(Run(Common("study", "study")), 1);
  EXPECT_THAT(said_, HasSubstr("--checkpoint"));
  EXPECT_EQ(Run(OnModel("study", "study", {"--target", "perhaps"})), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr("\"perhaps\""), HasSubstr("no, yes")));
  EXPECT_EQ(Run({"world", "--output", Path("world")}), 1);
  EXPECT_THAT(said_, AllOf(HasSubstr(Path("world")), HasSubstr("already")));
  DrawTwoClasses(Path("ordinary"), 4, 4);
  EXPECT_EQ(
      Run(With(Common("truth", "truth", "ordinary"), {"--checkpoint", Path("models/tiny/1")})), 1);
  EXPECT_THAT(said_, HasSubstr("world.json"));
}

}  // namespace
}  // namespace stylex
