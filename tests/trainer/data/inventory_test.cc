// Inventories of files on disk, and what is said of two that differ.
#include "trainer/data/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class InventoryTest : public testing::Test {
 protected:
  // The path of a file with this content; its folders are made.
  std::string File(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  static std::vector<v1::DataFile> Of(std::vector<LabelledFile> train,
                                      std::vector<LabelledFile> validation) {
    return TakeInventory(*MakeImageFileDataset(DatasetOptions(), {"a", "b"}, std::move(train),
                                               std::move(validation)));
  }

  const TemporaryFolder folder_;
};

TEST_F(InventoryTest, IsSortedBySplitAndName) {
  const auto files = Of({{File("t/z", "1"), 0}, {File("t/b/a", "22"), 1}},
                        {{File("v/c", "333"), 1}, {File("t/a", ""), 0}});
  ASSERT_EQ(files.size(), 4);
  EXPECT_EQ(files[0].name(), "t/b/a");
  EXPECT_EQ(files[1].name(), "t/z");
  EXPECT_EQ(files[2].name(), "t/a");
  EXPECT_EQ(files[3].name(), "v/c");
  EXPECT_EQ(files[0].split(), "train");
  EXPECT_EQ(files[3].split(), "validation");
  EXPECT_EQ(files[0].label(), 1);
  EXPECT_EQ(files[1].label(), 0);
  EXPECT_EQ(files[0].size(), 2);
  EXPECT_EQ(files[2].size(), 0);
}

// The hash of "abc" from FIPS 180-2, appendix B.1.
TEST_F(InventoryTest, HashesAreThoseOfTheContent) {
  const auto files = Of({{File("a", "abc"), 0}}, {{File("b", "abd"), 1}});
  EXPECT_EQ(files[0].sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(files[1].sha256().size(), 64);
  EXPECT_NE(files[1].sha256(), files[0].sha256());
}

// Names start behind the deepest folder that all have in common, which need not be the data set's.
TEST_F(InventoryTest, NamesAreBelowTheCommonFolder) {
  const auto files = Of({{File("set/one/ab", "x"), 0}}, {{File("set/one/abc", "y"), 0}});
  EXPECT_EQ(files[0].name(), "ab");
  EXPECT_EQ(files[1].name(), "abc");
}

TEST_F(InventoryTest, AFileThatCannotBeReadHasNoSize) {
  const auto files = Of({{File("a", "x"), 0}}, {{folder_ / "gone", 1}});
  EXPECT_EQ(files[1].size(), -1);
  EXPECT_EQ(files[1].sha256(), "");
}

TEST_F(InventoryTest, NamesThatAreNotUtf8AreEscaped) {
  const auto files = Of({{File("caf\xe9.png", "x"), 0}}, {{File("caf\xc3\xa9.png", "y"), 0}});
  EXPECT_EQ(files[0].name(), "caf\\xe9.png");
  EXPECT_EQ(files[1].name(), "caf\xc3\xa9.png");
}

v1::DataFile Entry(const std::string& name, int64_t size, const std::string& hash,
                   int64_t label = 0) {
  v1::DataFile file;
  file.set_split("train");
  file.set_name(name);
  file.set_size(size);
  file.set_sha256(hash + std::string(60, '0'));
  file.set_label(label);
  return file;
}

TEST(InventoryDifferenceTest, OfTheSameFilesIsNone) {
  const std::vector<v1::DataFile> files = {Entry("a", 1, "1111"), Entry("b", 2, "2222")};
  EXPECT_EQ(InventoryDifference(files, files), "");
  EXPECT_EQ(InventoryDifference({}, {}), "");
}

TEST(InventoryDifferenceTest, EveryPropertyCounts) {
  const v1::DataFile then = Entry("a", 1, "1111");
  v1::DataFile moved = then;
  moved.set_split("validation");
  for (const v1::DataFile& now :
       {Entry("a", 2, "1111"), Entry("a", 1, "9999"), Entry("a", 1, "1111", 1)}) {
    EXPECT_THAT(InventoryDifference({then}, {now}), HasSubstr("1 differ: train a (then "));
  }
  EXPECT_THAT(InventoryDifference({then}, {moved}), HasSubstr("2 differ"));
  // Of a folder of images the split is part of the name.
  EXPECT_THAT(InventoryDifference({Entry("train/a", 1, "1111")}, {}),
              HasSubstr("1 differ: train/a (then "));
  // Hashes that are told apart only behind what is shown of them.
  v1::DataFile late = then;
  late.mutable_sha256()->back() = '5';
  EXPECT_THAT(InventoryDifference({then}, {late}), HasSubstr("1 differ"));
}

TEST(InventoryDifferenceTest, BothValuesAreSaid) {
  EXPECT_THAT(InventoryDifference({Entry("a", 1, "1111")}, {Entry("a", 2, "2222", 1)}),
              AllOf(HasSubstr("then 1 bytes, SHA-256 111100000000..., class 0"),
                    HasSubstr("now 2 bytes, SHA-256 222200000000..., class 1")));
  EXPECT_THAT(InventoryDifference({Entry("a", 1, "1111")}, {Entry("a", -1, "1111")}),
              HasSubstr("now unreadable"));
  EXPECT_THAT(InventoryDifference({Entry("a", 1, "1111")}, {}),
              AllOf(HasSubstr("then 1 files, now 0"), HasSubstr("now not there")));
  EXPECT_THAT(InventoryDifference({}, {Entry("a", 1, "1111")}),
              HasSubstr("(then not there; now 1 bytes"));
}

TEST(InventoryDifferenceTest, OnlyTheFirstFewAreNamedAndAllAreCounted) {
  std::vector<v1::DataFile> many;
  for (int i = 0; i < 9; ++i) {
    many.push_back(Entry(std::string(1, static_cast<char>('a' + i)), 1, "1111"));
  }
  const std::string said = InventoryDifference(many, {});
  EXPECT_THAT(said, AllOf(HasSubstr("9 differ"), HasSubstr("train a "), HasSubstr("train c "),
                          ::testing::EndsWith(", ...")));
  EXPECT_THAT(said, Not(HasSubstr("train d ")));
}

}  // namespace
}  // namespace stylex
