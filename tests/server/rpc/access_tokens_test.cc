#include "server/rpc/access_tokens.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "tests/server/scheduling/fake_clock.h"

namespace stylex {
namespace {

class AccessTokensTest : public ::testing::Test {
 protected:
  AccessTokensTest() { close(mkstemp(path_.data())); }
  ~AccessTokensTest() override { unlink(path_.c_str()); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  std::unique_ptr<AccessTokens> Open() {
    auto tokens = AccessTokens::Open(path_, &clock_);
    EXPECT_TRUE(tokens.ok()) << tokens.status();
    return std::move(tokens).value();
  }

  FakeClock clock_;
  std::string path_ = "/tmp/stylex-tokens-XXXXXX";
};

TEST_F(AccessTokensTest, AllowsTheTokensOfTheFileAndNothingElse) {
  Write("# ours\nalpha\n\n  beta  \n");
  const auto tokens = Open();
  EXPECT_TRUE(tokens->Allows("Bearer alpha"));
  EXPECT_TRUE(tokens->Allows("bearer beta"));
  for (const char* header : {"", "Bearer", "Bearer ", "alpha", "Basic alpha", "Bearer alph",
                             "Bearer alphaa", "Bearer  alpha", "Bearer # ours", "Bearer ALPHA"}) {
    EXPECT_FALSE(tokens->Allows(header)) << header;
  }
}

TEST_F(AccessTokensTest, AChangedFileCountsAfterASecond) {
  Write("alpha\n");
  const auto tokens = Open();
  Write("beta-instead\n");
  EXPECT_TRUE(tokens->Allows("Bearer alpha")) << "looked at again too early";
  clock_.Advance(absl::Seconds(1));
  EXPECT_FALSE(tokens->Allows("Bearer alpha"));
  EXPECT_TRUE(tokens->Allows("Bearer beta-instead"));
}

TEST_F(AccessTokensTest, AFileThatIsLostOrEmptiedLeavesTheOldTokens) {
  Write("alpha\n");
  const auto tokens = Open();
  Write("# none\n");
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(tokens->Allows("Bearer alpha"));
  EXPECT_FALSE(tokens->Allows("Bearer "));
  unlink(path_.c_str());
  clock_.Advance(absl::Seconds(2));
  EXPECT_TRUE(tokens->Allows("Bearer alpha"));
  EXPECT_FALSE(tokens->Allows("Bearer other"));
}

TEST_F(AccessTokensTest, AFileWithoutTokensIsAnError) {
  Write("# nothing\n\n");
  EXPECT_TRUE(absl::IsInvalidArgument(AccessTokens::Open(path_, &clock_).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AccessTokens::Open("/no/such/file", &clock_).status()));
}

}  // namespace
}  // namespace stylex
