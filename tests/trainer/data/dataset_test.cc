#include "trainer/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "image/codec.h"
#include "image/resize.h"
#include "tests/trainer/data/drawn_dataset.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kTrainImages[] = "/train-images-idx3-ubyte";
constexpr char kTrainLabels[] = "/train-labels-idx1-ubyte";
constexpr char kTestImages[] = "/t10k-images-idx3-ubyte";
constexpr char kTestLabels[] = "/t10k-labels-idx1-ubyte";

DatasetOptions Grey(int resolution) {
  DatasetOptions options;
  options.resolution = resolution;
  options.channels = 1;
  return options;
}

// Every pixel has a different value, so that shifts and swaps are detected.
std::string Pixels(int images, int side) {
  std::string values;
  for (int i = 0; i < images * side * side; ++i) {
    values += static_cast<char>((i * 7 + i / 251) % 256);
  }
  return values;
}

class IdxTest : public testing::Test {
 protected:
  void SetUp() override {
    WriteBytes(path(kTrainImages), IdxBytes({3, 28, 28}, Pixels(3, 28)));
    WriteBytes(path(kTrainLabels), IdxBytes({3}, {0, 1, 2}));
    WriteBytes(path(kTestImages), IdxBytes({2, 28, 28}, Pixels(2, 28)));
    WriteBytes(path(kTestLabels), IdxBytes({2}, {2, 1}));
  }

  std::string path(const std::string& name) const { return folder_.path() + name; }
  absl::Status Open() const { return OpenDataset(folder_.path(), Grey(32)).status(); }

  // Expects an error message with the file's name and the fault.
  void ExpectFault(const std::string& name, const std::string& fault) const {
    const absl::Status status = Open();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path(name)), HasSubstr(fault)));
  }

  TemporaryFolder folder_;
};

TEST_F(IdxTest, SizesAndLabels) {
  const auto dataset = OpenDataset(folder_.path(), Grey(32));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 3);
  EXPECT_EQ((*dataset)->size(Split::kValidation), 2);
  EXPECT_THAT((*dataset)->labels(), ElementsAre("0", "1", "2"));
  EXPECT_EQ((*dataset)->label(Split::kTrain, 1), 1);
  EXPECT_EQ((*dataset)->label(Split::kValidation, 0), 2);
  EXPECT_THAT((*dataset)->name(Split::kTrain, 1), HasSubstr("train-images-idx3-ubyte#1"));
}

TEST_F(IdxTest, PadsFrom28To32WithBlack) {
  // The preparation is also reported, for preparing photographs for the model.
  EXPECT_EQ(OpenDataset(folder_.path(), Grey(32)).value()->preparation().padded_from, 28);
  EXPECT_EQ(OpenDataset(folder_.path(), Grey(64)).value()->preparation().padded_from, 0);
  const auto dataset = OpenDataset(folder_.path(), Grey(32));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const std::string pixels = Pixels(3, 28);
  for (int image = 0; image < 3; ++image) {
    const Bitmap bitmap = (*dataset)->Load(Split::kTrain, image).value();
    ASSERT_EQ(bitmap.width, 32);
    ASSERT_EQ(bitmap.height, 32);
    for (int y = 0; y < 32; ++y) {
      for (int x = 0; x < 32; ++x) {
        const bool inside = x >= 2 && x < 30 && y >= 2 && y < 30;
        const uint8_t expected =
            inside ? static_cast<uint8_t>(pixels[(image * 28 + y - 2) * 28 + x - 2]) : 0;
        ASSERT_EQ(*bitmap.pixel(x, y), expected) << image << ": " << x << ", " << y;
      }
    }
  }
}

TEST_F(IdxTest, ACropMustFit) {
  DatasetOptions options = Grey(16);
  options.crop = 20;
  const auto dataset = OpenDataset(folder_.path(), options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  options.resolution = options.crop = 32;
  const absl::Status status = OpenDataset(folder_.path(), options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("28x28"), HasSubstr("has 32")));
}

