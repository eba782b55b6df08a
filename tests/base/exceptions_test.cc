#include "base/exceptions.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "absl/status/statusor.h"

namespace stylex {
namespace {

TEST(ExceptionsTest, TheFirstLineIsTheCause) {
  EXPECT_EQ(CauseOf(std::runtime_error("shapes differ\nException raised from ...\nframe 0")),
            "shapes differ");
  EXPECT_EQ(CauseOf(std::runtime_error("")), "an exception without a message");
}

TEST(ExceptionsTest, OfATorchScriptTheLastErrorIs) {
  EXPECT_EQ(CauseOf(std::runtime_error(
                "The following operation failed in the TorchScript interpreter.\n"
                "Traceback of TorchScript, serialized code (most recent call last):\n"
                "  File \"code/m.py\", line 7, in forward\n"
                "    ops.prim.RaiseException(_1)\n"
                "    ~~~~~~~~~~~~~~~~~~~~~~~ <--- HERE\n"
                "\n"
                "RuntimeError: expects uint8 images\n")),
            "RuntimeError: expects uint8 images");
}

TEST(ExceptionsTest, BecomeAStatus) {
  EXPECT_EQ(WithoutExceptions([]() -> absl::Status { throw std::runtime_error("broken"); }),
            absl::InternalError("broken"));
  EXPECT_EQ(WithoutExceptions([]() -> absl::Status { throw std::bad_alloc(); }).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(WithoutExceptions([]() -> absl::Status { throw 1; }).code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(WithoutExceptions([] { return absl::NotFoundError("none"); }),
            absl::NotFoundError("none"));
  EXPECT_EQ(WithoutExceptions([]() -> absl::StatusOr<int> { return 3; }).value(), 3);
  EXPECT_EQ(WithoutExceptions([]() -> absl::StatusOr<int> {
              throw std::runtime_error("broken");
            }).status(),
            absl::InternalError("broken"));
}

}  // namespace
}  // namespace stylex
