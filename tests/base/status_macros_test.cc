#include "base/status_macros.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace stylex {
namespace {

absl::Status Fails() { return absl::NotFoundError("no such thing"); }

absl::StatusOr<std::unique_ptr<int>> MoveOnly(bool fails) {
  if (fails) {
    return absl::InvalidArgumentError("asked to fail");
  }
  return std::make_unique<int>(7);
}

absl::Status ReturnIfError(bool fails, bool* passed) {
  STYLEX_RETURN_IF_ERROR(absl::OkStatus());
  if (fails)
    STYLEX_RETURN_IF_ERROR(Fails());
  else
    STYLEX_RETURN_IF_ERROR(absl::OkStatus());
  *passed = true;
  return absl::OkStatus();
}

absl::StatusOr<int> AssignOrReturn(bool fails) {
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<int> first, MoveOnly(false));
  std::unique_ptr<int> second;
  STYLEX_ASSIGN_OR_RETURN(second, MoveOnly(fails));
  return *first + *second;
}

TEST(StatusMacrosTest, ReturnIfErrorPassesTheErrorOn) {
  bool passed = false;
  EXPECT_EQ(ReturnIfError(true, &passed), absl::NotFoundError("no such thing"));
  EXPECT_FALSE(passed);
}

TEST(StatusMacrosTest, ReturnIfErrorGoesOnWhenOk) {
  bool passed = false;
  EXPECT_TRUE(ReturnIfError(false, &passed).ok());
  EXPECT_TRUE(passed);
}

TEST(StatusMacrosTest, AssignOrReturnMovesTheValue) {
  const absl::StatusOr<int> sum = AssignOrReturn(false);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 14);
}

TEST(StatusMacrosTest, AssignOrReturnPassesTheErrorOn) {
  EXPECT_EQ(AssignOrReturn(true).status(), absl::InvalidArgumentError("asked to fail"));
}

TEST(StatusMacrosTest, TheExpressionIsEvaluatedOnce) {
  int calls = 0;
  const auto count = [&calls]() {
    ++calls;
    return Fails();
  };
  const auto run = [&count]() -> absl::Status {
    STYLEX_RETURN_IF_ERROR(count());
    return absl::OkStatus();
  };
  EXPECT_FALSE(run().ok());
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace stylex
