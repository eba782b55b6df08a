// What a second run finds of the first.
#include "client/records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/client/test_files.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

class RecordsTest : public testing::Test {
 protected:
  Record Tom() const {
    return {.key = "key of tom",
            .facts = {{"name", "tom"}},
            .pictures = {{"photograph", "data:x"}},
            .answer = "{\"flipped\":true}",
            .files = {}};
  }

  TemporaryFolder folder_;
  Records records_ = Records::Open(folder_ / "out").value();
  const Bitmap row_ = Bitmap::Make(5, 2, 3, 7);
};

TEST_F(RecordsTest, WhatIsWrittenIsFoundByItsKey) {
  EXPECT_FALSE(records_.Find("tom", "key of tom").has_value()) << "before it is written";
  ASSERT_TRUE(records_.Write("tom", Tom(), row_).ok());
  const std::optional<Record> found = records_.Find("tom", "key of tom");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->facts, Tom().facts);
  EXPECT_EQ(found->pictures, Tom().pictures);
  EXPECT_EQ(found->answer, Tom().answer);
  EXPECT_FALSE(records_.Find("tom", "another key").has_value());
  EXPECT_FALSE(records_.Find("tim", "key of tom").has_value());
  EXPECT_EQ(records_.Pictures("tom").value(), Tom().pictures);
  EXPECT_EQ(records_.Row("tom").value(), row_);
}

TEST_F(RecordsTest, ARecordWithoutOneOfItsFilesIsNotFound) {
  Record tom = Tom();
  tom.files = {"tom.gif"};
  ASSERT_TRUE(records_.Write("tom", tom, row_).ok());
  EXPECT_FALSE(records_.Find("tom", "key of tom").has_value());
  WriteText(folder_ / "out/tom.gif", "x");
  ASSERT_TRUE(records_.Find("tom", "key of tom").has_value());
  EXPECT_EQ(records_.Find("tom", "key of tom")->files, tom.files);
}

TEST_F(RecordsTest, AnotherRunFindsThem) {
  ASSERT_TRUE(records_.Write("tom", Tom(), row_).ok());
  const Records again = Records::Open(folder_ / "out").value();
  EXPECT_TRUE(again.Find("tom", "key of tom").has_value());
}

TEST_F(RecordsTest, WhatIsNotWholeIsNotFound) {
  const std::string path = folder_ / "out/records/tom.json";
  for (const char* broken :
       {"", "{", "[]", "null", "{\"key\":\"key of tom\"}",
        "{\"key\":1,\"facts\":{},\"pictures\":{},\"answer\":\"\"}",
        "{\"key\":\"key of tom\",\"facts\":[],\"pictures\":{},\"answer\":\"\"}"}) {
    ASSERT_TRUE(records_.Write("tom", Tom(), row_).ok());
    WriteText(path, broken);
    EXPECT_FALSE(records_.Find("tom", "key of tom").has_value()) << broken;
    EXPECT_EQ(records_.Pictures("tom").status().code(), absl::StatusCode::kDataLoss) << broken;
  }
  ASSERT_TRUE(records_.Write("tom", Tom(), row_).ok());
  std::filesystem::remove(folder_ / "out/records/tom.png");
  EXPECT_FALSE(records_.Find("tom", "key of tom").has_value()) << "its row is missing";
}

TEST_F(RecordsTest, NamesThatAreNoUtf8Survive) {
  Record record = Tom();
  record.facts = {{"path", "caf\xe9.jpg"}};
  EXPECT_TRUE(records_.Write("caf\xe9", record, row_).ok());
  EXPECT_TRUE(records_.Find("caf\xe9", "key of tom").has_value());
}

TEST_F(RecordsTest, AFolderThatCannotBeMadeIsNamed) {
  WriteText(folder_ / "file", "x");
  const absl::Status status = Records::Open(folder_ / "file").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("file/records"));
}

TEST_F(RecordsTest, ARowThatCannotBeDrawnIsAnError) {
  EXPECT_FALSE(records_.Write("tom", Tom(), Bitmap()).ok());
  EXPECT_FALSE(records_.Find("tom", "key of tom").has_value());
}

}  // namespace
}  // namespace stylex
