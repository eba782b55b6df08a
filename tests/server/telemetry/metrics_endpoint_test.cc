#include "server/telemetry/metrics_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::unique_ptr<MetricsEndpoint> OpenWith(std::function<std::string()> text) {
  return MetricsEndpoint::Open("127.0.0.1", 0, std::move(text)).value();
}

TEST(MetricsEndpointTest, AnswersWithWhatTheFunctionSaysNow) {
  std::atomic<int> calls = 0;
  const auto endpoint = OpenWith([&] { return absl::StrCat("calls ", ++calls, "\n"); });
  const std::string first = ReadMetrics(endpoint->port());
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(first, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(first, EndsWith("\r\n\r\ncalls 1\n"));
  EXPECT_THAT(ReadMetrics(endpoint->port(), "GET /metrics?name=a HTTP/1.0\r\n\r\n"),
              EndsWith("calls 2\n"));
}

TEST(MetricsEndpointTest, KnowsNothingElse) {
  bool called = false;
  const auto endpoint = OpenWith([&] {
    called = true;
    return std::string("secret");
  });
  const auto answer = [&](const char* request) { return ReadMetrics(endpoint->port(), request); };
  for (const char* request : {"GET / HTTP/1.1\r\n\r\n", "GET /metricsx HTTP/1.1\r\n\r\n"}) {
    EXPECT_THAT(answer(request), StartsWith("HTTP/1.1 404 Not Found\r\n")) << request;
  }
  for (const char* request : {"get /metrics HTTP/1.1\r\n\r\n", "\r\n\r\n"}) {
    EXPECT_THAT(answer(request), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << request;
  }
  // It does not say how long its body is: the connection is closed.
  EXPECT_EQ(answer("POST /metrics HTTP/1.1\r\n\r\n"), "");
  EXPECT_FALSE(called);
}

TEST(MetricsEndpointTest, AHeadWithoutEndIsRefused) {
  const auto endpoint = OpenWith([] { return std::string("text"); });
  EXPECT_THAT(
      ReadMetrics(endpoint->port(), "GET /nowhere HTTP/1.1\r\nX: " + std::string(9000, 'x')),
      testing::AnyOf("", StartsWith("HTTP/1.1 404")));
  EXPECT_THAT(ReadMetrics(endpoint->port()), EndsWith("text")) << "and the next one is served";
}

TEST(MetricsEndpointTest, ALargeAnswerArrivesWhole) {
  const std::string text(3'000'000, 'm');
  const auto endpoint = OpenWith([&] { return text; });
  const std::string answer = ReadMetrics(endpoint->port());
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, text.size());
}

TEST(MetricsEndpointTest, ASilentClientHoldsUpNobodyForLong) {
  const auto endpoint = OpenWith([] { return std::string("text"); });
  const int silent = ConnectTo(endpoint->port());
  const absl::Time start = absl::Now();
  EXPECT_THAT(ReadMetrics(endpoint->port()), EndsWith("text"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  close(silent);
}

// One byte at a time keeps every single read short.
TEST(MetricsEndpointTest, ATricklingClientHoldsUpNobodyForLong) {
  const auto endpoint = OpenWith([] { return std::string("text"); });
  const int slow = ConnectTo(endpoint->port());
  std::atomic<bool> ended = false;
  std::thread trickle([&] {
    const absl::Time give_up = absl::Now() + absl::Seconds(30);
    while (!ended && absl::Now() < give_up) {
      if (send(slow, "x", 1, MSG_NOSIGNAL) < 0) {
        return;
      }
      absl::SleepFor(absl::Milliseconds(100));
    }
  });
  absl::SleepFor(absl::Milliseconds(300));
  const absl::Time start = absl::Now();
  EXPECT_THAT(ReadMetrics(endpoint->port()), EndsWith("text"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(15));
  ended = true;
  trickle.join();
  close(slow);
}

// More connections that say nothing than there are threads: a scrape comes through all the same,
// well within the ten seconds that Prometheus gives it.
TEST(MetricsEndpointTest, ManySilentClientsHoldUpNobodyForLong) {
  const auto endpoint = OpenWith([] { return std::string("text"); });
  for (const int count : {40, 150}) {
    std::vector<int> silent;
    for (int i = 0; i < count; ++i) {
      silent.push_back(ConnectTo(endpoint->port()));
    }
    absl::SleepFor(absl::Milliseconds(200));
    std::string answer;
    const absl::Time start = absl::Now();
    while (answer.empty() && absl::Now() < start + absl::Seconds(9)) {
      answer = ReadMetrics(endpoint->port());  // one too many: closed at once, and asked again
      absl::SleepFor(absl::Milliseconds(50));
    }
    EXPECT_THAT(answer, EndsWith("text")) << count;
    for (const int socket : silent) {
      close(socket);
    }
  }
}

TEST(MetricsEndpointTest, SaysWhereItCannotListen) {
  const auto endpoint = OpenWith([] { return std::string(); });
  const absl::Status taken =
      MetricsEndpoint::Open("127.0.0.1", endpoint->port(), [] { return std::string(); }).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(taken.message(),
              HasSubstr(absl::StrCat("cannot listen on 127.0.0.1:", endpoint->port())));
  const absl::Status unknown =
      MetricsEndpoint::Open("no such host.invalid", 0, [] { return std::string(); }).status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(unknown.message(), HasSubstr("no such host.invalid"));
}

}  // namespace
}  // namespace stylex
