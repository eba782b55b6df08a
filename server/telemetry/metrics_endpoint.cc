#include "server/telemetry/metrics_endpoint.h"

#include <utility>

#include "base/status_macros.h"
#include "server/http/http_server.h"

namespace stylex {
namespace {

// While all threads are taken and others wait, a connection gets less time, and no more than
// `most_waiting` may wait: whoever opens many and sends nothing then delays a scrape by some four
// seconds at most.
constexpr HttpLimits kScrapes = {.threads = 8,
                                 .most_waiting = 64,
                                 .network = absl::Seconds(5),
                                 .when_others_wait = absl::Milliseconds(500),
                                 .most_bytes = 32 << 10};
constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Open(
    const std::string& host, int port, std::function<std::string()> text) {
  auto server = std::make_unique<HttpServer>(kScrapes);
  server->set_payload_max_length(1024);
  server->Get("/metrics",
              [text = std::move(text)](const httplib::Request&, httplib::Response& answer) {
                answer.set_content(text(), kContentType);
              });
  server->set_error_handler([](const httplib::Request&, httplib::Response& answer) {
    answer.set_content("only GET /metrics is answered here\n", kContentType);
  });
  STYLEX_ASSIGN_OR_RETURN(const int bound, server->Bind(host, port, "metrics"));
  server->Start();
  return std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint(std::move(server), bound));
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<HttpServer> server, int port)
    : server_(std::move(server)), port_(port) {}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace stylex
