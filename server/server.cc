#include "server/server.h"

#include <ATen/Parallel.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_builder_option.h>
#include <netdb.h>
#include <omp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/cores.h"
#include "base/heap.h"
#include "base/memory_limit.h"
#include "base/status_macros.h"
#include "models/device.h"
#include "server/repository/model_loading.h"
#include "server/rpc/transport_security.h"

namespace stylex {
namespace {

constexpr int kBufferBytes = 512 << 20;  // for all messages being received or sent
constexpr int kMaxConcurrentStreams = 256;
// Time after the drain to finish e.g. answers to slow clients.
constexpr std::chrono::milliseconds kLastWords(500);
// Time within which cancelled calls stop, unless they are stuck.
constexpr absl::Duration kStopTime = absl::Seconds(2);
// Port of the health service when the main port uses TLS.
constexpr int kTlsHealthPort = 50052;

// Linking the reflection library enables reflection for every server of the process; this removes
// it.
class WithoutReflection : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      return plugin->name() == "proto_server_reflection";
    });
  }
};

// Bytes for what requests bring and take: by default half of the memory that the process may use,
// the other half being for models and computations.
int64_t MemoryBudgetOf(const ServerOptions& options) {
  return options.memory_budget_mib > 0 ? options.memory_budget_mib << 20 : AvailableMemory() / 2;
}

