#include "client/image_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/client/test_files.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ImageFilesTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(ImageFilesTest, AFoldersImagesAreSortedByNameAndNotDeeper) {
  for (const char* name : {"b.PNG", "a.jpeg", "c.jpg", "g.webp", "notes.txt", "d.gif", ".png"}) {
    WriteText(folder_ / name, "x");
  }
  fs::create_directory(folder_ / "deeper");
  WriteText(folder_ / "deeper/e.png", "x");
  fs::create_directory(folder_ / "f.png");
  EXPECT_THAT(
      ListImages({folder_.path()}).value(),
      ElementsAre(folder_ / "a.jpeg", folder_ / "b.PNG", folder_ / "c.jpg", folder_ / "g.webp"));
}

TEST_F(ImageFilesTest, DeeplyTheyAreNamedAfterTheirFolders) {
  for (const char* folder : {"sick/old", "out/records", "earlier/records", ".cache"}) {
    fs::create_directories(folder_ / folder);
  }
  for (const char* name :
       {"a.jpg", "sick/a.jpg", "sick/old/a.v2.png", "out/a.png", "earlier/a.png", ".cache/a.png"}) {
    WriteText(folder_ / name, "x");
  }
  WriteText(folder_ / "earlier/report.json", "{}");
  const auto images =
      ListImagesDeeply({folder_.path(), folder_ / "sick/a.jpg"}, folder_ / "out").value();
  std::vector<std::string> names;
  for (const ListedImage& image : images) {
    names.push_back(image.name);
  }
  EXPECT_THAT(names, ElementsAre("a", "sick-a", "sick-old-a.v2", "a"));
  EXPECT_EQ(images[1].path, folder_ / "sick/a.jpg");
}

TEST_F(ImageFilesTest, FilesAreTakenAsGivenAndInOrder) {
  WriteText(folder_ / "z", "x");
  WriteText(folder_ / "a.txt", "x");
  EXPECT_THAT(ListImages({folder_ / "z", folder_ / "a.txt", folder_ / "z"}).value(),
              ElementsAre(folder_ / "z", folder_ / "a.txt", folder_ / "z"));
  EXPECT_TRUE(ListImages({}).value().empty());
}

TEST_F(ImageFilesTest, LinksThatLeadNowhereAreListedAndSaidToBeUnreadable) {
  WriteText(folder_ / "a.jpg", "x");
  fs::create_symlink("loop.jpg", folder_ / "loop.jpg");
  fs::create_symlink("gone.jpg", folder_ / "broken.jpg");
  EXPECT_THAT(ListImages({folder_.path()}).value(),
              ElementsAre(folder_ / "a.jpg", folder_ / "broken.jpg", folder_ / "loop.jpg"));
  EXPECT_EQ(ListImagesDeeply({folder_.path()}, "").value().size(), 3u);
  EXPECT_THAT(std::string(LoadImage(folder_ / "loop.jpg").status().message()),
              HasSubstr("loop.jpg"));
}

TEST_F(ImageFilesTest, NamesThePathThatIsWrong) {
  const absl::Status missing = ListImages({folder_.path() + "/no"}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.message(), folder_ / "no: no such file or folder");
  const absl::Status empty = ListImages({folder_.path()}).status();
  EXPECT_EQ(empty.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(empty.message()),
      StartsWith(folder_.path() + ": the folder holds no .jpg, .jpeg, .png or .webp files"));
}

TEST_F(ImageFilesTest, BytesAreSentAsTheyAre) {
  const std::string path = WriteGreyPng(folder_ / "grey.txt", 3, 77);
  EXPECT_EQ(LoadImage(path).value().data(), ReadAll(path)) << "the name does not matter";
  const Bitmap decoded = DecodeAnswer(LoadImage(path).value()).value();
  EXPECT_EQ(decoded.width, 3);
  EXPECT_THAT(decoded.data, testing::Each(77));
}

TEST_F(ImageFilesTest, RefusesWhatIsNoPhotograph) {
  WriteText(folder_ / "text.jpg", "GIF89a is no photograph");
  const absl::Status status = LoadImage(folder_ / "text.jpg").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder_ / "text.jpg: a GIF file"));
  WriteText(folder_ / "text.jpg", "no photograph");
  EXPECT_THAT(std::string(LoadImage(folder_ / "text.jpg").status().message()),
              HasSubstr("text.jpg: neither a JPEG nor a PNG nor a WebP file (13 bytes"));
  EXPECT_THAT(std::string(LoadImage(folder_ / "no.jpg").status().message()), HasSubstr("no.jpg"));
  EXPECT_FALSE(DecodeAnswer(v1::Image()).ok());
}

TEST_F(ImageFilesTest, RefusesMoreBytesThanAServerTakes) {
  WriteText(folder_ / "large.png", "\x89PNG\r\n\x1a\n");
  fs::resize_file(folder_ / "large.png", (64 << 20) + 1);  // sparse
  EXPECT_THAT(std::string(LoadImage(folder_ / "large.png").status().message()),
              HasSubstr("large.png"));
}

TEST_F(ImageFilesTest, MakesAFolderWithItsParents) {
  EXPECT_TRUE(MakeFolder(folder_ / "a/b/c").ok());
  EXPECT_TRUE(fs::is_directory(folder_ / "a/b/c"));
  EXPECT_TRUE(MakeFolder(folder_ / "a/b/c").ok()) << "it may exist";
  WriteText(folder_ / "file", "x");
  const absl::Status status = MakeFolder(folder_ / "file/below");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), StartsWith(folder_ / "file/below: cannot be created"));
}

TEST(StemTest, IsTheNameWithoutItsFolderAndLastEnding) {
  EXPECT_EQ(Stem("dir/photo.jpg"), "photo");
  EXPECT_EQ(Stem("a.b/photo.old.png"), "photo.old");
  EXPECT_EQ(Stem("photo"), "photo");
}

}  // namespace
}  // namespace stylex
