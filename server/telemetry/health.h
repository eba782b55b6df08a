// grpc.health.v1.Health, for load balancers, container platforms and people.
//
// Replaces gRPC's own health service, which reports SERVING from the start, shares no state between
// ports and has no lifecycle states. Known names: "" and the service's full name (both as
// `readiness`), `startup`, `readiness`, `liveness`, and `model:NAME`. Never waits for a worker, so
// that a busy server does not appear dead. Thread-safe.
#ifndef STYLEX_SERVER_TELEMETRY_HEALTH_H_
#define STYLEX_SERVER_TELEMETRY_HEALTH_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace stylex {

// State of the whole server.
//
//              startup       readiness     liveness
//   kStarting  NOT_SERVING   NOT_SERVING   SERVING
//   kServing   SERVING       SERVING*      SERVING      * while at least one model is ready
//   kDraining  SERVING       NOT_SERVING   SERVING
//   kBroken    SERVING       NOT_SERVING   NOT_SERVING
enum class Lifecycle { kStarting, kServing, kDraining, kBroken };

class HealthService : public grpc::health::v1::Health::CallbackService {
 public:
  // `service_name`: the full name of the service whose state is readiness.
  explicit HealthService(std::string service_name);

  // The lifecycle only moves forward: earlier states are ignored.
  void SetLifecycle(Lifecycle lifecycle);
  // The state now.
  Lifecycle lifecycle() const;
  // Sets whether a model of this name is ready; makes the name known.
  void SetModel(const std::string& name, bool ready);
  // Ends all watches, so that grpc::Server::Shutdown does not wait for them. New ones are refused
  // afterwards.
  void EndWatches();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  class Watcher;

  // NOT_FOUND for unknown names.
  absl::Status Answer(const std::string& name,
                      grpc::health::v1::HealthCheckResponse* response) const;
  // SERVICE_UNKNOWN for unknown names. Needs no memory: watches are told where nothing may throw.
  Status StatusOf(absl::string_view name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ready() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Notify() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(Watcher* watcher);

  const std::string service_name_;
  mutable Mutex mutex_;
  Lifecycle lifecycle_ ABSL_GUARDED_BY(mutex_) = Lifecycle::kStarting;
  std::map<std::string, bool, std::less<>> models_ ABSL_GUARDED_BY(mutex_);
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_HEALTH_H_
