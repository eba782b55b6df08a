// An HTTP port that only answers GET /metrics, in Prometheus' text format.
//
// prometheus-cpp's Exposer cannot be used: its web server starts threads whose stacks are smaller
// than the thread-local storage of LibTorch's libraries.
//
// One thread serves one client at a time; clients that take more than a second for their request,
// or for the answer, are disconnected. Thread-safe.
#ifndef STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
#define STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"

namespace stylex {

class MetricsEndpoint {
 public:
  // Listens at `host`, `port` (0: any free one). `text` returns the answer; it is called on the
  // endpoint's thread until destruction. UNAVAILABLE when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Open(const std::string& host, int port,
                                                               std::function<std::string()> text);
  ~MetricsEndpoint();
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  int port() const { return port_; }

 private:
  MetricsEndpoint(int listener, int port, std::function<std::string()> text);
  void Listen() const;
  void Answer(int client) const;

  const int listener_;
  const int port_;
  const std::function<std::string()> text_;
  int stop_[2];  // a pipe: readable when the thread must end
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
