// The server's metrics for Prometheus, at http://HOST:PORT/metrics.
//
// Counters and histograms are updated as calls and device events happen; gauges are computed when
// the metrics are read. Durations are in seconds, sizes in bytes. Label values come from fixed
// sets, and from the models' names. Thread-safe.
#ifndef STYLEX_SERVER_TELEMETRY_METRICS_H_
#define STYLEX_SERVER_TELEMETRY_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/rpc/call_record.h"
#include "server/scheduling/device_scheduler.h"
#include "server/telemetry/metrics_endpoint.h"

namespace stylex {

// The state behind the gauges.
struct ServerState {
  int lifecycle = 0;  // 0 starting, 1 serving, 2 draining, 3 broken
  size_t interactive_queue = 0;
  size_t explanation_queue = 0;
  size_t search_queue = 0;
  struct Model {
    std::string name;
    int64_t version = 0;
    std::string state;      // "ready", "loading", "failed"
    bool outdated = false;  // ready, but what is in the folder now did not load
  };
  std::vector<Model> models = {};
  int64_t log_lines_dropped = 0;
};

class Metrics : public CallObserver, public DeviceObserver {
 public:
  Metrics();

  // Starts answering at `host`, `port` (0: any free one) and returns the port. UNAVAILABLE when the
  // address cannot be bound. `state` must be callable until Stop. Call at most once.
  absl::StatusOr<int> Serve(const std::string& host, int port, std::function<ServerState()> state);
  // Stops answering; `state` is not called afterwards.
  void Stop() { endpoint_.reset(); }

  void OnStarted(const char* method) override;
  void OnFinished(const CallRecord& record) override;
  void OnBatch(const char* stage, size_t size, absl::Duration computed) override;
  void OnWaited(bool interactive, absl::Duration waited) override;
  void OnDropped() override;
  // A model was loaded (or refused).
  void OnLoaded(const std::string& model, absl::Duration took);

 private:
  void CountEnd(const CallRecord& record);
  void TimeStages(const CallRecord& record);

  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& request_duration_;
  prometheus::Family<prometheus::Gauge>& inflight_;
  prometheus::Family<prometheus::Histogram>& queue_wait_;
  prometheus::Family<prometheus::Histogram>& batch_size_;
  prometheus::Family<prometheus::Histogram>& stage_duration_;
  prometheus::Family<prometheus::Counter>& rejected_;
  prometheus::Family<prometheus::Counter>& cancelled_;
  prometheus::Family<prometheus::Counter>& dropped_;
  prometheus::Family<prometheus::Counter>& counterfactuals_;
  prometheus::Family<prometheus::Counter>& evaluations_;
  prometheus::Family<prometheus::Gauge>& load_duration_;
  std::unique_ptr<MetricsEndpoint> endpoint_;  // last: it uses the other members
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_METRICS_H_
