// Connecting: files that hold no token or certificate, the token on the wire, and the options of
// the command line that lead there.
#include <grpcpp/grpcpp.h>

#include <mutex>

#include "client/call.h"
#include "tests/client/client_fixture.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A server that remembers what stood in the calls' "authorization".
class TokenReader : public v1::ExplanationService::Service {
 public:
  TokenReader() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~TokenReader() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest*,
                          v1::ListModelsResponse*) override {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = context->client_metadata().equal_range("authorization");
    for (auto value = begin; value != end; ++value) {
      seen_.emplace_back(value->second.data(), value->second.size());
    }
    return grpc::Status::OK;
  }
  std::vector<std::string> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  const std::string& address() const { return address_; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

class ConnectTest : public testing::Test {
 protected:
  // What the server sees of a call with this token file.
  std::vector<std::string> TokensOf(const std::string& text) {
    WriteText(folder_ / "token", text);
    TokenReader server;
    ConnectionOptions options;
    options.server = server.address();
    options.token_file = folder_ / "token";
    auto stub = Connect(options);
    EXPECT_TRUE(stub.ok()) << stub.status();
    v1::ListModelsResponse response;
    const absl::Status status =
        Call(options, stub->get(), &v1::ExplanationService::Stub::ListModels,
             v1::ListModelsRequest(), &response);
    EXPECT_TRUE(status.ok()) << status;
    return server.seen();
  }

  const TemporaryFolder folder_;
};

TEST_F(ConnectTest, TheTokensFirstLineIsSent) {
  EXPECT_THAT(TokensOf("s3cret\n"), ElementsAre("Bearer s3cret"));
  EXPECT_THAT(TokensOf("  padded \r\nanother\n"), ElementsAre("Bearer padded"));
  EXPECT_THAT(TokensOf("# of the demo\n\n  \nafter-comments"),
              ElementsAre("Bearer after-comments"));
}

TEST_F(ConnectTest, WithoutAFileNoTokenIsSent) {
  TokenReader server;
  ConnectionOptions options;
  options.server = server.address();
  v1::ListModelsResponse response;
  ASSERT_TRUE(Call(options, Connect(options)->get(), &v1::ExplanationService::Stub::ListModels,
                   v1::ListModelsRequest(), &response)
                  .ok());
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(ConnectTest, AFileWithoutATokenIsNamed) {
  ConnectionOptions options;
  options.token_file = folder_ / "token";
  EXPECT_EQ(Connect(options).status().code(), absl::StatusCode::kNotFound);
  for (const std::string text : {"", "\n\n", "# only a comment\n"}) {
    WriteText(options.token_file, text);
    const absl::Status status = Connect(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(options.token_file + ": holds no token"));
  }
  for (const std::string text : {"\x01\x02\n", "t\xc3\xb6ken\n"}) {
    WriteText(options.token_file, text);
    EXPECT_THAT(std::string(Connect(options).status().message()),
                HasSubstr("its token has characters that are not printable ASCII"));
  }
}

TEST_F(ConnectTest, FilesThatAreNoPemAreNamed) {
  WriteText(folder_ / "ca", "not a certificate");
  WriteText(folder_ / "pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
  ConnectionOptions options;
  options.tls_ca = folder_ / "ca";
  EXPECT_THAT(std::string(Connect(options).status().message()),
              HasSubstr("ca: is no file in PEM format"));
  options.tls_ca = folder_ / "nowhere";
  EXPECT_EQ(Connect(options).status().code(), absl::StatusCode::kNotFound);
  options.tls_ca = folder_ / "pem";
  options.tls_certificate = folder_ / "pem";
  options.tls_key = folder_ / "ca";
  EXPECT_THAT(std::string(Connect(options).status().message()),
              HasSubstr("ca: is no file in PEM format"));
  options.tls_key = folder_ / "pem";
  EXPECT_THAT(std::string(Connect(options).status().message()),
              HasSubstr("pem: holds no private key in PEM format"));
  WriteText(folder_ / "key", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
  options.tls_key = folder_ / "key";
  options.tls_ca = folder_ / "key";
  EXPECT_THAT(std::string(Connect(options).status().message()),
              HasSubstr("key: holds no certificate in PEM format"));
}

TEST_F(ConnectTest, AFailedConnectionSaysWhichFlagMayBeWrong) {
  ConnectionOptions options;
  EXPECT_THAT(WithAdvice(options, absl::UnavailableError("Socket closed")).ToString(),
              HasSubstr("--tls-ca"));
  EXPECT_EQ(WithAdvice(options, absl::NotFoundError("Socket closed")),
            absl::NotFoundError("Socket closed"));
  EXPECT_EQ(WithAdvice(options, absl::UnavailableError("queue full")),
            absl::UnavailableError("queue full"));
  options.tls_ca = "ca.crt";
  EXPECT_THAT(WithAdvice(options, absl::UnavailableError("empty address list: ")).ToString(),
              HasSubstr("--tls-cert and --tls-key belong together"));
}

// A server that answers in plain text to a client that was told to use TLS: no answer is better
// than a token on an open line.
TEST_F(ConnectTest, WithACertificateNothingIsSentInTheClear) {
  WriteText(folder_ / "token", "s3cret");
  WriteText(folder_ / "ca", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
  TokenReader server;
  const ProgramResult result =
      RunProgram({"models", "--server", server.address(), "--tls-ca", folder_ / "ca",
                  "--token-file", folder_ / "token", "--timeout", "2"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(ConnectTest, TheTokensFileComesFromTheEnvironmentToo) {
  WriteText(folder_ / "token", "from-the-environment\n");
  TokenReader server;
  const ProgramResult result =
      RunProgram({"models"}, {.environment = {"STYLEX_SERVER=" + server.address(),
                                              "STYLEX_TOKEN_FILE=" + folder_ / "token"}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(server.seen(), testing::Each("Bearer from-the-environment"));
  EXPECT_THAT(server.seen(), testing::Not(IsEmpty()));
}

using CommandLineTest = ClientFixture;

TEST_F(CommandLineTest, ACertificateAndItsKeyNeedEachOther) {
  WriteText(folder_ / "pem", "-----BEGIN CERTIFICATE-----\n");
  for (const char* alone : {"--tls-cert", "--tls-key"}) {
    const ProgramResult result = Run({"models", alone, folder_ / "pem"});
    EXPECT_GT(result.exit_code, 0);
    EXPECT_THAT(result.err, HasSubstr(alone));
  }
}

TEST_F(CommandLineTest, OptionsMayStandBeforeTheSubcommandOrBehindIt) {
  const std::string file = WriteGreyPng(folder_ / "a.png", 16, 10);
  EXPECT_EQ(Run({"--json", "classify", file}).out, Run({"classify", file, "--json"}).out);
  EXPECT_EQ(Run({"classify", "--model", "pets", file}).exit_code, 0);
}

TEST_F(CommandLineTest, ValuesOutsideOfTheirSetAreRefusedBeforeACall) {
  const std::vector<std::vector<std::string>> wrong = {
      {"attributes", "--target", "dog", "--search", "quick"},
      {"models", "--timeout", "-1"},
      {"traverse", "x.png"},
      {"reconstruct"},
      {"encode", "a.png", "b.png"}};
  for (const std::vector<std::string>& arguments : wrong) {
    const ProgramResult result = Run(arguments);
    EXPECT_GT(result.exit_code, 0) << arguments[0];
    EXPECT_EQ(result.out, "") << arguments[0];
    EXPECT_THAT(result.err, testing::StartsWith("stylex: "));
  }
}

TEST_F(CommandLineTest, TellsItsVersion) {
  const ProgramResult result = RunProgram({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST_F(CommandLineTest, EverySubcommandHasHelp) {
  for (const char* name :
       {"models", "classify", "encode", "reconstruct", "traverse", "attributes", "explain"}) {
    const ProgramResult result = RunProgram({name, "--help"});
    EXPECT_EQ(result.exit_code, 0) << name;
    EXPECT_THAT(result.out, HasSubstr(name));
  }
}

}  // namespace
}  // namespace stylex
