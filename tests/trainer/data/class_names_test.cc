// Pairing of a data set's class names with labels, and which names can be paired at all.
#include "trainer/data/class_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "trainer/data/utf8.h"

namespace stylex {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Names = std::vector<std::string>;

DatasetOptions Asking(const Names& labels, const std::map<std::string, std::string>& classes = {}) {
  DatasetOptions options;
  options.labels = labels;
  options.classes = classes;
  return options;
}

std::string RefusalOf(const Names& names, const DatasetOptions& options) {
  const absl::StatusOr<PairedClasses> paired = PairByName("/data", names, options);
  EXPECT_EQ(paired.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(paired.status().message()), ::testing::StartsWith("/data: "));
  return std::string(paired.status().message());
}

TEST(PairByNameTest, WithoutLabelsTheNamesAreTheLabels) {
  const PairedClasses paired = PairByName("/data", {"cat", "dog", "wild"}, Asking({})).value();
  EXPECT_THAT(paired.labels, ElementsAre("cat", "dog", "wild"));
  EXPECT_THAT(paired.of_name, ElementsAre(0, 1, 2));
}

TEST(PairByNameTest, LabelsKeepTheirOrder) {
  const PairedClasses paired =
      PairByName("/data", {"cat", "dog", "wild"}, Asking({"wild", "cat", "dog"})).value();
  EXPECT_THAT(paired.labels, ElementsAre("wild", "cat", "dog"));
  EXPECT_THAT(paired.of_name, ElementsAre(1, 2, 0));
}

TEST(PairByNameTest, OtherNamesAreMapped) {
  const PairedClasses paired =
      PairByName("/data", {"n01", "n02"},
                 Asking({"tench", "shark"}, {{"n01", "shark"}, {"n02", "tench"}}))
          .value();
  EXPECT_THAT(paired.of_name, ElementsAre(1, 0));
}

TEST(PairByNameTest, SomeMayBeMappedAndOthersBeTheirLabels) {
  const PairedClasses paired =
      PairByName("/data", {"cat", "n02"}, Asking({"dog", "cat"}, {{"n02", "dog"}})).value();
  EXPECT_THAT(paired.of_name, ElementsAre(1, 0));
}

TEST(PairByNameTest, WithoutLabelsTheyAreWhatTheNamesAreMappedTo) {
  const PairedClasses paired =
      PairByName("/data", {"a", "b", "c"}, Asking({}, {{"a", "young"}, {"c", "old"}})).value();
  EXPECT_THAT(paired.labels, ElementsAre("young", "b", "old"));
}

// Two folders can be one class, as long as two classes remain.
TEST(PairByNameTest, SeveralNamesMayShareALabel) {
  const PairedClasses paired = PairByName("/data", {"lion", "tiger", "dog"},
                                          Asking({}, {{"lion", "wild"}, {"tiger", "wild"}}))
                                   .value();
  EXPECT_THAT(paired.labels, ElementsAre("wild", "dog"));
  EXPECT_THAT(paired.of_name, ElementsAre(0, 0, 1));
  EXPECT_THAT(RefusalOf({"lion", "tiger"}, Asking({}, {{"lion", "wild"}, {"tiger", "wild"}})),
              HasSubstr("{lion, tiger}"));
}

TEST(PairByNameTest, WhatHasNoPartnerIsSaidWithBothLists) {
  for (const Names& labels :
       {Names{"cat", "fox"}, Names{"cat", "dog", "fox"}, Names{"cat", "Dog"}}) {
    EXPECT_THAT(RefusalOf({"cat", "dog"}, Asking(labels)),
                AllOf(HasSubstr("{cat, dog}"), HasSubstr(labels[1]), HasSubstr("--class cat=LABEL"),
                      HasSubstr("data.classes")));
  }
}

TEST(PairByNameTest, OneClassIsNone) {
  EXPECT_THAT(RefusalOf({"cat"}, Asking({})), HasSubstr("{cat}"));
}

TEST(PairByNameTest, AMappingOfWhatIsNotThereIsNamed) {
  EXPECT_THAT(RefusalOf({"cat", "dog"}, Asking({}, {{"wolf", "dog"}})),
              AllOf(HasSubstr("\"wolf\""), HasSubstr("{cat, dog}")));
}

TEST(PairByNameTest, NamesThatCannotStandInMessagesAreRefused) {
  EXPECT_THAT(RefusalOf({"cat", "d\xf6g"}, Asking({})), HasSubstr("not UTF-8"));
}

TEST(Utf8Test, WellFormedTextIs) {
  for (const char* text :
       {"", "plain", "caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "tab\tand\x01"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

// The standard's ill-formed sequences (Unicode 15, §3.9, table 3-7).
TEST(Utf8Test, IllFormedTextIsNot) {
  for (const char* text :
       {"\x80", "caf\xe9", "\xc3", "\xc3(", "\xe2\x82", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(IsUtf8(text));
  }
}

}  // namespace
}  // namespace stylex