void AddLimits(const ServerOptions& options, grpc::ServerBuilder* builder) {
  RefuseCompression(builder);
  const int64_t message_bytes = int64_t{options.max_message_mib} << 20;
  // gRPC's error for large messages has no details, so up to twice the limit the server itself
  // refuses them. gRPC counts in int.
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  builder->SetMaxReceiveMessageSize(static_cast<int>(std::min(2 * message_bytes, kMost)));
  builder->SetMaxSendMessageSize(static_cast<int>(std::min(message_bytes, kMost)));
  const int64_t buffers = std::max(
      {std::min<int64_t>(kBufferBytes, MemoryBudgetOf(options) / 4), int64_t{4} * message_bytes});
  builder->SetResourceQuota(grpc::ResourceQuota("stylex").Resize(static_cast<size_t>(buffers)));
  // Otherwise two servers on one port would silently share its connections.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  // Detects clients that vanished, and allows clients to detect a dead server.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 30'000);
  // Connections are closed after a while, so that clients spread over newly added servers.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                              static_cast<int>(options.max_connection_age_s * 1000));
  builder->AddChannelArgument(
      GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
      static_cast<int>(std::min(options.default_stream_deadline_s + 10, 86'400.0) * 1000));
}

// Of the port that has only health, for anyone who reaches it: what it is asked is a few bytes.
void AddHealthLimits(grpc::ServerBuilder* builder) {
  constexpr int kMessageBytes = 4 << 10;
  constexpr int kStreams = 16;
  constexpr size_t kBuffers = 16 << 20;
  RefuseCompression(builder);
  builder->SetMaxReceiveMessageSize(kMessageBytes);
  builder->SetResourceQuota(grpc::ResourceQuota("health").Resize(kBuffers));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreams);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

// What a job threw, which should have ended with its call: want of memory, or a fault of ours.
void LogJobError(const absl::Status& status) {
  spdlog::error("a worker caught what its job threw: {}", status.ToString());
}

// A client sends its next request within this time after an answer (docs/operating.md).
constexpr absl::Duration kStayAwake = absl::Microseconds(1500);

// Measured: on a CPU larger batches only increase latency.
constexpr int kCpuBatch = 8;
constexpr int kGpuBatch = 32;

// On a CPU, where each then has its share of the cores; a GPU computes one after another.
constexpr int kMostSearchesAtOnce = 4;

DeviceScheduler::Options SchedulerOptions(const ServerOptions& options,
                                          const torch::Device& device) {
  const int automatic = device.is_cuda() ? kGpuBatch : kCpuBatch;
  const int max_batch = options.max_batch > 0 ? options.max_batch : automatic;
  return {.batches = {.max_batch = static_cast<size_t>(max_batch),
                      .max_delay = absl::Milliseconds(options.max_batch_delay_ms)},
          .searches_at_once =
              device.is_cpu() ? std::clamp(at::get_num_threads(), 1, kMostSearchesAtOnce) : 1};
}

// Small computations around a call's passes use a single thread: the cores belong to the device's
// threads.
void ComputeOnOneThread() {
  at::get_num_threads();  // initialises this thread now, so that LibTorch does not later
  omp_set_num_threads(1);
}

// Why an address cannot be listened on, as far as that can be found out.
std::string WhyNot(const std::string& host) {
  if (host.starts_with("unix:")) {
    const std::filesystem::path folder =
        std::filesystem::absolute(host.substr(sizeof("unix:") - 1)).parent_path();
    std::error_code ignored;
    return std::filesystem::is_directory(folder, ignored)
               ? absl::StrCat("is the path one that may be written, and of at most 107 bytes?")
               : absl::StrCat("there is no folder ", folder.string());
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  const std::string name = bracketed ? host.substr(1, host.size() - 2) : host;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.c_str(), nullptr, nullptr, &found);
  if (error != 0) {
    return absl::StrCat("\"", name, "\" is no address and no name that is known here (",
                        gai_strerror(error), ")");
  }
  freeaddrinfo(found);
  return "is the port taken by another program, or the address not this machine's?";
}

}  // namespace

Server::Server(const ServerOptions& options, Parts parts)
    : options_(options),
      parts_(std::move(parts)),
      request_memory_(MemoryBudgetOf(options) / 2),
      frame_memory_(MemoryBudgetOf(options) / 8),
      decoding_memory_(MemoryBudgetOf(options) / 2),
      health_(v1::ExplanationService::service_full_name()),
      device_(SchedulerOptions(options, parts_.device), &Clock::Real(), &metrics_),
      watchdog_({.limit = absl::Seconds(options.stall_limit_s),
                 .silence = [this] { return device_.Silence(); },
                 .on_stall =
                     [this](absl::Duration silence) {
                       spdlog::critical("a computation gave no sign of life for {} s",
                                        absl::ToDoubleSeconds(silence));
                       health_.SetLifecycle(Lifecycle::kBroken);
                     }}),
      idle_memory_({.idle = [this] { return request_memory_.used() == 0; }}),
      models_(RepositoryCallbacks(parts_.device), options.reload_interval_s > 0
                                                      ? absl::Seconds(options.reload_interval_s)
                                                      : absl::InfiniteDuration()),
      interactive_pool_({.workers = options.workers,
                         .max_queue = static_cast<size_t>(options.max_queue),
                         .on_start = ComputeOnOneThread,
                         .stay_awake = kStayAwake,
                         .on_error = LogJobError}),
      explanation_pool_({.workers = options.explanation_workers,
                         .max_queue = static_cast<size_t>(options.max_explanation_queue),
                         .on_error = LogJobError}),
      bulk_pool_({.workers = options.search_workers,
                  .max_queue = static_cast<size_t>(options.max_search_queue),
                  .on_error = LogJobError}),
      runner_(RunnerOptions(),
              {.interactive = &interactive_pool_,
               .explanation = &explanation_pool_,
               .bulk = &bulk_pool_},
              &Clock::Real()),
      service_({.models = &models_,
                .device = &device_,
                .decode_limits = {.max_pixels = options.max_pixels, .memory = &decoding_memory_},
                .clock = &Clock::Real()},
               &runner_) {}

CallRunner::Options Server::RunnerOptions() {
  return {.unary_deadline = absl::Seconds(options_.default_deadline_s),
          .stream_deadline = absl::Seconds(options_.default_stream_deadline_s),
          .max_message_bytes = static_cast<size_t>(options_.max_message_mib) << 20,
          .tokens = parts_.tokens.get(),
          .observers = {&request_log_, &metrics_},
          .auditor = parts_.audit_log.get(),
          .requests = &request_memory_,
          .frames = &frame_memory_,
          .on_exception = [this](const std::string& what) {
            if (IsPersistentDeviceError(what)) {
              spdlog::critical("the device is lost: {}", what);
              health_.SetLifecycle(Lifecycle::kBroken);
            }
          }};
}

Server::~Server() {
  metrics_.Stop();
  runner_.Refuse();
  runner_.AbandonAll();
  health_.EndWatches();
  page_.reset();  // its calls come through grpc_server_
  if (grpc_server_ != nullptr) {
    grpc_server_->Shutdown(std::chrono::system_clock::now() + kLastWords);
    grpc_server_->Wait();
  }
  if (health_server_ != nullptr) {
    health_server_->Shutdown(std::chrono::system_clock::now() + kLastWords);
  }
}

ModelRepository::Callbacks Server::RepositoryCallbacks(const torch::Device& device) {
  return {.list =
              [root = options_.models, strays = std::make_shared<StrayFolders>()] {
                strays->Warn(root);
                return ListServedVersions(root);
              },
          .load =
              [this, device](const VersionPath& version) {
                const absl::Time start = Clock::Real().Now();
                absl::StatusOr<LoadedVersion> loaded = LoadServedModel(
                    version, device,
                    {.device = &device_, .max_batch = static_cast<int64_t>(device_.max_batch())});
                metrics_.OnLoaded(version.id(), Clock::Real().Now() - start);
                return loaded;
              },
          .on_name = [this](const std::string& name, bool ready) { health_.SetModel(name, ready); },
          .on_loaded =
              [this] {
                const std::vector<v1::ModelSummary> models = models_.List();
                if (models.empty()) {
                  spdlog::warn("there is no model NAME/VERSION in {}: nothing is served",
                               options_.models);
                }
                health_.SetLifecycle(Lifecycle::kServing);
                spdlog::info("loading is through: {} model versions", models.size());
              },
          // Returns LibTorch's memory to the system, not only to the allocator.
          .on_unloaded = [] { ReturnFreedMemory(); }};
}

absl::StatusOr<Server::Parts> Server::MakeParts(const ServerOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const torch::Device device, ParseDevice(options.device));
  const bool fell_back = options.device == "auto" && device.is_cpu();
  spdlog::info("computing on {}{}", device.str(), fell_back ? ": " + WhyNoGpu() : "");
  Parts parts = {.device = device, .tls = nullptr, .tokens = nullptr, .audit_log = nullptr};
  const TlsFiles tls = {options.tls_certificate, options.tls_key, options.tls_client_ca};
  if (tls.enabled()) {
    STYLEX_ASSIGN_OR_RETURN(parts.tls, TlsSource::Open(tls, &Clock::Real()));
  }
  if (!options.token_file.empty()) {
    STYLEX_ASSIGN_OR_RETURN(parts.tokens, AccessTokens::Open(options.token_file, &Clock::Real()));
    if (!tls.enabled()) {
      spdlog::warn("tokens without TLS: whoever sees the traffic has them");
    }
  }
  if (!options.audit_log.empty()) {
    STYLEX_ASSIGN_OR_RETURN(parts.audit_log, AuditLog::Open(options.audit_log));
  }
  return parts;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(Parts parts, MakeParts(options));
  at::set_num_threads(options.threads > 0 ? options.threads : AvailableCores());
  std::unique_ptr<Server> server(new Server(options, std::move(parts)));
  STYLEX_RETURN_IF_ERROR(server->Listen());
  STYLEX_RETURN_IF_ERROR(server->ListenForHealth());
  STYLEX_RETURN_IF_ERROR(server->ServeMetrics());
  STYLEX_RETURN_IF_ERROR(server->ServePage());
  server->models_.Start();
  return server;
}

std::string Server::AddressOf(int port) const {
  if (IsUnixSocket(options_)) {
    return options_.host;
  }
  const bool is_ipv6 = absl::StrContains(options_.host, ':') && options_.host.front() != '[';
  return is_ipv6 ? absl::StrCat("[", options_.host, "]:", port)
                 : absl::StrCat(options_.host, ":", port);
}

void Server::AddServices(grpc::ServerBuilder* builder) {
  builder->RegisterService(&service_);
  builder->RegisterService(&health_);
  builder->RegisterCallbackGenericService(&unknown_methods_);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(
      std::make_unique<RefusedCalls>(std::vector<CallObserver*>{&request_log_, &metrics_},
                                     parts_.audit_log.get(), &Clock::Real()));
  builder->experimental().SetInterceptorCreators(std::move(interceptors));
}

absl::Status Server::Listen() {
  port_ = options_.port;
  grpc::ServerBuilder builder;
  AddLimits(options_, &builder);
  if (options_.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  } else {
    builder.SetOption(std::make_unique<WithoutReflection>());
  }
  credentials_ = MakeServerCredentials(parts_.tls);
  builder.AddListeningPort(address(), credentials_, &port_);
  AddServices(&builder);
  grpc_server_ = builder.BuildAndStart();
  if (grpc_server_ == nullptr || port_ == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", AddressOf(options_.port), ": ", WhyNot(options_.host)));
  }
  return absl::OkStatus();
}

// Probes of container platforms do not use TLS.
absl::Status Server::ListenForHealth() {
  const bool wanted =
      options_.health_port >= 0 || (!options_.tls_certificate.empty() && !IsUnixSocket(options_));
  if (!wanted) {
    return absl::OkStatus();
  }
  const int port = options_.health_port >= 0 ? options_.health_port : kTlsHealthPort;
  grpc::ServerBuilder builder;
  AddHealthLimits(&builder);
  builder.SetOption(std::make_unique<WithoutReflection>());
  builder.AddListeningPort(AddressOf(port), grpc::InsecureServerCredentials(), &health_port_);
  builder.RegisterService(&health_);
  health_server_ = builder.BuildAndStart();
  if (health_server_ == nullptr || health_port_ == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", AddressOf(port),
                                               " for health: is the port taken? --health-port"));
  }
  return absl::OkStatus();
}

