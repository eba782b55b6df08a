// An HTTP port that only answers GET /metrics, in Prometheus' text format.
//
// prometheus-cpp's Exposer cannot be used: its web server starts threads whose stacks are smaller
// than the thread-local storage of LibTorch's libraries.
//
// A request has five seconds from its first to its last byte, answer included, however slowly the
// client sends or reads (server/http/http_server.h). Thread-safe.
#ifndef STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
#define STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace stylex {

class HttpServer;

class MetricsEndpoint {
 public:
  // Listens at `host` (a name or an address, IPv6 also in brackets), `port` (0: any free one).
  // `text` returns the answer; it is called on the endpoint's threads, also concurrently, until
  // destruction. UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Open(const std::string& host, int port,
                                                               std::function<std::string()> text);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  int port() const { return port_; }

 private:
  MetricsEndpoint(std::unique_ptr<HttpServer> server, int port);

  const std::unique_ptr<HttpServer> server_;
  const int port_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
