// Authentication, transport security, and the audit log.
#include <gmock/gmock.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "tests/e2e/odd_images.h"
#include "tests/e2e/raw_http2.h"
#include "tests/e2e/server_process.h"
#include "tests/e2e/tiny_checkpoint.h"
#include "tests/server/rpc/error_details.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Runs `openssl ARGUMENTS`; false if it fails or is not installed.
bool OpenSsl(const std::string& arguments) {
  return system(absl::StrCat("openssl ", arguments, " >/dev/null 2>&1").c_str()) == 0;
}

// Sanitizers keep what was freed, up to 256 MiB of it, and have more of everything.
#ifdef STYLEX_SANITIZED
constexpr int64_t kMayGrowMib = 464;
#else
constexpr int64_t kMayGrowMib = 64;
#endif

class SecurityTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models_ = new TemporaryFolder;
    WriteTinyCheckpoint(models_->path(), {});
  }
  static void TearDownTestSuite() { delete models_; }

  void Start(const std::vector<std::string>& flags) {
    server_ = std::make_unique<ServerProcess>(models_->path(), flags);
  }
  std::string Path(const std::string& name) const { return files_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }

  // Makes NAME.crt and NAME.key for "localhost", self-signed or signed by ISSUER.
  bool MakeCertificate(const std::string& name, const std::string& issuer = "") {
    const std::string common = absl::StrCat(
        "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=", name,
        " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ", Path(name + ".key"));
    if (issuer.empty()) {
      return OpenSsl(absl::StrCat("req -x509 -days 2 -out ", Path(name + ".crt"), " ", common));
    }
    return OpenSsl(absl::StrCat("req -new -out ", Path(name + ".csr"), " ", common)) &&
           OpenSsl(absl::StrCat("x509 -req -days 2 -in ", Path(name + ".csr"), " -CA ",
                                Path(issuer + ".crt"), " -CAkey ", Path(issuer + ".key"),
                                " -CAcreateserial -copy_extensions copy -out ",
                                Path(name + ".crt")));
  }
  std::shared_ptr<grpc::Channel> TlsChannel(const std::string& client = "") {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadFile(Path("ca.crt"));
    if (!client.empty()) {
      options.pem_cert_chain = ReadFile(Path(client + ".crt"));
      options.pem_private_key = ReadFile(Path(client + ".key"));
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(server_->address(), grpc::SslCredentials(options), arguments);
  }
  static grpc::Status ListModels(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& authorization = "") {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!authorization.empty()) {
      context.AddMetadata("authorization", authorization);
    }
    v1::ListModelsResponse response;
    return v1::ExplanationService::NewStub(channel)->ListModels(&context, {}, &response);
  }

  static TemporaryFolder* models_;
  TemporaryFolder files_;
  std::unique_ptr<ServerProcess> server_;
};

TemporaryFolder* SecurityTest::models_ = nullptr;

