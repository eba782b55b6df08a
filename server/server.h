// The whole server: models, workers, health and the listening socket, from start to shutdown.
//
//   STYLEX_ASSIGN_OR_RETURN(std::unique_ptr<Server> server, Server::Start(options));
//   // server->port() answers now; models load in the background.
//   server->Drain();  // finishes what runs
#ifndef STYLEX_SERVER_SERVER_H_
#define STYLEX_SERVER_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <torch/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/options.h"
#include "server/repository/model_repository.h"
#include "server/rpc/call_runner.h"
#include "server/rpc/decoding_memory.h"
#include "server/rpc/refused_calls.h"
#include "server/rpc/transport_security.h"
#include "server/scheduling/device_scheduler.h"
#include "server/scheduling/idle_memory.h"
#include "server/scheduling/memory_budget.h"
#include "server/scheduling/stall_watchdog.h"
#include "server/scheduling/worker_pool.h"
#include "server/service.h"
#include "server/telemetry/health.h"
#include "server/telemetry/metrics.h"
#include "server/telemetry/request_log.h"
#include "server/web/live_page.h"

namespace stylex {

// Thread-safe; Drain at most once.
class Server {
 public:
  // Starts listening; until models are loaded, answers health checks, and UNAVAILABLE to other
  // calls. INVALID_ARGUMENT (no such device) or UNAVAILABLE (the address cannot be bound).
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  // Stops running calls at once.
  ~Server();

  int port() const { return port_; }
  // "HOST:PORT", IPv6 hosts in brackets.
  std::string address() const { return AddressOf(port_); }
  // Address of the metrics' port; empty if there is none.
  std::string metrics_address() const { return metrics_port_ == 0 ? "" : AddressOf(metrics_port_); }
  // Address of the health-only port; empty if there is none.
  std::string health_address() const { return health_port_ == 0 ? "" : AddressOf(health_port_); }

  // http(s)://HOST:PORT of the live page; empty if there is none.
  std::string web_address() const;

  // Reports NOT_SERVING for `delay` while still accepting calls, so that load balancers stop
  // sending them; then refuses new calls with UNAVAILABLE and finishes running ones, for at most
  // `drain_timeout`.
  enum class Ending {
    kFinished,  // all calls finished
    kStopped,   // some calls were cancelled and stopped
    kStuck,     // some did not stop: the process must be killed
  };
  // Reports "not serving", waits `delay`, and lets the running calls finish.
  Ending Drain(absl::Duration delay);

 private:
  // Parts made from the options' files, whose creation can fail.
  struct Parts {
    torch::Device device;
    std::shared_ptr<TlsSource> tls;        // may be null
    std::unique_ptr<AccessTokens> tokens;  // may be null
    std::unique_ptr<AuditLog> audit_log;   // may be null
  };

  Server(const ServerOptions& options, Parts parts);
  static absl::StatusOr<Parts> MakeParts(const ServerOptions& options);
  absl::Status Listen();
  absl::Status ListenForHealth();
  absl::Status ServeMetrics();
  absl::Status ServePage();
  ServerState State() const;
  CallRunner::Options RunnerOptions();
  void AddServices(grpc::ServerBuilder* builder);
  std::string AddressOf(int port) const;
  ModelRepository::Callbacks RepositoryCallbacks(const torch::Device& device);

  const ServerOptions options_;
  const Parts parts_;
  MemoryBudget request_memory_;
  MemoryBudget frame_memory_;
  DecodingMemory decoding_memory_;
  RequestLog request_log_;
  Metrics metrics_;
  HealthService health_;
  DeviceScheduler device_;
  StallWatchdog watchdog_;
  IdleMemory idle_memory_;
  ModelRepository models_;
  WorkerPool interactive_pool_;
  WorkerPool explanation_pool_;
  WorkerPool bulk_pool_;
  CallRunner runner_;
  ExplanationServiceImpl service_;
  UnknownMethods unknown_methods_;
  // gRPC asks it before each handshake, but does not keep it.
  std::shared_ptr<grpc::ServerCredentials> credentials_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<grpc::Server> health_server_;
  std::unique_ptr<LivePage> page_;  // null: none
  int port_ = 0;
  int health_port_ = 0;
  int metrics_port_ = 0;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_SERVER_H_
