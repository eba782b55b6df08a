#include "trainer/data/image_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "image/codec.h"
#include "image/resize.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::StartsWith;

class TrainerImageFilesTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  std::string WritePng(const std::string& name, const Bitmap& bitmap) const {
    return Write(name, EncodePng(bitmap).value());
  }
  static DatasetOptions Options(int resolution, int channels) {
    DatasetOptions options;
    options.resolution = resolution;
    options.channels = channels;
    return options;
  }

  TemporaryFolder folder_;
};

TEST_F(TrainerImageFilesTest, ImagesAreRecognisedByTheirEnding) {
  for (const char* name : {"a.jpg", "b.JPEG", "c.Png", "d.gif", "e", "f.jpg.txt", "h.webp"}) {
    Write(name, "x");
  }
  fs::create_directory(folder_ / "g.jpg");
  LeftOut left_out;
  EXPECT_THAT(ImageNames(folder_.path(), false, &left_out).value(),
              ElementsAre("a.jpg", "b.JPEG", "c.Png", "h.webp"));
  EXPECT_EQ(LeftOutText(left_out),
            "1 .gif files, 1 .txt files, 1 files without an extension, 1 "
            "folders");
}

TEST_F(TrainerImageFilesTest, HiddenNamesAreLeftOut) {
  Write(".a.jpg", "x");
  Write("b.jpg", "x");
  fs::create_directory(folder_ / ".git");
  fs::create_directory(folder_ / "z");
  fs::create_directory(folder_ / "cats");
  fs::create_directory(folder_ / "__MACOSX");
  LeftOut left_out;
  EXPECT_THAT(ImageNames(folder_.path(), true, &left_out).value(), ElementsAre("b.jpg"));
  EXPECT_EQ(LeftOutText(left_out), "2 hidden");
  EXPECT_THAT(FolderNames(folder_.path()).value(), ElementsAre("cats", "z"));
  EXPECT_EQ(FolderNames(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TrainerImageFilesTest, LinksToNothingAreLeftOut) {
  Write("b.jpg", "x");
  fs::create_symlink(folder_ / "b.jpg", folder_ / "c.jpg");
  fs::create_symlink("loop.jpg", folder_ / "loop.jpg");
  fs::create_symlink("/nowhere/x.jpg", folder_ / "x.jpg");
  LeftOut left_out;
  EXPECT_THAT(ImageNames(folder_.path(), false, &left_out).value(), ElementsAre("b.jpg", "c.jpg"));
  EXPECT_EQ(LeftOutText(left_out), "2 broken links");
}

TEST_F(TrainerImageFilesTest, SplitsLabelsAndNamesAreKept) {
  const std::string dark = WritePng("dark.png", Bitmap::Make(4, 4, 1, 10));
  const std::string light = WritePng("light.png", Bitmap::Make(4, 4, 1, 200));
  const auto dataset = MakeImageFileDataset(Options(4, 1), {"no", "yes"}, {{dark, 0}, {light, 1}},
                                            {{light, kNoLabel}});
  EXPECT_EQ(dataset->size(Split::kTrain), 2);
  EXPECT_EQ(dataset->size(Split::kValidation), 1);
  EXPECT_EQ(dataset->label(Split::kTrain, 1), 1);
  EXPECT_EQ(dataset->label(Split::kValidation, 0), kNoLabel);
  EXPECT_EQ(dataset->name(Split::kTrain, 0), dark);
  EXPECT_THAT(dataset->labels(), ElementsAre("no", "yes"));
  EXPECT_EQ(dataset->Load(Split::kTrain, 0).value(), Bitmap::Make(4, 4, 1, 10));
  EXPECT_EQ(dataset->Load(Split::kValidation, 0).value(), Bitmap::Make(4, 4, 1, 200));
}

TEST_F(TrainerImageFilesTest, ImagesArePreparedAsTheOptionsSay) {
  Bitmap wide = Bitmap::Make(30, 10, 3);
  for (size_t i = 0; i < wide.data.size(); ++i) {
    wide.data[i] = static_cast<uint8_t>(i * 13);
  }
  const std::string path = WritePng("wide.png", wide);
  const auto dataset = MakeImageFileDataset(Options(8, 1), {}, {{path, 0}}, {});
  const Bitmap loaded = dataset->Load(Split::kTrain, 0).value();
  EXPECT_EQ(loaded, ResizeBicubic(ConvertChannels(CropCenterSquare(wide), 1), 8, 8));
  DatasetOptions stretched = Options(8, 3);
  stretched.stretch = true;
  EXPECT_EQ(MakeImageFileDataset(stretched, {}, {{path, 0}}, {})->Load(Split::kTrain, 0).value(),
            ResizeBicubic(wide, 8, 8));
}

TEST_F(TrainerImageFilesTest, AFileIsReadOnce) {
  const std::string path = WritePng("a.png", Bitmap::Make(4, 4, 1, 10));
  const auto dataset = MakeImageFileDataset(Options(4, 1), {}, {{path, 0}}, {{path, 0}});
  EXPECT_EQ(dataset->Load(Split::kTrain, 0).value().data[0], 10);
  fs::remove(path);
  EXPECT_EQ(dataset->Load(Split::kTrain, 0).value().data[0], 10);
  EXPECT_EQ(dataset->Load(Split::kValidation, 0).status().code(), absl::StatusCode::kNotFound)
      << "each split has its own";
}

TEST_F(TrainerImageFilesTest, ThreadsGetTheSameImages) {
  std::vector<LabelledFile> files;
  for (int i = 0; i < 20; ++i) {
    files.push_back(
        {WritePng(std::to_string(i) + ".png", Bitmap::Make(4, 4, 1, static_cast<uint8_t>(10 * i))),
         0});
  }
  const auto dataset = MakeImageFileDataset(Options(4, 1), {}, files, {});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int64_t i = 0; i < 20; ++i) {
        wrong += dataset->Load(Split::kTrain, i).value().data[0] == 10 * i ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(TrainerImageFilesTest, AnUnreadableImageIsNamed) {
  const std::string broken = Write("broken.png", "\x89PNG\r\n\x1a\n no more");
  const auto dataset =
      MakeImageFileDataset(Options(4, 1), {}, {{broken, 0}, {folder_ / "no.png", 0}}, {});
  const absl::Status status = dataset->Load(Split::kTrain, 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), StartsWith(broken + ": "));
  EXPECT_THAT(std::string(dataset->Load(Split::kTrain, 1).status().message()),
              testing::HasSubstr("no.png"));
}

}  // namespace
}  // namespace stylex
