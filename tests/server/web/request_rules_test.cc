#include "server/web/request_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

using ::testing::Contains;

RequestRules OfPort8080() {
  return {.hosts = HostsOf("127.0.0.1", 8080, " Stylex.example.org,other:81"),
          .most_body_bytes = 1000};
}

httplib::Request GoodPost() {
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/models/leaves:classify";
  request.headers = {{"Host", "localhost:8080"},
                     {"Origin", "http://localhost:8080"},
                     {"Content-Type", "application/json; charset=utf-8"},
                     {"Content-Length", "1000"}};
  return request;
}

int CodeOf(const httplib::Request& request) {
  const std::optional<Refusal> refusal = RefusalOf(OfPort8080(), request);
  return refusal.has_value() ? refusal->code : 200;
}

// The good request with one header exchanged, or left out.
httplib::Request With(const std::string& header, const std::string& value) {
  httplib::Request request = GoodPost();
  request.headers.erase(header);
  if (!value.empty()) {
    request.headers.emplace(header, value);
  }
  return request;
}

TEST(RequestRulesTest, AProperRequestIsAnswered) {
  EXPECT_EQ(CodeOf(GoodPost()), 200);
  httplib::Request get;
  get.method = "GET";
  get.path = "/";
  for (const char* host : {"localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LocalHost:8080",
                           "stylex.example.org", "stylex.example.org:8080", "other:81"}) {
    get.headers = {{"Host", host}};
    EXPECT_EQ(CodeOf(get), 200) << host;
  }
}

TEST(RequestRulesTest, AnotherHostIsMisdirected) {
  for (const char* host : {"", "evil.example", "localhost", "localhost:80", "localhost:8080.evil",
                           "127.0.0.1.evil.example:8080", "192.168.0.1:8080", "other:82"}) {
    EXPECT_EQ(CodeOf(With("Host", host)), 421) << host;
  }
  httplib::Request twice = GoodPost();
  twice.headers.emplace("Host", "localhost:8080");
  EXPECT_EQ(CodeOf(twice), 421);
}

TEST(RequestRulesTest, TheOriginIsThePagesOwn) {
  EXPECT_EQ(CodeOf(With("Origin", "https://localhost:8080")), 200) << "behind a proxy with TLS";
  for (const char* origin :
       {"", "null", "http://evil.example", "http://127.0.0.1:8080", "http://localhost:8081",
        "http://localhost:8080.evil.example", "localhost:8080", "ftp://localhost:8080"}) {
    EXPECT_EQ(CodeOf(With("Origin", origin)), 403) << origin;
  }
  httplib::Request twice = GoodPost();
  twice.headers.emplace("Origin", "http://localhost:8080");
  EXPECT_EQ(CodeOf(twice), 403);
}

// What a form of another site can send without asking first.
TEST(RequestRulesTest, OnlyJsonIsTaken) {
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data; boundary=x", "application/jsonp"}) {
    EXPECT_EQ(CodeOf(With("Content-Type", type)), 415) << type;
  }
  EXPECT_EQ(CodeOf(With("Content-Encoding", "gzip")), 415);
}

TEST(RequestRulesTest, TheSizeIsToldBefore) {
  EXPECT_EQ(CodeOf(With("Content-Length", "1001")), 413);
  EXPECT_EQ(CodeOf(With("Content-Length", "99999999999999999999999")), 413);
  for (const char* length : {"", "-1", "+5", "5 ", "0x10", "many"}) {
    EXPECT_EQ(CodeOf(With("Content-Length", length)), 411) << length;
  }
  EXPECT_EQ(CodeOf(With("Transfer-Encoding", "chunked")), 411);
  httplib::Request twice = GoodPost();
  twice.headers.emplace("Content-Length", "10");
  EXPECT_EQ(CodeOf(twice), 411);
}

TEST(RequestRulesTest, OtherMethodsAreNot) {
  for (const char* method : {"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PRI"}) {
    httplib::Request request = GoodPost();
    request.method = method;
    EXPECT_EQ(CodeOf(request), 405) << method;
  }
}

TEST(RequestRulesTest, LoopbackIsThisMachineAlone) {
  for (const char* host : {"localhost", "127.0.0.1", "127.3.2.1", "::1", "[::1]"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"", "0.0.0.0", "::", "192.168.0.1", "127.evil.example", "localhost.evil"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(RequestRulesTest, HostsAreThoseOfTheAddressAndTheNamedOnes) {
  EXPECT_THAT(HostsOf("127.0.0.1", 80, ""), Contains("localhost"));
  EXPECT_THAT(HostsOf("127.0.0.1", 443, ""), Contains("localhost"));
  EXPECT_THAT(HostsOf("0.0.0.0", 8080, "a.example"),
              testing::ElementsAre("a.example", "a.example:8080"));
  EXPECT_THAT(HostsOf("[::1]", 8080, ""), Contains("[::1]:8080"));
}

}  // namespace
}  // namespace stylex
