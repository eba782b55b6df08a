// CelebA and unlabelled images, each in a small tree made by the test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/trainer/data/drawn_dataset.h"
#include "trainer/data/dataset.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

DatasetOptions Small(std::vector<std::string> labels = {}) {
  DatasetOptions options;
  options.resolution = 16;
  options.labels = std::move(labels);
  return options;
}

// An image of uniform grey, which identifies it.
Bitmap Grey(int value) { return Bitmap::Make(18, 22, 3, static_cast<uint8_t>(value)); }

int GreyOf(const Dataset& dataset, Split split, int64_t index) {
  return dataset.Load(split, index).value().data[0];
}

std::string FaultOf(const std::string& path, const DatasetOptions& options) {
  const auto dataset = OpenDataset(path, options);
  return dataset.ok() ? "no fault" : std::string(dataset.status().message());
}

class CelebATest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 1; i <= 6; ++i) {
      WriteJpeg(absl::StrFormat("%s/img_align_celeba/%06d.jpg", folder_.path(), i), Grey(i * 20));
    }
    WriteAttributes();
    WritePartition();
  }
  void WriteAttributes(const std::string& last = "000006.jpg  1 -1 -1\n") const {
    WriteBytes(folder_ / "list_attr_celeba.txt",
               "6\n5_o_Clock_Shadow Smiling Young \n"
               "000001.jpg -1  1  1\n000002.jpg -1 -1 -1\r\n000003.jpg  1  1 -1\n"
               "000004.jpg -1  1  1\n000005.jpg -1 -1  1\n" +
                   last);
  }
  void WritePartition(const std::string& last = "000006.jpg 1\n") const {
    WriteBytes(folder_ / "list_eval_partition.txt",
               "000001.jpg 0\n000002.jpg 0\n000003.jpg 1\n000004.jpg 2\n000005.jpg 0\n" + last);
  }
  std::string With(const std::string& attribute) const {
    return absl::StrCat(folder_.path(), ":", attribute);
  }
  TemporaryFolder folder_;
};

TEST_F(CelebATest, OneAttributeIsTwoClasses) {
  const auto dataset = OpenDataset(With("Young"), Small()).value();
  EXPECT_THAT(dataset->labels(), ElementsAre("not Young", "Young"));
  EXPECT_TRUE(dataset->labelled());
  ASSERT_EQ(dataset->size(Split::kTrain), 3);       // 1, 2, 5
  ASSERT_EQ(dataset->size(Split::kValidation), 2);  // 3, 6; 4 is for testing
  EXPECT_EQ(dataset->label(Split::kTrain, 0), 1);
  EXPECT_EQ(dataset->label(Split::kTrain, 1), 0);
  EXPECT_EQ(dataset->label(Split::kTrain, 2), 1);
  EXPECT_EQ(dataset->label(Split::kValidation, 0), 0);
  EXPECT_EQ(dataset->label(Split::kValidation, 1), 0);
  EXPECT_NEAR(GreyOf(*dataset, Split::kTrain, 2), 100, 2);
  EXPECT_NEAR(GreyOf(*dataset, Split::kValidation, 1), 120, 2);
  EXPECT_EQ(dataset->Load(Split::kTrain, 0).value().width, 16);
}

TEST_F(CelebATest, AnyAttributeAndOtherNames) {
  DatasetOptions options = Small({"grave", "smiling"});
  options.classes = {{"not Smiling", "grave"}, {"Smiling", "smiling"}};
  const auto dataset = OpenDataset(With("Smiling"), options).value();
  EXPECT_THAT(dataset->labels(), ElementsAre("grave", "smiling"));
  EXPECT_EQ(dataset->label(Split::kTrain, 2), 0);
  EXPECT_EQ(dataset->label(Split::kValidation, 0), 1);
}

TEST_F(CelebATest, NamesTheFault) {
  const auto fault = [&] { return FaultOf(With("Young"), Small()); };
  EXPECT_THAT(FaultOf(folder_.path(), Small()),
              AllOf(HasSubstr("which attribute"), HasSubstr("5_o_Clock_Shadow, Smiling, Young")));
  EXPECT_THAT(FaultOf(With("Old"), Small()), AllOf(HasSubstr("\"Old\""), HasSubstr("Young")));
  EXPECT_THAT(FaultOf(With("Young"), Small({"a", "b", "c"})), HasSubstr("the labels {a, b, c}"));
  WriteAttributes("000006.jpg  1 -1\n");
  EXPECT_THAT(fault(), AllOf(HasSubstr("list_attr_celeba.txt: line 8"), HasSubstr("3 words")));
  WriteAttributes("000006.jpg  1 -1 0\n");
  EXPECT_THAT(fault(), AllOf(HasSubstr("line 8"), HasSubstr("\"0\" as Young")));
  WriteAttributes();
  WritePartition("000006.jpg 3\n");
  EXPECT_THAT(fault(), HasSubstr("list_eval_partition.txt: line 6"));
  WritePartition("");
  EXPECT_THAT(fault(), AllOf(HasSubstr("list_eval_partition.txt"), HasSubstr("000006.jpg")));
  WriteBytes(folder_ / "list_attr_celeba.txt", "0\n");
  EXPECT_THAT(fault(), HasSubstr("line of attribute names"));
}

TEST(UnlabelledTest, TheLastSeventhIsHeldOut) {
  const TemporaryFolder folder;
  // Numbered folders, as in FFHQ.
  for (int i = 0; i < 15; ++i) {
    WritePng(absl::StrFormat("%s/%05d/%05d.png", folder.path(), i / 5 * 1000, i), Grey(i * 10));
  }
  const auto dataset = OpenDataset(folder.path(), Small({"old", "young"})).value();
  EXPECT_THAT(dataset->labels(), ElementsAre("old", "young"));
  EXPECT_FALSE(dataset->labelled());
  ASSERT_EQ(dataset->size(Split::kTrain), 13);
  ASSERT_EQ(dataset->size(Split::kValidation), 2);
  EXPECT_EQ(dataset->label(Split::kTrain, 3), kNoLabel);
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(
        i < 13 ? GreyOf(*dataset, Split::kTrain, i) : GreyOf(*dataset, Split::kValidation, i - 13),
        i * 10);
  }
}

TEST(UnlabelledTest, AFlatFolderWillDo) {
  const TemporaryFolder folder;
  for (int i = 0; i < 7; ++i) {
    WritePng(absl::StrFormat("%s/%d.png", folder.path(), i), Grey(i));
  }
  const auto dataset = OpenDataset(folder.path(), Small({"a", "b"})).value();
  EXPECT_EQ(dataset->size(Split::kTrain), 6);
  EXPECT_EQ(GreyOf(*dataset, Split::kValidation, 0), 6);
}

TEST(UnlabelledTest, NamesTheFault) {
  const TemporaryFolder folder;
  for (int i = 0; i < 6; ++i) {
    WritePng(absl::StrFormat("%s/%d.png", folder.path(), i), Grey(i));
  }
  EXPECT_THAT(FaultOf(folder.path(), Small({"a", "b"})),
              AllOf(HasSubstr(folder.path()), HasSubstr("6 images")));
  EXPECT_THAT(FaultOf(folder.path(), Small()),
              AllOf(HasSubstr(folder.path()), HasSubstr("data.labels"), HasSubstr("train/CLASS")));
}

}  // namespace
}  // namespace stylex