ServerState Server::State() const {
  ServerState state = {.lifecycle = static_cast<int>(health_.lifecycle()),
                       .interactive_queue = interactive_pool_.waiting(),
                       .explanation_queue = explanation_pool_.waiting(),
                       .search_queue = bulk_pool_.waiting()};
  for (const v1::ModelSummary& model : models_.List()) {
    const bool ready = model.state() == v1::MODEL_STATE_READY;
    const bool failed = model.state() == v1::MODEL_STATE_FAILED;
    state.models.push_back({.name = model.name(),
                            .version = model.version(),
                            .state = ready ? "ready" : (failed ? "failed" : "loading"),
                            .outdated = ready && !model.error().empty()});
  }
  state.log_lines_dropped = LogLinesDropped();
  return state;
}

absl::Status Server::ServeMetrics() {
  if (options_.metrics_port >= 0) {
    STYLEX_ASSIGN_OR_RETURN(metrics_port_, metrics_.Serve(options_.host, options_.metrics_port,
                                                          [this] { return State(); }));
  }
  return absl::OkStatus();
}

absl::Status Server::ServePage() {
  if (options_.web_port < 0) {
    return absl::OkStatus();
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // the server limits what it sends
  STYLEX_ASSIGN_OR_RETURN(
      page_,
      LivePage::Open({.host = options_.web_host,
                      .port = options_.web_port,
                      .allowed_hosts = options_.web_allowed_host,
                      .max_message_bytes = static_cast<size_t>(options_.max_message_mib) << 20,
                      .deadline = absl::Seconds(options_.default_deadline_s),
                      .grpc_address = address(),
                      .tls = parts_.tls,
                      .tokens = parts_.tokens.get(),
                      .requests = &request_memory_},
                     grpc_server_->InProcessChannel(arguments)));
  return absl::OkStatus();
}

std::string Server::web_address() const {
  if (page_ == nullptr) {
    return "";
  }
  const bool is_ipv6 = absl::StrContains(options_.web_host, ':') && options_.web_host[0] != '[';
  return absl::StrCat(parts_.tls == nullptr ? "http://" : "https://",
                      is_ipv6 ? absl::StrCat("[", options_.web_host, "]") : options_.web_host, ":",
                      page_->port());
}

Server::Ending Server::Drain(absl::Duration delay) {
  health_.SetLifecycle(Lifecycle::kDraining);
  absl::SleepFor(delay);
  runner_.Refuse();
  const Clock& clock = Clock::Real();
  const absl::Time deadline = clock.Now() + absl::Seconds(options_.drain_timeout_s);
  const auto drain = [this, &clock](absl::Time until) {
    bool finished = true;
    for (WorkerPool* pool : {&bulk_pool_, &explanation_pool_, &interactive_pool_}) {
      finished = pool->Drain(until - clock.Now()) && finished;
    }
    return finished;
  };
  Ending ending = Ending::kFinished;
  if (!drain(deadline)) {
    spdlog::warn("calls still ran after {} s and are stopped", options_.drain_timeout_s);
    runner_.AbandonAll();
    if (!drain(clock.Now() + kStopTime)) {
      return Ending::kStuck;  // gRPC's shutdown would wait for the call
    }
    ending = Ending::kStopped;
  }
  health_.EndWatches();
  page_.reset();
  grpc_server_->Shutdown(std::chrono::system_clock::now() + kLastWords);
  return ending;
}

}  // namespace stylex
