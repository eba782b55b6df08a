#include "trainer/study/truth/truth_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "image/bitmap.h"
#include "tests/trainer/data/drawn_dataset.h"
#include "trainer/data/csv.h"
#include "trainer/data/dataset.h"
#include "trainer/study/truth/drawn_face.h"
#include "trainer/study/truth/label_rule.h"
#include "trainer/study/truth/planted_mark.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

WorldDatasetOptions Small(const std::string& output, int resolution) {
  WorldDatasetOptions options;
  options.output = output;
  options.resolution = resolution;
  options.train = 40;
  options.validation = 20;
  options.seed = 3;
  return options;
}

std::unique_ptr<Dataset> Open(const std::string& folder, int resolution, int channels) {
  DatasetOptions options;
  options.resolution = resolution;
  options.channels = channels;
  return OpenDataset(folder, options).value();
}

std::string FaultOf(const absl::Status& status) { return std::string(status.message()); }

TEST(FacesTest, ADataSetWithItsTruth) {
  const TemporaryFolder folder;
  const std::string root = folder / "world";
  ASSERT_EQ(WriteFaces(Small(root, 32), "hair,-mouth"), absl::OkStatus());
  const auto dataset = Open(root, 32, 3);
  EXPECT_THAT(dataset->labels(), ElementsAre("no", "yes"));
  EXPECT_EQ(dataset->size(Split::kTrain), 40);
  EXPECT_EQ(dataset->size(Split::kValidation), 20);
  const auto world = OpenKnownWorld(root).value();
  ASSERT_EQ(world->factors().size(), kWorldFactors);
  EXPECT_EQ(world->factors()[1].sign, 1);
  EXPECT_EQ(world->factors()[5].sign, -1);
  EXPECT_EQ(world->factors()[0].sign, 0);
  EXPECT_EQ(world->resolution(), 32);
  const WorldRule rule = ParseWorldRule("hair,-mouth").value();
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    for (int64_t i = 0; i < dataset->size(split); ++i) {
      const std::vector<double> values = world->ValuesOf(dataset->name(split, i)).value();
      WorldFactors factors{};
      std::copy(values.begin(), values.end(), factors.begin());
      EXPECT_EQ(dataset->label(split, i), rule.Label(factors));
      const Bitmap image = dataset->Load(split, i).value();
      EXPECT_EQ(image, DrawWorld(factors, 32));
      factors[3] = 1 - factors[3];
      EXPECT_EQ(world->Intervene(image, values, 3, factors[3]), DrawWorld(factors, 32));
    }
  }
  const auto reading = world->Read(dataset->Load(Split::kTrain, 0).value(),
                                   world->ValuesOf(dataset->name(Split::kTrain, 0)).value());
  EXPECT_LT(reading.residual, 0.5);
}

TEST(FacesTest, TheSameSeedGivesTheSameBytes) {
  const TemporaryFolder folder;
  ASSERT_EQ(WriteFaces(Small(folder / "a", 16), "tag"), absl::OkStatus());
  ASSERT_EQ(WriteFaces(Small(folder / "b", 16), "tag"), absl::OkStatus());
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "a")) {
    if (entry.is_regular_file()) {
      const auto other = folder / "b" / std::filesystem::relative(entry.path(), folder / "a");
      EXPECT_EQ(ReadFile(entry.path()).value(), ReadFile(other.string()).value()) << other;
      ++files;
    }
  }
  EXPECT_EQ(files, 62);
}

TEST(FacesTest, WithoutARuleLabelsSayNothing) {
  const TemporaryFolder folder;
  WorldDatasetOptions options = Small(folder / "world", 16);
  options.train = 400;
  ASSERT_EQ(WriteFaces(options, "none"), absl::OkStatus());
  const auto dataset = Open(folder / "world", 16, 3);
  const auto world = OpenKnownWorld(folder / "world").value();
  std::array<double, kWorldFactors> covariance{};
  double second = 0;
  for (int64_t i = 0; i < 400; ++i) {
    const auto values = world->ValuesOf(dataset->name(Split::kTrain, i)).value();
    const double label = static_cast<double>(dataset->label(Split::kTrain, i)) * 2 - 1;
    second += (label + 1) / 2;
    for (size_t j = 0; j < kWorldFactors; ++j) {
      EXPECT_EQ(world->factors()[j].sign, 0);
      covariance[j] += label * (values[j] - 0.5) / WorldDeviation(j) / 400;
    }
  }
  EXPECT_NEAR(second, 200, 50);  // five standard deviations
  for (const double value : covariance) {
    EXPECT_NEAR(value, 0, 0.25);
  }
}