TEST_F(IdxTest, ResizesToOtherSizesAndChannels) {
  DatasetOptions options;
  options.resolution = 16;
  options.channels = 3;
  const auto dataset = OpenDataset(folder_.path(), options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Bitmap bitmap = (*dataset)->Load(Split::kValidation, 1).value();
  EXPECT_EQ(bitmap.width, 16);
  EXPECT_EQ(bitmap.channels, 3);
}

TEST_F(IdxTest, GzipIsReadAsPlain) {
  const auto plain = OpenDataset(folder_.path(), Grey(32));
  ASSERT_TRUE(plain.ok()) << plain.status();
  TemporaryFolder packed;
  WriteGzip(packed.path() + kTrainImages + ".gz", IdxBytes({3, 28, 28}, Pixels(3, 28)));
  WriteGzip(packed.path() + kTrainLabels + ".gz", IdxBytes({3}, {0, 1, 2}));
  WriteGzip(packed.path() + kTestImages + ".gz", IdxBytes({2, 28, 28}, Pixels(2, 28)));
  WriteBytes(packed.path() + kTestLabels, IdxBytes({2}, {2, 1}));
  const auto dataset = OpenDataset(packed.path(), Grey(32));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->Load(Split::kTrain, 2).value(), (*plain)->Load(Split::kTrain, 2).value());
  EXPECT_EQ((*dataset)->label(Split::kTrain, 2), 2);
}

TEST_F(IdxTest, GivenLabels) {
  DatasetOptions options = Grey(32);
  options.labels = {"shirt", "shoe", "bag", "never seen"};
  EXPECT_EQ(OpenDataset(folder_.path(), options).value()->labels(), options.labels);
  options.labels = {"shirt", "shoe"};
  EXPECT_THAT(std::string(OpenDataset(folder_.path(), options).status().message()),
              AllOf(HasSubstr("3 classes"), HasSubstr("2 labels")));
}

TEST_F(IdxTest, TruncatedGzip) {
  const std::string packed = path(kTrainImages) + ".gz";
  WriteGzip(packed, IdxBytes({3, 28, 28}, Pixels(3, 28)));
  const std::string bytes = ReadFile(packed).value();
  std::filesystem::remove(path(kTrainImages));
  WriteBytes(packed, bytes.substr(0, bytes.size() / 2));
  ExpectFault(kTrainImages, "truncated");
}

TEST_F(IdxTest, CorruptGzip) {
  const std::string packed = path(kTrainImages) + ".gz";
  WriteGzip(packed, IdxBytes({3, 28, 28}, Pixels(3, 28)));
  std::string bytes = ReadFile(packed).value();
  bytes[bytes.size() - 6] ^= 0x55;  // the checksum
  std::filesystem::remove(path(kTrainImages));
  WriteBytes(packed, bytes);
  ExpectFault(kTrainImages, "cannot be unpacked");
}

TEST_F(IdxTest, Truncated) {
  const std::string whole = IdxBytes({3, 28, 28}, Pixels(3, 28));
  for (const size_t length : {whole.size() - 1, size_t{100}, size_t{16}}) {
    WriteBytes(path(kTrainImages), whole.substr(0, length));
    ExpectFault(kTrainImages, "its header says 2352");
  }
  for (const size_t length : {15, 3, 0}) {
    WriteBytes(path(kTrainImages), whole.substr(0, length));
    ExpectFault(kTrainImages, "not an IDX file");
  }
}

TEST_F(IdxTest, TrailingBytes) {
  WriteBytes(path(kTestLabels), IdxBytes({2}, {2, 1, 0}));
  ExpectFault(kTestLabels, "holds 3 values, but its header says 2");
}

TEST_F(IdxTest, AnotherKindOfFile) {
  WriteBytes(path(kTrainLabels), IdxBytes({3, 28, 28}, Pixels(3, 28)));
  ExpectFault(kTrainLabels, "not an IDX file of bytes with 1 dimensions");
}

TEST_F(IdxTest, HeadersThatClaimTooMuch) {
  WriteBytes(path(kTrainImages), IdxBytes({0xffffffff, 28, 28}, Pixels(3, 28)));
  ExpectFault(kTrainImages, "4294967295");
  WriteBytes(path(kTrainImages), IdxBytes({1 << 28, 1 << 28, 1 << 28}, Pixels(3, 28)));
  ExpectFault(kTrainImages, "claims");
}

TEST_F(IdxTest, CountsThatDiffer) {
  WriteBytes(path(kTrainLabels), IdxBytes({2}, {0, 1}));
  ExpectFault(kTrainLabels, "2 labels for 3 images");
}

TEST_F(IdxTest, NoImages) {
  WriteBytes(path(kTestImages), IdxBytes({0, 28, 28}, ""));
  WriteBytes(path(kTestLabels), IdxBytes({0}, ""));
  ExpectFault(kTestImages, "holds no images");
}

