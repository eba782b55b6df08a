#include "server/telemetry/metrics.h"

#include <prometheus/text_serializer.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/errors.h"
#include "server/scheduling/idle_memory.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

const Histogram::BucketBoundaries& CallSeconds() {
  static const auto& buckets =
      *new Histogram::BucketBoundaries{0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60};
  return buckets;
}
const Histogram::BucketBoundaries& StepSeconds() {
  static const auto& buckets = *new Histogram::BucketBoundaries{
      0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 20};
  return buckets;
}
const Histogram::BucketBoundaries& BatchSizes() {
  static const auto& buckets =
      *new Histogram::BucketBoundaries{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128};
  return buckets;
}

std::string CodeName(const absl::Status& status) { return absl::StatusCodeToString(status.code()); }

bool WasStopped(const absl::Status& status) {
  return absl::IsCancelled(status) || absl::IsDeadlineExceeded(status);
}

MetricFamily GaugeFamily(const std::string& name, const std::string& help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = MetricType::Gauge;
  return family;
}

void AddValue(double value, std::vector<ClientMetric::Label> labels, MetricFamily* family) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family->metric.push_back(std::move(metric));
}

std::vector<MetricFamily> StateGauges(const ServerState& state) {
  MetricFamily lifecycle =
      GaugeFamily("stylex_state", "0 starting, 1 serving, 2 draining, 3 broken");
  AddValue(state.lifecycle, {}, &lifecycle);
  MetricFamily depth = GaugeFamily("stylex_queue_depth", "Calls that wait for a worker");
  AddValue(static_cast<double>(state.interactive_queue), {{"class", "interactive"}}, &depth);
  AddValue(static_cast<double>(state.explanation_queue), {{"class", "explanation"}}, &depth);
  AddValue(static_cast<double>(state.search_queue), {{"class", "search"}}, &depth);
  MetricFamily models = GaugeFamily("stylex_model_info", "1 for every model version there is");
  MetricFamily outdated = GaugeFamily(
      "stylex_model_outdated", "1 where a version serves that was exchanged for one that fails");
  for (const ServerState::Model& model : state.models) {
    AddValue(model.outdated ? 1 : 0,
             {{"model", model.name}, {"version", absl::StrCat(model.version)}}, &outdated);
    AddValue(
        1,
        {{"model", model.name}, {"version", absl::StrCat(model.version)}, {"state", model.state}},
        &models);
  }
  MetricFamily memory =
      GaugeFamily("process_resident_memory_bytes", "Memory of this process that is in RAM");
  AddValue(static_cast<double>(ResidentBytes()), {}, &memory);
  MetricFamily dropped =
      GaugeFamily("stylex_log_lines_dropped_total", "Log lines that could not be written");
  dropped.type = MetricType::Untyped;
  ClientMetric lines;
  lines.untyped.value = static_cast<double>(state.log_lines_dropped);
  dropped.metric.push_back(lines);
  return {lifecycle, depth, models, outdated, memory, dropped};
}

}  // namespace

// A table.
// NOLINTNEXTLINE(readability-function-size)
Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      requests_(BuildCounter()
                    .Name("stylex_requests_total")
                    .Help("Calls that ended, by method and status code")
                    .Register(*registry_)),
      request_duration_(BuildHistogram()
                            .Name("stylex_request_duration_seconds")
                            .Help("From a call's arrival to its end")
                            .Register(*registry_)),
      inflight_(BuildGauge()
                    .Name("stylex_inflight_requests")
                    .Help("Calls that arrived and have not ended")
                    .Register(*registry_)),
      queue_wait_(BuildHistogram()
                      .Name("stylex_queue_wait_seconds")
                      .Help("Waiting for the device: of a pass, or of a search's first turn")
                      .Register(*registry_)),
      batch_size_(BuildHistogram()
                      .Name("stylex_batch_size")
                      .Help("Images that were computed together")
                      .Register(*registry_)),
      stage_duration_(BuildHistogram()
                          .Name("stylex_stage_duration_seconds")
                          .Help("A batch on the device (classify, encode, styles, synthesize), a "
                                "call's search on the device (search), or what a call spent off "
                                "it, on decoding and encoding images (host)")
                          .Register(*registry_)),
      rejected_(BuildCounter()
                    .Name("stylex_rejected_total")
                    .Help("Calls that were refused before any work, by ErrorInfo's reason")
                    .Register(*registry_)),
      cancelled_(BuildCounter()
                     .Name("stylex_cancelled_total")
                     .Help("Calls that the client or a deadline ended, in the queue or at work")
                     .Register(*registry_)),
      dropped_(BuildCounter()
                   .Name("stylex_dropped_passes_total")
                   .Help("Passes that nobody wanted any more when their batch was formed")
                   .Register(*registry_)),
      counterfactuals_(BuildCounter()
                           .Name("stylex_counterfactual_found_total")
                           .Help("Answered Counterfactual calls, by whether the decision flipped")
                           .Register(*registry_)),
      evaluations_(BuildCounter()
                       .Name("stylex_search_candidates_total")
                       .Help("Classifier evaluations of answered Counterfactual calls")
                       .Register(*registry_)),
      load_duration_(BuildGauge()
                         .Name("stylex_model_load_seconds")
                         .Help("Loading, warming up and checking a model, or refusing it")
                         .Register(*registry_)) {
  BuildGauge()
      .Name("stylex_build_info")
      .Help("1; the version is a label")
      .Register(*registry_)
      .Add({{"version", STYLEX_VERSION}})
      .Set(1);
  dropped_.Add({});
  evaluations_.Add({});
}

