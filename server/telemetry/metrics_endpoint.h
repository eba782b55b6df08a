// A port that answers GET /metrics in Prometheus' text format, and nothing else.
//
// prometheus-cpp's own Exposer cannot be used here: its web server starts threads with stacks that
// are smaller than the thread-local storage of the libraries LibTorch brings along.
//
// One thread, one client after the other; a client that is slow to ask or to read is let go after a
// second. Thread-safe.
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
  // Listens at `host`, `port` (0: any free one). `text` gives what is answered; called on the
  // endpoint's thread until the destruction. UNAVAILABLE when the address cannot be bound.
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
  int stop_[2];  // a pipe: readable when the end has come
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_METRICS_ENDPOINT_H_