TEST_F(IdxTest, MissingFile) {
  std::filesystem::remove(path(kTestLabels));
  EXPECT_TRUE(absl::IsNotFound(Open()));
  EXPECT_THAT(std::string(Open().message()), HasSubstr("t10k-labels-idx1-ubyte"));
}

class ImageFolderTest : public testing::Test {
 protected:
  void SetUp() override { DrawTwoClasses(folder_.path(), 3, 2); }

  absl::StatusOr<std::unique_ptr<Dataset>> Open() const {
    DatasetOptions options;
    options.resolution = 16;
    return OpenDataset(folder_.path(), options);
  }
  void ExpectFault(const std::string& name, const std::string& fault) const {
    const absl::Status status = Open().status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(name), HasSubstr(fault)));
  }
  std::string path(const std::string& name) const { return folder_.path() + name; }

  TemporaryFolder folder_;
};

TEST_F(ImageFolderTest, SizesAndLabels) {
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 6);
  EXPECT_EQ((*dataset)->size(Split::kValidation), 4);
  EXPECT_THAT((*dataset)->labels(), ElementsAre("dark", "light"));
  EXPECT_EQ((*dataset)->label(Split::kTrain, 2), 0);
  EXPECT_EQ((*dataset)->label(Split::kTrain, 3), 1);
  EXPECT_EQ((*dataset)->name(Split::kTrain, 4), path("/train/light/1.png"));
}

TEST_F(ImageFolderTest, LabelsArePairedByName) {
  DatasetOptions options;
  options.resolution = 16;
  options.labels = {"light", "dark"};  // the order of a classifier's outputs
  const auto dataset = OpenDataset(folder_.path(), options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->labels(), options.labels);
  EXPECT_EQ((*dataset)->name(Split::kTrain, 0), path("/train/dark/0.png"));
  EXPECT_EQ((*dataset)->label(Split::kTrain, 0), 1);
  EXPECT_EQ((*dataset)->label(Split::kValidation, 3), 0);
}

TEST_F(ImageFolderTest, OtherNamesNeedAPairing) {
  DatasetOptions options;
  options.resolution = 16;
  options.labels = {"night", "day"};
  const auto message = [&] {
    return std::string(OpenDataset(folder_.path(), options).status().message());
  };
  EXPECT_THAT(message(), AllOf(HasSubstr("{dark, light}"), HasSubstr("{night, day}"),
                               HasSubstr("data.classes")));
  options.classes = {{"light", "day"}};
  EXPECT_THAT(message(), HasSubstr("data.classes"));
  options.classes = {{"light", "day"}, {"dark", "night"}};
  const auto dataset = OpenDataset(folder_.path(), options);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->labels(), options.labels);
  EXPECT_EQ((*dataset)->label(Split::kTrain, 0), 0);
  EXPECT_EQ((*dataset)->label(Split::kTrain, 5), 1);
  options.classes = {{"light", "day"}, {"dark", "day"}};
  EXPECT_THAT(message(), HasSubstr("data.classes"));  // nothing is night
  options.classes = {{"darkness", "night"}};
  EXPECT_THAT(message(), HasSubstr("\"darkness\""));
  options.labels = {"night", "day", "dusk"};
  options.classes = {{"light", "day"}, {"dark", "night"}};
  EXPECT_THAT(message(), HasSubstr("{night, day, dusk}"));
}

TEST_F(ImageFolderTest, LoadsThePixelsOfTheFile) {
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Bitmap drawn = DecodeImage(ReadFile(path("/val/light/1.png")).value()).value();
  EXPECT_EQ((*dataset)->Load(Split::kValidation, 3).value(), drawn);
  EXPECT_EQ((*dataset)->Load(Split::kValidation, 3).value(), drawn);  // from memory this time
}

TEST_F(ImageFolderTest, CropsOrStretches) {
  Bitmap wide = Bitmap::Make(48, 16, 3);
  for (int y = 0; y < 16; ++y) {
    for (int x = 16; x < 32; ++x) {
      std::fill_n(wide.pixel(x, y), 3, uint8_t{255});
    }
  }
  WritePng(path("/train/dark/0.png"), wide);
  DatasetOptions options;
  options.resolution = 16;
  const Bitmap cropped =
      OpenDataset(folder_.path(), options).value()->Load(Split::kTrain, 0).value();
  EXPECT_EQ(cropped, Bitmap::Make(16, 16, 3, 255));
  options.stretch = true;
  const Bitmap stretched =
      OpenDataset(folder_.path(), options).value()->Load(Split::kTrain, 0).value();
  EXPECT_EQ(*stretched.pixel(0, 8), 0);
  EXPECT_EQ(*stretched.pixel(8, 8), 255);
}