TEST_F(SecurityTest, TlsKeepsPlainClientsOutAndHealthHasAPlainPort) {
  if (!MakeCertificate("ca") || !MakeCertificate("server", "ca")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"), "--health-port",
         "0", "--web-port", "0"});
  EXPECT_THAT(server_->address("web"), testing::StartsWith("https://127.0.0.1:"));
  const grpc::Status secure = ListModels(TlsChannel());
  EXPECT_TRUE(secure.ok()) << secure.error_message();
  EXPECT_EQ(ListModels(server_->NewChannel()).error_code(), grpc::StatusCode::UNAVAILABLE);

  const auto plain =
      grpc::CreateChannel(server_->address("health"), grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("liveness");
  HealthCheckResponse response;
  EXPECT_TRUE(grpc::health::v1::Health::NewStub(plain)->Check(&context, request, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(ListModels(plain).error_code(), grpc::StatusCode::UNIMPLEMENTED)
      << "the health port serves more than health";
}

TEST_F(SecurityTest, MutualTlsWantsACertificateOfTheRightIssuer) {
  if (!MakeCertificate("ca") || !MakeCertificate("server", "ca") ||
      !MakeCertificate("friend", "ca") || !MakeCertificate("stranger")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"),
         "--tls-client-ca", Path("ca.crt"), "--health-port", "0"});
  const grpc::Status known = ListModels(TlsChannel("friend"));
  EXPECT_TRUE(known.ok()) << known.error_message();
  EXPECT_EQ(ListModels(TlsChannel()).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ListModels(TlsChannel("stranger")).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(SecurityTest, ANewCertificateIsUsedWithoutARestart) {
  if (!MakeCertificate("ca") || !MakeCertificate("server", "ca")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"), "--health-port",
         "0"});
  ASSERT_TRUE(ListModels(TlsChannel()).ok());
  // A different issuer and certificate: only a server that has reread both files satisfies the
  // client.
  ASSERT_TRUE(MakeCertificate("ca") && MakeCertificate("next", "ca"));
  std::filesystem::rename(Path("next.key"), Path("server.key"));
  std::filesystem::rename(Path("next.crt"), Path("server.crt"));
  while (!ListModels(TlsChannel()).ok()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

TEST_F(SecurityTest, APairThatDoesNotMatchLeavesTheOldInForce) {
  if (!MakeCertificate("ca") || !MakeCertificate("server", "ca") ||
      !MakeCertificate("next", "ca")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"), "--health-port",
         "0"});
  ASSERT_TRUE(ListModels(TlsChannel()).ok());
  std::filesystem::rename(Path("next.key"), Path("server.key"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  const absl::Time start = absl::Now();
  while (absl::Now() - start < absl::Seconds(7)) {  // longer than any period of rereading
    const grpc::Status status = ListModels(TlsChannel());
    ASSERT_TRUE(status.ok()) << status.error_message();
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  EXPECT_THAT(server_->AwaitLogLine("the old TLS certificate stays"), HasSubstr("server.key"));
  std::filesystem::rename(Path("next.crt"), Path("server.crt"));
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  EXPECT_TRUE(ListModels(TlsChannel()).ok());
  EXPECT_NE(server_->AwaitLogLine("is in force"), "");
}

TEST_F(SecurityTest, AnExpiredCertificateIsWarnedOf) {
  if (!OpenSsl(absl::StrCat("req -x509 -days 1 -newkey ec -pkeyopt "
                            "ec_paramgen_curve:prime256v1 -nodes -subj /CN=soon -out ",
                            Path("soon.crt"), " -keyout ", Path("soon.key"))) ||
      !OpenSsl(absl::StrCat("req -new -key ", Path("soon.key"), " -subj /CN=old -out ",
                            Path("old.csr"))) ||
      !OpenSsl(absl::StrCat("x509 -req -days -1 -in ", Path("old.csr"), " -signkey ",
                            Path("soon.key"), " -out ", Path("old.crt")))) {
    GTEST_SKIP() << "the program openssl is not installed, or makes no expired certificates";
  }
  Start(
      {"--tls-certificate", Path("soon.crt"), "--tls-key", Path("soon.key"), "--health-port", "0"});
  EXPECT_THAT(server_->AwaitLogLine("expires on"), HasSubstr("soon.crt"));
  Start(
      {"--tls-certificate", Path("old.crt"), "--tls-key", Path("soon.key"), "--health-port", "0"});
  EXPECT_THAT(server_->AwaitLogLine("expired on"), HasSubstr("old.crt"));
}

TEST_F(SecurityTest, BrokenTlsFilesEndTheStart) {
  if (!MakeCertificate("ca") || !MakeCertificate("other")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Write("broken.crt", "-----BEGIN CERTIFICATE-----\nnot really\n");
  for (const auto& [certificate, key] : std::vector<std::pair<std::string, std::string>>{
           {"broken.crt", "ca.key"}, {"ca.crt", "broken.crt"}, {"ca.crt", "other.key"}}) {
    const std::string errors = Path("errors");
    const int status =
        system(absl::StrCat(STYLEX_BIN_DIR, "/stylex-server --models ", models_->path(),
                            " --port 0 --tls-certificate ", Path(certificate), " --tls-key ",
                            Path(key), " >/dev/null 2>", errors)
                   .c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << certificate << " " << key;
    EXPECT_THAT(ReadFile(errors), HasSubstr(certificate == "broken.crt" ? certificate : key));
  }
}

TEST_F(SecurityTest, CallsNeedATokenAndHealthDoesNot) {
  Write("tokens", "alpha\n");
  Start({"--token-file", Path("tokens")});
  server_->AwaitLoaded();
  EXPECT_EQ(server_->Health("readiness"), HealthCheckResponse::SERVING);
  const auto channel = server_->NewChannel();
  EXPECT_TRUE(ListModels(channel, "Bearer alpha").ok());
  for (const char* wrong : {"", "Bearer beta", "alpha"}) {
    const grpc::Status status = ListModels(channel, wrong);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << wrong;
    EXPECT_EQ(ReasonOf(status), "UNAUTHENTICATED");
  }
  Write("tokens", "beta is longer\n");
  while (!ListModels(channel, "Bearer beta is longer").ok()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(ListModels(channel, "Bearer alpha").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(server_->Log(), Not(HasSubstr("alpha")));
}

// Runs the client with the server's address; its exit code, and what it printed in `out`.
int RunClient(const std::string& arguments, const std::string& address, std::string* out) {
  TemporaryFolder folder;
  const std::string file = folder / "out";
  const int status = system(absl::StrCat("env -i ", STYLEX_BIN_DIR, "/stylex ", arguments,
                                         " --timeout 10 --server ", address, " >", file, " 2>&1")
                                .c_str());
  *out = ReadFile(file);
  return WEXITSTATUS(status);
}

// The health port has neither TLS nor tokens: who reaches it must not be able to fill the memory.
TEST_F(SecurityTest, TheHealthPortTakesNoMoreThanItNeeds) {
  if (!MakeCertificate("server")) {
    GTEST_SKIP() << "openssl is not installed";
  }
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"), "--health-port",
         "0"});
  constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
  const std::string bomb = GzippedZeros(int64_t{1} << 28);
  const int64_t before = server_->PeakResidentKib();
  for (int i = 0; i < 5; ++i) {
    RawHttp2 packed(server_->address("health"));
    EXPECT_EQ(packed.Post(kCheck, {{"grpc-encoding", "gzip"}}, MessageFrame(bomb, true)),
              RawHttp2::End::kAnswered);
    EXPECT_EQ(packed.status(), grpc::StatusCode::UNIMPLEMENTED);
  }
  RawHttp2 honest(server_->address("health"));
  EXPECT_EQ(honest.Post(kCheck, {}, MessageFrame("", false)), RawHttp2::End::kAnswered);
  EXPECT_EQ(honest.status(), 0);
  RawHttp2 large(server_->address("health"));
  EXPECT_EQ(large.Post(kCheck, {}, MessageFrame(std::string(1 << 20, 'x'), false)),
            RawHttp2::End::kAnswered);
  EXPECT_EQ(large.status(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  RawHttp2 halves(server_->address("health"));
  EXPECT_GT(halves.PostHalves(kCheck, 100, 4 << 20), 0);
  // At most 16 of them at a time, and then gRPC closes connections that have none.
  EXPECT_LT((server_->PeakResidentKib() - before) >> 10, kMayGrowMib + 64);
  RawHttp2 after(server_->address("health"));
  EXPECT_EQ(after.Post(kCheck, {}, MessageFrame("", false)), RawHttp2::End::kAnswered);
}

TEST_F(SecurityTest, TheClientSpeaksTlsAndHasAToken) {
  if (!MakeCertificate("ca") || !MakeCertificate("server", "ca") ||
      !MakeCertificate("friend", "ca")) {
    GTEST_SKIP() << "the program openssl is not installed";
  }
  Write("tokens", "# ours\nalpha\n");
  Start({"--tls-certificate", Path("server.crt"), "--tls-key", Path("server.key"),
         "--tls-client-ca", Path("ca.crt"), "--token-file", Path("tokens"), "--health-port", "0"});
  const std::string ca = " --tls-ca " + Path("ca.crt");
  const std::string own = " --tls-cert " + Path("friend.crt") + " --tls-key " + Path("friend.key");
  const std::string token = " --token-file " + Path("tokens");
  std::string out;
  EXPECT_EQ(RunClient("models" + ca + own + token, server_->address(), &out), 0) << out;
  EXPECT_THAT(out, HasSubstr("tiny/1"));
  EXPECT_EQ(RunClient("models" + ca + own, server_->address(), &out), 1);
  EXPECT_THAT(out, HasSubstr("UNAUTHENTICATED"));
  EXPECT_EQ(RunClient("models" + ca + token, server_->address(), &out), 1);
  EXPECT_THAT(out, HasSubstr("UNAVAILABLE"));
  EXPECT_EQ(RunClient("models --tls-ca " + Path("none.crt"), server_->address(), &out), 1);
  EXPECT_THAT(out, HasSubstr("none.crt"));
  EXPECT_EQ(RunClient("models --tls-ca " + Path("tokens"), server_->address(), &out), 1);
  EXPECT_THAT(out, HasSubstr("PEM"));
}

TEST_F(SecurityTest, EveryCallLeavesALineAndNoPicture) {
  Start({"--audit-log", Path("audit")});
  server_->AwaitLoaded();
  v1::ClassifyRequest request;
  request.set_model("tiny");
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "call-7");
  context.AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  v1::ClassifyResponse response;
  ASSERT_TRUE(server_->stub().Classify(&context, request, &response).ok());
  const json line = json::parse(server_->AwaitLogLine("call-7"));
  EXPECT_EQ(line["method"], "Classify");
  EXPECT_EQ(line["model"], "tiny");
  EXPECT_EQ(line["code"], "OK");
  EXPECT_EQ(line["request_bytes"], request.ByteSizeLong());
  EXPECT_EQ(line["response_bytes"], response.ByteSizeLong());
  EXPECT_EQ(line["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_GT(line["compute_ms"], 0);
  EXPECT_LE(line["compute_ms"], line["total_ms"]);
  EXPECT_THAT(server_->Log(), Not(HasSubstr("PNG")));
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(), 0);
  const json audited = json::parse(ReadFile(Path("audit")));
  EXPECT_EQ(audited["request_id"], "call-7");
  EXPECT_EQ(audited["request_sha256"].get<std::string>().size(), 64u);
}

TEST_F(SecurityTest, WithoutAnAuditLogThereAreNoAnswers) {
  Start({"--audit-log", "/dev/full"});
  server_->AwaitLoaded();
  for (int i = 0; i < 3; ++i) {
    const grpc::Status status = ListModels(server_->NewChannel());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(status), "AUDIT_LOG");
  }
  EXPECT_EQ(server_->Health("liveness"), HealthCheckResponse::SERVING);
}

TEST_F(SecurityTest, MetricsTellOfCallsAndModels) {
  Start({"--metrics-port", "0"});
  server_->AwaitLoaded();
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(PngPicture(16, 16, 3, 20));
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  ASSERT_TRUE(server_->stub().Classify(&context, request, &response).ok());
  const std::string& address = server_->address("metrics");
  const std::string text = ReadMetrics(std::stoi(address.substr(address.rfind(':') + 1)));
  EXPECT_THAT(text, HasSubstr("stylex_requests_total{code=\"OK\",method=\"Classify\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_batch_size_sum{stage=\"classify\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_state 1"));
  EXPECT_THAT(text, HasSubstr("stylex_model_info{model=\"tiny\",version=\"1\",state=\"ready\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_model_load_seconds{model=\"tiny/1\"}"));
}

TEST_F(SecurityTest, AnOversizedMessageIsRefusedWithDetails) {
  Start({"--max-message-mib", "1"});
  server_->AwaitLoaded();
  v1::ClassifyRequest request;
  request.mutable_image()->set_data(std::string(3 << 19, 'x'));  // 1.5 MiB
  grpc::ClientContext context;
  v1::ClassifyResponse response;
  const grpc::Status status = server_->stub().Classify(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(status), "MESSAGE_TOO_LARGE");
  request.mutable_image()->set_data(std::string(3 << 20, 'x'));  // beyond what is read at all
  grpc::ClientContext second;
  EXPECT_EQ(server_->stub().Classify(&second, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(SecurityTest, OldConnectionsAreMadeAnewWithoutLosingCalls) {
  Start({"--max-connection-age", "1"});
  server_->AwaitLoaded();
  const auto channel = server_->NewChannel();
  std::set<std::string> peers;
  while (peers.size() < 3) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    v1::ListModelsResponse response;
    ASSERT_TRUE(v1::ExplanationService::NewStub(channel)->ListModels(&context, {}, &response).ok());
    const json line = json::parse(server_->AwaitLogLine(
        std::string(context.GetServerTrailingMetadata().find("x-request-id")->second.data(), 16)));
    peers.insert(line["peer"]);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace
}  // namespace stylex
