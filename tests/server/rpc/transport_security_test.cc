#include "server/rpc/transport_security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

// A self-signed certificate and its key, NAME.pem and NAME.key, made by openssl.
class TransportSecurityTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) {
      GTEST_SKIP() << "openssl is not installed";
    }
    for (const char* name : {"server", "other"}) {
      ASSERT_EQ(std::system(absl::StrCat("openssl req -x509 -newkey ec -pkeyopt "
                                         "ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=",
                                         name, " -keyout ", Key(name), " -out ", Certificate(name),
                                         " 2>/dev/null")
                                .c_str()),
                0);
    }
  }

  std::string Key(const std::string& name) const { return folder_ / (name + ".key"); }
  std::string Certificate(const std::string& name) const { return folder_ / (name + ".pem"); }
  std::string Refusal(const TlsFiles& files) const {
    const absl::Status status = TlsSource::Open(files, &Clock::Real()).status();
    EXPECT_THAT(status.code(),
                testing::AnyOf(absl::StatusCode::kInvalidArgument, absl::StatusCode::kNotFound));
    return std::string(status.message());
  }

  TemporaryFolder folder_;
};

TEST_F(TransportSecurityTest, WithoutFilesThereIsNone) {
  EXPECT_FALSE(TlsFiles{}.enabled());
  EXPECT_NE(MakeServerCredentials(nullptr), nullptr);
}

TEST_F(TransportSecurityTest, TakesACertificateWithItsKeyAndAClientsAuthority) {
  TlsFiles files = {Certificate("server"), Key("server"), ""};
  EXPECT_TRUE(files.enabled());
  const auto source = TlsSource::Open(files, &Clock::Real()).value();
  EXPECT_NE(MakeServerCredentials(source), nullptr);
  EXPECT_THAT(source->Current()->key, HasSubstr("PRIVATE KEY"));
  files.client_ca = Certificate("other");
  EXPECT_NE(MakeServerCredentials(TlsSource::Open(files, &Clock::Real()).value()), nullptr);
}

TEST_F(TransportSecurityTest, NamesTheFileThatIsMissing) {
  EXPECT_THAT(Refusal({folder_ / "no.pem", Key("server"), ""}),
              HasSubstr(folder_ / "no.pem: cannot be opened"));
  EXPECT_THAT(Refusal({Certificate("server"), folder_ / "no.key", ""}),
              HasSubstr(folder_ / "no.key: cannot be opened"));
  EXPECT_THAT(Refusal({Certificate("server"), Key("server"), folder_ / "ca.pem"}),
              HasSubstr(folder_ / "ca.pem: cannot be opened"));
}

TEST_F(TransportSecurityTest, NamesTheFileThatIsNotWhatItShouldBe) {
  std::ofstream(folder_ / "text.pem") << "no certificate\n";
  EXPECT_THAT(Refusal({folder_ / "text.pem", Key("server"), ""}), HasSubstr("text.pem"));
  EXPECT_THAT(Refusal({Certificate("server"), Certificate("server"), ""}),
              HasSubstr(Certificate("server") + ": is no private key in PEM format"));
  EXPECT_THAT(Refusal({Key("server"), Key("server"), ""}), HasSubstr("no certificate in PEM"));
}

TEST_F(TransportSecurityTest, AKeyOfAnotherCertificateIsRefused) {
  EXPECT_THAT(
      Refusal({Certificate("server"), Key("other"), ""}),
      HasSubstr(absl::StrCat(Key("other"), ": is not the private key of the certificate in ",
                             Certificate("server"))));
}

}  // namespace
}  // namespace stylex