// 36x39 with a frame of noise around the central 16x16: only these are to be seen.
TEST_F(ImageFolderTest, CutsTheCentralSquareOutFirst) {
  constexpr int kLeft = 10, kTop = 11;  // (36 - 16) / 2, (39 - 16) / 2
  Bitmap photograph = Bitmap::Make(36, 39, 3, 201);
  Bitmap centre = Bitmap::Make(16, 16, 3);
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 16; ++x) {
      std::fill_n(centre.pixel(x, y), 3, static_cast<uint8_t>(y * 11 + x));
      std::fill_n(photograph.pixel(kLeft + x, kTop + y), 3, static_cast<uint8_t>(y * 11 + x));
    }
  }
  WritePng(path("/train/dark/0.png"), photograph);
  DatasetOptions options;
  options.resolution = 16;
  options.crop = 16;
  EXPECT_EQ(OpenDataset(folder_.path(), options).value()->Load(Split::kTrain, 0).value(), centre);
}

TEST_F(ImageFolderTest, NamesAPhotographSmallerThanTheCrop) {
  WritePng(path("/train/dark/0.png"), Bitmap::Make(300, 207, 3));
  DatasetOptions options;
  options.resolution = 16;
  options.crop = 208;
  const absl::Status status =
      OpenDataset(folder_.path(), options).value()->Load(Split::kTrain, 0).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("/train/dark/0.png"), HasSubstr("300x207"), HasSubstr("208")));
}

TEST_F(ImageFolderTest, ReadsJpegsAndPassesOtherFilesOver) {
  WriteJpeg(path("/train/dark/a.JPG"), Bitmap::Make(20, 30, 1, 77));
  WriteBytes(path("/train/dark/notes.txt"), "not an image");
  WriteBytes(path("/train/dark/.hidden.png"), "not an image");
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->size(Split::kTrain), 7);
  const Bitmap grey = (*dataset)->Load(Split::kTrain, 3).value();
  EXPECT_EQ(grey.channels, 3);
  EXPECT_NEAR(*grey.pixel(8, 8), 77, 1);
}

TEST_F(ImageFolderTest, NamesAnUnreadableImage) {
  WriteBytes(path("/train/dark/1.png"), "\x89PNG but no further");
  const auto dataset = Open();
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE((*dataset)->Load(Split::kTrain, 0).ok());
  EXPECT_THAT(std::string((*dataset)->Load(Split::kTrain, 1).status().message()),
              HasSubstr(path("/train/dark/1.png")));
}

TEST_F(ImageFolderTest, NamesAnEmptyClassFolder) {
  std::filesystem::remove_all(path("/train/light"));
  std::filesystem::create_directory(path("/train/light"));
  ExpectFault(path("/train/light"), "empty");
}

TEST_F(ImageFolderTest, WithoutValidationSplit) {
  std::filesystem::remove_all(path("/val"));
  ExpectFault(folder_.path(), "no folder val");
}

TEST_F(ImageFolderTest, OtherNamesOfTheValidationSplit) {
  for (const std::string name : {"/valid", "/validation", "/test"}) {
    std::filesystem::rename(path("/val"), path(name));
    EXPECT_EQ(Open().value()->size(Split::kValidation), 4) << name;
    std::filesystem::rename(path(name), path("/val"));
  }
}

TEST_F(ImageFolderTest, ClassesThatDiffer) {
  std::filesystem::rename(path("/val/light"), path("/val/bright"));
  ExpectFault(path("/val"), "{bright, dark}, but train has {dark, light}");
}

TEST_F(ImageFolderTest, OneClass) {
  std::filesystem::remove_all(path("/train/light"));
  ExpectFault(path("/train"), "1 class folders; needs at least 2");
}

TEST_F(ImageFolderTest, NeitherKind) {
  std::filesystem::remove_all(path("/train"));
  ExpectFault(folder_.path(), "neither");
  EXPECT_THAT(std::string(OpenDataset(path("/nowhere"), {}).status().message()),
              HasSubstr(path("/nowhere")));
}

}  // namespace
}  // namespace stylex
