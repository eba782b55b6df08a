// TLS on HttpServer's connections, spoken by cpp-httplib's client.
#include "server/http/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "base/file.h"
#include "server/http/http_server.h"
#include "tests/server/http/certificates.h"
#include "tests/server/http/http_client.h"
#include "tests/temporary_folder.h"

namespace stylex {
namespace {

class TlsContextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"server", "friend", "stranger"}) {
      if (!MakeCertificate(folder_.path(), name)) {
        GTEST_SKIP() << "the program openssl is not installed";
      }
    }
    server_.Get("/large", [](const httplib::Request& request, httplib::Response& answer) {
      answer.set_content(std::string(3'000'000, 'x') + request.remote_addr, "text/plain");
    });
    server_.Post("/count", [](const httplib::Request& request, httplib::Response& answer) {
      answer.set_content(std::to_string(request.body.size()), "text/plain");
    });
  }
  std::string Text(const std::string& name) const {
    return ReadFile(folder_ / name, 1 << 20).value();
  }
  void Start(const std::string& client_ca = "") {
    const auto context =
        MakeTlsContext({Text("server.crt"), Text("server.key"), client_ca}).value();
    server_.UseTls([context] { return context; });
    port_ = server_.Bind("127.0.0.1", 0, "a test").value();
    server_.Start();
  }
  // A client that trusts the server, and has a certificate of its own if `name` is not empty.
  std::unique_ptr<httplib::SSLClient> Client(const std::string& name = "") const {
    const std::string path = folder_ / name;
    auto client = name.empty() ? std::make_unique<httplib::SSLClient>("localhost", port_)
                               : std::make_unique<httplib::SSLClient>("localhost", port_,
                                                                      path + ".crt", path + ".key");
    client->set_ca_cert_path((folder_ / "server.crt").c_str());
    client->enable_server_certificate_verification(true);
    return client;
  }

  TemporaryFolder folder_;
  HttpServer server_{HttpLimits{.network = absl::Seconds(3), .most_bytes = 4'000'000}};
  int port_ = 0;
};

TEST_F(TlsContextTest, LargeRequestsAndAnswersPass) {
  Start();
  const auto large = Client()->Get("/large");
  ASSERT_TRUE(large) << httplib::to_string(large.error());
  EXPECT_EQ(large->body, std::string(3'000'000, 'x') + "127.0.0.1");
  const auto counted = Client()->Post("/count", std::string(2'000'000, 'y'), "text/plain");
  ASSERT_TRUE(counted) << httplib::to_string(counted.error());
  EXPECT_EQ(counted->body, "2000000");
}

TEST_F(TlsContextTest, OnlyClientsWithACertificateOfTheIssuerWhereOneIsWanted) {
  Start(Text("friend.crt"));
  EXPECT_TRUE(Client("friend")->Get("/large"));
  EXPECT_FALSE(Client("stranger")->Get("/large"));
  EXPECT_FALSE(Client()->Get("/large"));
}

TEST_F(TlsContextTest, WhoSpeaksNoTlsGetsNothingAndHoldsUpNobody) {
  Start();
  EXPECT_THAT(AnswerTo(port_, "GET /large HTTP/1.1\r\n\r\n"),
              testing::Not(testing::HasSubstr("HTTP")));
  const int silent = ConnectTo(port_);
  const absl::Time start = absl::Now();
  EXPECT_TRUE(Client()->Get("/large"));
  (void)ReadToEnd(silent);  // it is cut
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  close(silent);
}

TEST_F(TlsContextTest, WhatDoesNotBelongTogetherIsNamed) {
  const auto refusal = [](const TlsTexts& texts) {
    return std::string(MakeTlsContext(texts).status().message());
  };
  EXPECT_EQ(refusal({"text", Text("server.key"), ""}), "TLS cannot use the certificate");
  EXPECT_EQ(refusal({Text("server.crt"), Text("friend.key"), ""}),
            "TLS cannot use the private key");
  EXPECT_EQ(refusal({Text("server.crt"), Text("server.key"), "text"}),
            "TLS cannot use the certificate of the clients' issuer");
}

}  // namespace
}  // namespace stylex
