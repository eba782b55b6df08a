#include "trainer/data/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/trainer/data/drawn_dataset.h"
#include "trainer/data/inventory.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OverviewTest : public testing::Test {
 protected:
  void SetUp() override { DrawTwoClasses(folder_.path(), 3, 2); }
  std::unique_ptr<Dataset> Open() {
    DatasetOptions options;
    options.resolution = 16;
    auto dataset = OpenDataset(folder_.path(), options);
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    return *std::move(dataset);
  }
  Overview Look() {
    const std::unique_ptr<Dataset> dataset = Open();
    return LookOver(*dataset, TakeInventory(*dataset));
  }
  std::string path(const std::string& name) const { return folder_.path() + name; }

  const TemporaryFolder folder_;
};

TEST_F(OverviewTest, TellsClassesFormatsSizesAndWhatIsLeftOut) {
  WriteJpeg(path("/train/dark/a.jpeg"), Bitmap::Make(40, 30, 3, 50));
  WriteBytes(path("/train/dark/notes.txt"), "x");
  WriteBytes(path("/train/dark/a.bmp"), "BM");
  WriteBytes(path("/train/light/b.BMP"), "BM");
  WriteBytes(path("/train/light/.DS_Store"), "x");
  std::filesystem::create_directory(path("/val/light/2021"));
  std::filesystem::create_symlink("loop.jpg", path("/val/light/loop.jpg"));
  std::filesystem::create_symlink("/nowhere/x.jpg", path("/val/light/link.jpg"));
  const Overview overview = Look();
  EXPECT_THAT(overview.lines,
              ElementsAre("data: 2 classes; 7 (dark 4, light 3) training images, 4 (dark 2, light "
                          "2) for validation",
                          "files: 1 JPEG, 10 PNG; 16x16 to 40x30 pixels",
                          "left out: 2 .bmp files, 1 .txt files, 2 broken links, 1 folders, 1 "
                          "hidden"));
  EXPECT_THAT(overview.warnings, IsEmpty());
  EXPECT_TRUE(overview.status.ok());
}

TEST_F(OverviewTest, NamesFilesInBothSplits) {
  std::filesystem::copy_file(path("/train/dark/1.png"), path("/val/dark/again.png"));
  EXPECT_THAT(Look().warnings,
              ElementsAre(AllOf(HasSubstr("1 validation files are training"),
                                HasSubstr("val/dark/again.png = train/dark/1.png"))));
}

TEST_F(OverviewTest, NamesAllFilesThatAreNoImages) {
  for (int i = 0; i < 6; ++i) {
    WriteBytes(path(absl::StrCat("/train/light/heic", i, ".jpg")),
               std::string("\0\0\0\x18", 4) + "ftypheic");
  }
  WriteBytes(path("/val/light/empty.png"), "");
  const Overview overview = Look();
  EXPECT_EQ(overview.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(overview.status.message()),
              AllOf(HasSubstr("6 of 12 training files are not JPEG, PNG or WebP images"),
                    HasSubstr("heic0.jpg (HEIC)"), HasSubstr("heic5.jpg (HEIC)")));
  EXPECT_THAT(overview.warnings, ElementsAre(HasSubstr("empty.png (empty or unreadable)")));
}

TEST_F(OverviewTest, AnInventoryIsTheSameElsewhere) {
  const std::vector<v1::DataFile> here = TakeInventory(*Open());
  ASSERT_EQ(here.size(), 10);
  EXPECT_EQ(here[0].name(), "train/dark/0.png");
  EXPECT_EQ(here[0].split(), "train");
  EXPECT_EQ(here[0].label(), 0);
  EXPECT_EQ(here[0].size(),
            static_cast<int64_t>(std::filesystem::file_size(path("/train/dark/0.png"))));
  EXPECT_EQ(here[0].sha256().size(), 64);
  const TemporaryFolder other;
  std::filesystem::copy(folder_.path(), other / "copy", std::filesystem::copy_options::recursive);
  DatasetOptions options;
  options.resolution = 16;
  EXPECT_EQ(InventoryDifference(here, TakeInventory(*OpenDataset(other / "copy", options).value())),
            "");
  std::filesystem::rename(path("/train/light/2.png"), path("/train/light/9.png"));
  EXPECT_THAT(InventoryDifference(here, TakeInventory(*Open())),
              AllOf(HasSubstr("then 10 files, now 10; 2 differ"),
                    HasSubstr("differ: train/light/2.png (then "),
                    HasSubstr(", train/light/9.png (then not there; now ")));
}

TEST_F(OverviewTest, PhotographsOfManyMegapixelsAreRead) {
  // More than the server's 16.8 megapixels; one colour compresses to little.
  WriteJpeg(path("/train/dark/camera.jpg"), Bitmap::Make(5000, 4000, 3, 90));
  const std::unique_ptr<Dataset> dataset = Open();
  for (int64_t i = 0; i < dataset->size(Split::kTrain); ++i) {
    EXPECT_TRUE(dataset->Load(Split::kTrain, i).ok()) << dataset->name(Split::kTrain, i);
  }
  DatasetOptions options;
  options.resolution = 16;
  options.max_pixels = 19'000'000;
  const auto limited = OpenDataset(folder_.path(), options).value();
  EXPECT_EQ(limited->Load(Split::kTrain, 3).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace stylex