absl::StatusOr<int> Metrics::Serve(const std::string& host, int port,
                                   std::function<ServerState()> state) {
  auto text = [registry = registry_, state = std::move(state)] {
    std::vector<MetricFamily> families = registry->Collect();
    for (MetricFamily& family : StateGauges(state())) {
      families.push_back(std::move(family));
    }
    return prometheus::TextSerializer().Serialize(families);
  };
  STYLEX_ASSIGN_OR_RETURN(endpoint_, MetricsEndpoint::Open(host, port, std::move(text)));
  return endpoint_->port();
}

void Metrics::OnStarted(const char* method) { inflight_.Add({{"method", method}}).Increment(); }

void Metrics::OnFinished(const CallRecord& record) {
  inflight_.Add({{"method", record.method}}).Decrement();
  requests_.Add({{"method", record.method}, {"code", CodeName(record.status)}}).Increment();
  request_duration_.Add({{"method", record.method}}, CallSeconds())
      .Observe(absl::ToDoubleSeconds(record.total));
  CountEnd(record);
  TimeStages(record);
}

void Metrics::CountEnd(const CallRecord& record) {
  const bool never_queued = record.reason == kDeadlineTooShort;
  if (absl::IsUnavailable(record.status) || absl::IsUnauthenticated(record.status) ||
      never_queued) {
    rejected_.Add({{"reason", record.reason}}).Increment();
  }
  if (WasStopped(record.status) && !never_queued) {
    const char* where = record.computed > absl::ZeroDuration() ? "compute" : "queue";
    cancelled_.Add({{"method", record.method}, {"where", where}}).Increment();
  }
  const auto* found = dynamic_cast<const v1::CounterfactualResponse*>(record.response);
  if (found != nullptr && record.status.ok()) {
    counterfactuals_.Add({{"found", found->flipped() ? "true" : "false"}}).Increment();
    evaluations_.Add({}).Increment(static_cast<double>(found->evaluations()));
  }
}

void Metrics::TimeStages(const CallRecord& record) {
  if (record.computed <= absl::ZeroDuration()) {
    return;
  }
  const auto observe = [this](const char* stage, absl::Duration duration) {
    stage_duration_.Add({{"stage", stage}}, StepSeconds()).Observe(absl::ToDoubleSeconds(duration));
  };
  observe("host", record.total - record.queued - record.computed);
  const std::string method = record.method;
  if (method == "FindAttributes" || method == "Counterfactual") {
    observe("search", record.computed);
  }
}

void Metrics::OnBatch(const char* stage, size_t size, absl::Duration computed) {
  batch_size_.Add({{"stage", stage}}, BatchSizes()).Observe(static_cast<double>(size));
  stage_duration_.Add({{"stage", stage}}, StepSeconds()).Observe(absl::ToDoubleSeconds(computed));
}

void Metrics::OnWaited(bool interactive, absl::Duration waited) {
  queue_wait_.Add({{"class", interactive ? "interactive" : "search"}}, StepSeconds())
      .Observe(absl::ToDoubleSeconds(waited));
}

void Metrics::OnDropped() { dropped_.Add({}).Increment(); }

void Metrics::OnLoaded(const std::string& model, absl::Duration took) {
  load_duration_.Add({{"model", model}}).Set(absl::ToDoubleSeconds(took));
}

}  // namespace stylex
