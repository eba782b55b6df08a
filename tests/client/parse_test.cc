#include <gtest/gtest.h>

#include "client/commands.h"
#include "client/file_failures.h"

namespace stylex {
namespace {

TEST(ParseClassTest, NumbersAreIdsAndAllElseIsALabel) {
  EXPECT_EQ(ParseClass("3").class_id(), 3);
  EXPECT_EQ(ParseClass("Ankle boot").label(), "Ankle boot");
  EXPECT_EQ(ParseClass("#3").label(), "3");
  EXPECT_EQ(ParseClass("3D").label(), "3D");
}

TEST(ParseAttributeTest, ReadsIndexAndDirection) {
  EXPECT_EQ(ParseAttribute("12")->direction(), v1::DIRECTION_TO_MAX);
  EXPECT_EQ(ParseAttribute("12:min")->direction(), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(ParseAttribute("12:max")->index(), 12);
  for (const char* bad : {"", "x", "1:up", "1:min:2", "1.5"}) {
    EXPECT_EQ(ParseAttribute(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(ParseEditTest, ReadsIndexShiftAndDirection) {
  const auto edit = ParseEdit("7:-0.5:min");
  ASSERT_TRUE(edit.ok());
  EXPECT_EQ(edit->index(), 7);
  EXPECT_EQ(edit->shift(), -0.5);
  EXPECT_EQ(edit->direction(), v1::DIRECTION_TO_MIN);
  EXPECT_EQ(ParseEdit("7:2")->direction(), v1::DIRECTION_TO_MAX);
  for (const char* bad : {"", "7", "7:x", "x:1", "7:1:up", "7:1:min:max"}) {
    EXPECT_EQ(ParseEdit(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(FileFailuresTest, OneFileInAllKeepsItsOwnMessage) {
  FileFailures failures(1);
  failures.Add("a.png", absl::InvalidArgumentError("shift: too far"));
  EXPECT_EQ(failures.Summary(), absl::InvalidArgumentError("a.png: shift: too far"));
}

TEST(FileFailuresTest, AFileIsNotNamedTwice) {
  FileFailures failures(1);
  failures.Add("a.png", absl::NotFoundError("a.png: no such file"));
  EXPECT_EQ(failures.Summary(), absl::NotFoundError("a.png: no such file"));
}

TEST(FileFailuresTest, SeveralFilesAreCounted) {
  FileFailures failures(3);
  EXPECT_TRUE(failures.Summary().ok());
  failures.Add("a.png", absl::NotFoundError("x"));
  failures.Add("b.png", absl::InternalError("y"));
  EXPECT_EQ(failures.Summary(), absl::NotFoundError("2 of 3 images failed"));
}

}  // namespace
}  // namespace stylex