TEST(FacesTest, Faults) {
  const TemporaryFolder folder;
  EXPECT_THAT(FaultOf(WriteFaces(Small(folder / "x", 32), "nose")), HasSubstr("\"nose\""));
  WorldDatasetOptions unlikely = Small(folder / "x", 32);
  unlikely.correlation = 1.5;
  EXPECT_THAT(FaultOf(WriteFaces(unlikely, "hair")), HasSubstr("1.5; expected 0 to 1"));
  unlikely.correlation = 0;
  unlikely.doubt = std::nan("");
  EXPECT_THAT(FaultOf(WriteFaces(unlikely, "hair")), HasSubstr("nan; expected 0 to 10"));
  ASSERT_EQ(WriteFaces(Small(folder / "x", 32), "hair"), absl::OkStatus());
  EXPECT_THAT(FaultOf(WriteFaces(Small(folder / "x", 32), "hair")),
              AllOf(HasSubstr(folder / "x"), HasSubstr("already")));
  WorldDatasetOptions one = Small(folder / "y", 32);
  one.train = 1;
  EXPECT_THAT(FaultOf(WriteFaces(one, "hair")), HasSubstr("/train"));
  EXPECT_THAT(FaultOf(OpenKnownWorld(folder / "z").status()), HasSubstr("world.json"));
  WriteBytes(folder / "x/world.json", "{\"kind\": \"cats\"}");
  EXPECT_THAT(FaultOf(OpenKnownWorld(folder / "x").status()),
              AllOf(HasSubstr("world.json"), HasSubstr("\"cats\"")));
  WriteBytes(folder / "x/world.json", "{\"kind\": \"faces\"}");
  EXPECT_THAT(FaultOf(OpenKnownWorld(folder / "x").status()), HasSubstr("world.json"));
}

class MarkTest : public testing::Test {
 protected:
  // Three classes of grey photographs, with a bright corner in one of them.
  void SetUp() override {
    for (const std::string split : {"train", "val"}) {
      for (const std::string label : {"boot", "coat", "dress"}) {
        for (int i = 0; i < (split == "train" ? 24 : 11); ++i) {
          Bitmap bitmap = Bitmap::Make(32, 32, 3, static_cast<uint8_t>(60 + i));
          WritePng(absl::StrCat(folder_ / "source/", split, "/", label, "/", i, ".png"), bitmap);
        }
      }
    }
  }
  absl::Status Write(double rho, const std::string& name,
                     std::vector<std::string> classes = {"dress", "boot"},
                     double side = kMarkSide) const {
    return WritePlantedMark(Small(folder_ / name, 32),
                            {folder_ / "source", std::move(classes), rho, side});
  }
  TemporaryFolder folder_;
};

TEST_F(MarkTest, CorrelatesWithTheLabelAsAsked) {
  for (const double rho : {0.0, 0.5, 0.9, 1.0}) {
    const std::string root = folder_ / absl::StrCat("rho", rho);
    ASSERT_EQ(Write(rho, absl::StrCat("rho", rho)), absl::OkStatus());
    const auto dataset = Open(root, 32, 3);
    EXPECT_THAT(dataset->labels(), ElementsAre("0-dress", "1-boot"));
    EXPECT_EQ(dataset->size(Split::kTrain), 40);
    EXPECT_EQ(dataset->size(Split::kValidation), 20);
    const auto world = OpenKnownWorld(root).value();
    EXPECT_EQ(world->factors()[0].sign, rho > 0 ? 1 : 0);
    std::map<int64_t, double> marked;
    for (int64_t i = 0; i < 40; ++i) {
      const Bitmap image = dataset->Load(Split::kTrain, i).value();
      const double strength = world->ValuesOf(dataset->name(Split::kTrain, i)).value()[0];
      EXPECT_EQ(world->Read(image, {0.5}).values[0], strength);
      EXPECT_EQ(world->Intervene(image, {strength}, 0, strength), image);
      EXPECT_EQ(ReadMark(world->Intervene(image, {strength}, 0, 1 - strength)), 1 - strength);
      marked[dataset->label(Split::kTrain, i)] += strength / 20;
    }
    // With equal class sizes and the mark on half of all images, the correlation is the difference
    // of the shares.
    EXPECT_NEAR(marked[1] - marked[0], rho, 0.051);
    EXPECT_NEAR(marked[1] + marked[0], 1, 0.051);
  }
}

TEST_F(MarkTest, TheRestOfThePictureStays) {
  for (const auto& [side, field] : {std::pair(kMarkSide, 6), std::pair(0.25, 10)}) {
    const std::string name = absl::StrCat("side", side);
    ASSERT_EQ(Write(0.5, name, {"dress", "boot"}, side), absl::OkStatus());
    const auto dataset = Open(folder_ / name, 32, 3);
    const auto world = OpenKnownWorld(folder_ / name).value();
    for (int64_t i = 0; i < 40; ++i) {
      const Bitmap image = dataset->Load(Split::kTrain, i).value();
      const double strength = world->ValuesOf(dataset->name(Split::kTrain, i)).value()[0];
      EXPECT_EQ(world->Read(image, {0.5}).values[0], strength);
      EXPECT_EQ(ReadMark(world->Intervene(image, {strength}, 0, 1 - strength), side), 1 - strength);
      for (int y = 0; y < 32; ++y) {
        for (int x = 0; x < 32; ++x) {
          const int value = image.pixel(x, y)[0];
          ASSERT_TRUE(x < field && y < field ? value == 0 || value == 255
                                             : value >= 60 && value < 84);
        }
      }
    }
  }
}

TEST_F(MarkTest, Faults) {
  EXPECT_THAT(FaultOf(Write(1.5, "w")), HasSubstr("1.5"));
  EXPECT_THAT(FaultOf(Write(1, "w", {"dress", "boot"}, 0.6)), HasSubstr("0.6"));
  EXPECT_THAT(FaultOf(Write(1, "w", {"dress", "hat"})),
              AllOf(HasSubstr("\"hat\""), HasSubstr("boot, coat, dress")));
  EXPECT_THAT(FaultOf(Write(1, "w", {"dress", "dress"})), HasSubstr("two different"));
}

}  // namespace
}  // namespace stylex
