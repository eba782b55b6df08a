#include "base/sha256.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

// FIPS 180-2, appendix B, and the empty message.
constexpr char kOfNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr char kOfAbc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kOfTwoBlocks[] = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
constexpr char kOfAMillion[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256Test, StandardVectors) {
  EXPECT_EQ(Sha256(""), kOfNothing);
  EXPECT_EQ(Sha256("abc"), kOfAbc);
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), kOfTwoBlocks);
  EXPECT_EQ(Sha256(std::string(1'000'000, 'a')), kOfAMillion);
}

TEST(Sha256Test, BytesAreThoseOfTheDigits) {
  const std::string bytes = Sha256Bytes("abc");
  EXPECT_EQ(bytes.size(), 32u);
  EXPECT_EQ(bytes.substr(0, 4), "\xba\x78\x16\xbf");
}

TEST(Sha256Test, FilesOfOneAndOfManyPieces) {
  const TemporaryFolder folder;
  ASSERT_TRUE(WriteFileAtomic(folder / "empty", "").ok());
  ASSERT_TRUE(WriteFileAtomic(folder / "small", "abc").ok());
  ASSERT_TRUE(WriteFileAtomic(folder / "big", std::string(1'000'000, 'a')).ok());
  EXPECT_EQ(Sha256OfFile(folder / "empty").value(), kOfNothing);
  EXPECT_EQ(Sha256OfFile(folder / "small").value(), kOfAbc);
  EXPECT_EQ(Sha256OfFile(folder / "big").value(), kOfAMillion);
}

TEST(Sha256Test, WhatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  const absl::StatusOr<std::string> none = Sha256OfFile(folder / "none");
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()), testing::HasSubstr(folder / "none"));
  const absl::StatusOr<std::string> a_folder = Sha256OfFile(folder.path());
  EXPECT_EQ(a_folder.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(a_folder.status().message()), testing::HasSubstr(folder.path()));
}

}  // namespace
}  // namespace stylex
