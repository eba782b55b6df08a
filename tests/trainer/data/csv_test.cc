#include "trainer/data/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FaultOf(const std::string& text) {
  const absl::StatusOr<CsvTable> table = ParseCsv(text, "sheet.csv");
  return table.ok() ? "no fault" : std::string(table.status().message());
}

TEST(CsvTest, ReadsQuotesLineBreaksAndBothLineEnds) {
  const CsvTable table =
      ParseCsv("\xEF\xBB\xBFname,\"a \"\"b\"\", c\"\r\n\r\n\"one\ntwo\",\nlast,3", "t").value();
  EXPECT_THAT(table.header, ElementsAre("name", "a \"b\", c"));
  ASSERT_EQ(table.rows.size(), 2);
  EXPECT_THAT(table.rows[0], ElementsAre("one\ntwo", ""));
  EXPECT_THAT(table.rows[1], ElementsAre("last", "3"));
  EXPECT_EQ(table.Find("name"), 0);
  EXPECT_EQ(table.Find("nothing"), -1);
  EXPECT_EQ(table.Column("a \"b\", c").value(), 1);
  EXPECT_THAT(std::string(table.Column("nothing").status().message()),
              AllOf(HasSubstr("t:"), HasSubstr("\"nothing\"")));
}

TEST(CsvTest, NamesFileLineAndFault) {
  EXPECT_THAT(FaultOf("a,b\n1,2\n3\n"),
              AllOf(HasSubstr("sheet.csv: line 3"), HasSubstr("1 field")));
  EXPECT_THAT(FaultOf("a,b\n1,\"2\n"), AllOf(HasSubstr("line 2"), HasSubstr("not closed")));
  EXPECT_THAT(FaultOf("a,b\n\"1\"x,2\n"), AllOf(HasSubstr("line 2"), HasSubstr("quoted field")));
  EXPECT_THAT(FaultOf("a\n\"1\n\n2\"\nx,y\n"), HasSubstr("line 5"));
  EXPECT_THAT(FaultOf("\n\n"), HasSubstr("empty"));
}

TEST(CsvTest, WhatIsWrittenIsReadAgain) {
  const std::vector<std::string> fields = {"plain", "", "a,b", "say \"so\"", "two\nlines"};
  const CsvTable table = ParseCsv(CsvLine(fields) + CsvLine(fields), "t").value();
  EXPECT_EQ(table.header, fields);
  ASSERT_EQ(table.rows.size(), 1);
  EXPECT_EQ(table.rows[0], fields);
  EXPECT_EQ(CsvLine(std::vector<std::string>{"a", "b"}), "a,b\n");
}

}  // namespace
}  // namespace stylex
