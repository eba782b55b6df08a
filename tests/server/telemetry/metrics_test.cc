#include "server/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "absl/time/clock.h"
#include "server/rpc/errors.h"
#include "stylex/v1/explanation.pb.h"
#include "tests/server/telemetry/http_metrics.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    const auto port = metrics_.Serve("127.0.0.1", 0, [this] { return state_; });
    EXPECT_TRUE(port.ok()) << port.status();
    port_ = port.value_or(0);
  }
  static CallRecord Call(const char* method, const absl::Status& status) {
    CallRecord record;
    record.method = method;
    record.status = status;
    record.reason = ReasonOfError(status);
    record.queued = absl::Milliseconds(1);
    record.total = absl::Milliseconds(30);
    return record;
  }
  std::string Read() const { return ReadMetrics(port_); }

  ServerState state_;
  Metrics metrics_;
  int port_ = 0;
};

TEST_F(MetricsTest, CallsAreCountedByMethodAndCode) {
  metrics_.OnStarted("Encode");
  metrics_.OnStarted("Encode");
  EXPECT_THAT(Read(), HasSubstr("stylex_inflight_requests{method=\"Encode\"} 2"));
  metrics_.OnFinished(Call("Encode", absl::OkStatus()));
  metrics_.OnFinished(Call("Encode", QueueFullError()));
  const std::string text = Read();
  EXPECT_THAT(text, HasSubstr("stylex_inflight_requests{method=\"Encode\"} 0"));
  EXPECT_THAT(text, HasSubstr("stylex_requests_total{code=\"OK\",method=\"Encode\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_requests_total{code=\"UNAVAILABLE\",method=\"Encode\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_rejected_total{reason=\"QUEUE_FULL\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("stylex_request_duration_seconds_bucket{method=\"Encode\",le=\"0.02\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("stylex_request_duration_seconds_bucket{method=\"Encode\",le=\"0.05\"} 2"));
}

TEST_F(MetricsTest, ACallThatWasNeverQueuedIsRejectedAndNotCancelled) {
  metrics_.OnStarted("Encode");
  metrics_.OnFinished(Call("Encode", DeadlineTooShortError(absl::Seconds(2))));
  const std::string text = Read();
  EXPECT_THAT(text, HasSubstr("stylex_rejected_total{reason=\"DEADLINE_TOO_SHORT\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("stylex_cancelled_total{method=\"Encode\"")));
}

TEST_F(MetricsTest, StoppedCallsTellWhere) {
  CallRecord record = Call("FindAttributes", absl::CancelledError("gone"));
  metrics_.OnStarted("FindAttributes");
  metrics_.OnFinished(record);
  record.computed = absl::Milliseconds(5);
  metrics_.OnStarted("FindAttributes");
  metrics_.OnFinished(record);
  const std::string text = Read();
  EXPECT_THAT(text,
              HasSubstr("stylex_cancelled_total{method=\"FindAttributes\",where=\"queue\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("stylex_cancelled_total{method=\"FindAttributes\",where=\"compute\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_stage_duration_seconds_count{stage=\"search\"} 1"));
}

TEST_F(MetricsTest, CounterfactualsAreCountedByOutcome) {
  v1::CounterfactualResponse response;
  response.set_flipped(true);
  response.set_evaluations(40);
  CallRecord record = Call("Counterfactual", absl::OkStatus());
  record.response = &response;
  metrics_.OnStarted("Counterfactual");
  metrics_.OnFinished(record);
  const std::string text = Read();
  EXPECT_THAT(text, HasSubstr("stylex_counterfactual_found_total{found=\"true\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_search_candidates_total 40"));
}

TEST_F(MetricsTest, TheDeviceTellsOfBatchesAndWaits) {
  metrics_.OnBatch("encode", 8, absl::Milliseconds(3));
  metrics_.OnWaited(/*interactive=*/true, absl::Milliseconds(1));
  metrics_.OnWaited(/*interactive=*/false, absl::Seconds(1));
  metrics_.OnDropped();
  metrics_.OnLoaded("fashion/1", absl::Milliseconds(250));
  const std::string text = Read();
  EXPECT_THAT(text, HasSubstr("stylex_batch_size_sum{stage=\"encode\"} 8"));
  EXPECT_THAT(text, HasSubstr("stylex_stage_duration_seconds_count{stage=\"encode\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_queue_wait_seconds_count{class=\"interactive\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_queue_wait_seconds_count{class=\"search\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_dropped_passes_total 1"));
  EXPECT_THAT(text, HasSubstr("stylex_model_load_seconds{model=\"fashion/1\"} 0.25"));
}

TEST_F(MetricsTest, GaugesAreThoseOfTheMoment) {
  state_ = {.lifecycle = 1,
            .interactive_queue = 3,
            .search_queue = 2,
            .models = {{"fashion", 2, "ready", /*outdated=*/true}, {"fashion", 1, "failed"}},
            .log_lines_dropped = 5};
  std::string text = Read();
  EXPECT_THAT(text, HasSubstr("stylex_state 1"));
  EXPECT_THAT(text, HasSubstr("stylex_queue_depth{class=\"interactive\"} 3"));
  EXPECT_THAT(text, HasSubstr("stylex_queue_depth{class=\"search\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("stylex_model_info{model=\"fashion\",version=\"2\",state=\"ready\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_model_outdated{model=\"fashion\",version=\"2\"} 1"));
  EXPECT_THAT(text, HasSubstr("stylex_model_outdated{model=\"fashion\",version=\"1\"} 0"));
  EXPECT_THAT(text, HasSubstr("stylex_log_lines_dropped_total 5"));
  EXPECT_THAT(text, HasSubstr("stylex_build_info{version="));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
  state_.models.clear();
  EXPECT_THAT(Read(), Not(HasSubstr("stylex_model_info{")));
}

TEST_F(MetricsTest, NothingButMetricsIsAnswered) {
  EXPECT_THAT(ReadMetrics(port_, "GET / HTTP/1.1\r\n\r\n"), HasSubstr("404"));
  EXPECT_THAT(ReadMetrics(port_, "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
              HasSubstr("404"));
  EXPECT_THAT(ReadMetrics(port_, std::string(20000, 'x') + "\r\n\r\n"), Not(HasSubstr("200 OK")));
  EXPECT_THAT(Read(), HasSubstr("200 OK"));
}

TEST_F(MetricsTest, ASilentClientDoesNotKeepTheOthersOut) {
  const int silent = ConnectTo(port_);
  EXPECT_THAT(Read(), HasSubstr("200 OK"));
  close(silent);
}

// One byte each half second.
TEST_F(MetricsTest, ASlowClientHasFiveSecondsAndKeepsNobodyOut) {
  const absl::Time start = absl::Now();
  const int slow = ConnectTo(port_);
  const std::string request = "GET /metrics HTTP/1.1\r\nX: " + std::string(1000, 'x');
  size_t sent = 0;
  char answer[256];
  ssize_t got = -1;  // 0 or an error other than "nothing yet": the server has closed
  while (got < 0 && sent < request.size()) {
    sent += send(slow, &request[sent], 1, MSG_NOSIGNAL) == 1 ? 1 : request.size();
    EXPECT_THAT(Read(), HasSubstr("200 OK"));
    absl::SleepFor(absl::Milliseconds(500));
    got = recv(slow, answer, sizeof(answer), MSG_DONTWAIT);
    got = got < 0 && errno != EAGAIN ? 0 : got;
  }
  EXPECT_LT(sent, 40u);
  EXPECT_GT(absl::Now() - start, absl::Seconds(4));
  close(slow);
}

TEST(MetricsPortTest, AnOpenConnectionDoesNotDelayTheEnd) {
  auto metrics = std::make_unique<Metrics>();
  const auto port = metrics->Serve("127.0.0.1", 0, [] { return ServerState(); });
  ASSERT_TRUE(port.ok());
  const int silent = ConnectTo(*port);
  ReadMetrics(*port);
  const absl::Time start = absl::Now();
  metrics.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(4));
  close(silent);
}

TEST(MetricsPortTest, AddressesOfIPv6MayStandInBrackets) {
  for (const char* host : {"[::1]", "::1"}) {
    Metrics metrics;
    const auto port = metrics.Serve(host, 0, [] { return ServerState(); });
    EXPECT_TRUE(port.ok()) << port.status();
  }
}

TEST(MetricsPortTest, ATakenPortIsAnError) {
  Metrics first, second;
  const auto port = first.Serve("127.0.0.1", 0, [] { return ServerState(); });
  ASSERT_TRUE(port.ok());
  const auto taken = second.Serve("127.0.0.1", *port, [] { return ServerState(); });
  EXPECT_TRUE(absl::IsUnavailable(taken.status())) << taken.status();
}

}  // namespace
}  // namespace stylex
