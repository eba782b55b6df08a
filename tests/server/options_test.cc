#include "server/options.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <vector>

namespace stylex {
namespace {

class OptionsTest : public ::testing::Test {
 protected:
  void TearDown() override {
    for (const char* name : {"STYLEX_PORT", "STYLEX_MODELS", "STYLEX_REFLECTION"}) {
      unsetenv(name);
    }
  }
  static ParsedOptions Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "stylex-server");
    return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
  }
};

TEST_F(OptionsTest, DefaultsNeedAFolderOnly) {
  const ParsedOptions parsed = Parse({"--models", "/tmp"});
  ASSERT_FALSE(parsed.exit);
  EXPECT_EQ(parsed.options.models, "/tmp");
  EXPECT_EQ(parsed.options.port, 50051);
  EXPECT_EQ(parsed.options.max_message_mib, 16);
  EXPECT_EQ(parsed.options.max_batch, 0);
  EXPECT_TRUE(parsed.options.reflection);
}

TEST_F(OptionsTest, TheEnvironmentGivesWhatTheCommandLineDoesNot) {
  setenv("STYLEX_MODELS", "/tmp", 1);
  setenv("STYLEX_PORT", "1234", 1);
  setenv("STYLEX_REFLECTION", "false", 1);
  ParsedOptions parsed = Parse({});
  ASSERT_FALSE(parsed.exit);
  EXPECT_EQ(parsed.options.models, "/tmp");
  EXPECT_EQ(parsed.options.port, 1234);
  EXPECT_FALSE(parsed.options.reflection);
  parsed = Parse({"--port", "0", "--reflection"});
  ASSERT_FALSE(parsed.exit);
  EXPECT_EQ(parsed.options.port, 0);
  EXPECT_TRUE(parsed.options.reflection);
}

TEST_F(OptionsTest, BadValuesEndTheProgram) {
  for (const std::vector<const char*>& arguments :
       std::vector<std::vector<const char*>>{{},
                                             {"--models", "/there/is/no/such/folder"},
                                             {"--models", "/tmp", "--port", "65536"},
                                             {"--models", "/tmp", "--port", "tcp"},
                                             {"--models", "/tmp", "--workers", "0"},
                                             {"--models", "/tmp", "--max-queue", "0"},
                                             {"--models", "/tmp", "--max-batch", "-1"},
                                             {"--models", "/tmp", "--max-message-mib", "1025"},
                                             {"--models", "/tmp", "--default-deadline", "-1"},
                                             {"--models", "/tmp", "--drain-timeout", "nan"},
                                             {"--models", "/tmp", "--stall-limit", "NaN"},
                                             {"--models", "/tmp", "--host", "unix:"},
                                             {"--models", "/tmp", "--log-level", "loud"},
                                             {"--models", "/tmp", "--no-such-flag"}}) {
    const ParsedOptions parsed = Parse(arguments);
    EXPECT_TRUE(parsed.exit);
    EXPECT_NE(parsed.exit_code, 0);
  }
  EXPECT_TRUE(Parse({"--models", "/tmp", "--tls-certificate", "/etc/hostname"}).exit)
      << "a certificate without a key";
  EXPECT_TRUE(Parse({"--models", "/tmp", "--tls-client-ca", "/etc/hostname"}).exit)
      << "client certificates without TLS";
}

TEST_F(OptionsTest, TheLivePageSendsNoTokensInPlainTextToOtherMachines) {
  const auto ends = [](std::vector<const char*> flags) {
    flags.insert(flags.begin(), {"--models", "/tmp", "--web-port", "0"});
    return Parse(flags).exit;
  };
  EXPECT_FALSE(ends({}));
  EXPECT_FALSE(ends({"--token-file", "/etc/hostname"}));
  EXPECT_FALSE(ends({"--web-host", "::1", "--token-file", "/etc/hostname"}));
  EXPECT_TRUE(ends({"--web-host", "0.0.0.0"})) << "by which names?";
  EXPECT_FALSE(ends({"--web-host", "0.0.0.0", "--web-allowed-host", "stylex.example.org"}));
  EXPECT_TRUE(ends({"--web-host", "0.0.0.0", "--web-allowed-host", "stylex.example.org",
                    "--token-file", "/etc/hostname"}))
      << "tokens in plain text";
  EXPECT_FALSE(
      ends({"--web-host", "0.0.0.0", "--web-allowed-host", "stylex.example.org", "--token-file",
            "/etc/hostname", "--tls-certificate", "/etc/hostname", "--tls-key", "/etc/hostname"}));
}

TEST_F(OptionsTest, ABadValueInTheEnvironmentEndsTheProgramUnlessTheCommandLineGivesOne) {
  setenv("STYLEX_PORT", "tcp://10.0.0.1:50051", 1);
  EXPECT_TRUE(Parse({"--models", "/tmp"}).exit);
  EXPECT_FALSE(Parse({"--models", "/tmp", "--port", "1"}).exit);
  setenv("STYLEX_PORT", "", 1);
  EXPECT_FALSE(Parse({"--models", "/tmp"}).exit) << "an empty variable is none";
  setenv("STYLEX_REFLECTION", "perhaps", 1);
  EXPECT_TRUE(Parse({"--models", "/tmp"}).exit);
  unsetenv("STYLEX_REFLECTION");
  setenv("STYLEX_MODELS", "/there/is/no/such/folder", 1);
  EXPECT_TRUE(Parse({}).exit);
}

TEST_F(OptionsTest, HelpAndVersionEndItWell) {
  for (const char* flag : {"--help", "--version"}) {
    const ParsedOptions parsed = Parse({flag});
    EXPECT_TRUE(parsed.exit);
    EXPECT_EQ(parsed.exit_code, 0);
  }
}

}  // namespace
}  // namespace stylex
