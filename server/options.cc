#include "server/options.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/web/request_rules.h"

namespace stylex {
namespace {

constexpr char kDescription[] =
    "Serves explanations of image classifiers over gRPC.\n"
    "Every flag can also come from the environment: --max-queue 8 is STYLEX_MAX_QUEUE=8.";

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("STYLEX_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}})));
}

// CLI::Range lets what is not a number through, since that is neither below nor above a bound.
std::string RefuseNan(const std::string& text) {
  double value = 0;
  return absl::SimpleAtod(text, &value) && std::isnan(value) ? absl::StrCat(text, " is no number")
                                                             : "";
}

// Adds an option that can be set by flag or environment variable.
template <class Value>
CLI::Option* Add(CLI::App* app, const std::string& flag, Value* value, const std::string& help) {
  CLI::Option* option = app->add_option(absl::StrCat("--", flag), *value, help)
                            ->envname(EnvironmentName(flag))
                            ->capture_default_str();
  if constexpr (std::is_same_v<Value, double>) {
    option->check(RefuseNan);
  }
  return option;
}

void AddScheduling(CLI::App* app, ServerOptions* options) {
  Add(app, "threads", &options->threads, "Threads of a network pass; 0: the cores there are")
      ->check(CLI::Range(0, 1024));
  Add(app, "workers", &options->workers,
      "Classify, Encode and Reconstruct calls in work at a time: decoding images, waiting for the "
      "device, encoding images")
      ->check(CLI::Range(1, 1024));
  Add(app, "explanation-workers", &options->explanation_workers,
      "Counterfactual, Traverse and local Reconstruct calls in work at a time; they share the "
      "device")
      ->check(CLI::Range(1, 256));
  Add(app, "search-workers", &options->search_workers,
      "FindAttributes calls in work at a time; they share the device")
      ->check(CLI::Range(1, 256));
  Add(app, "max-queue", &options->max_queue, "Classify, Encode and Reconstruct calls that may wait")
      ->check(CLI::Range(1, 100000));
  Add(app, "max-explanation-queue", &options->max_explanation_queue,
      "Counterfactual, Traverse and local Reconstruct calls that may wait")
      ->check(CLI::Range(1, 100000));
  Add(app, "max-search-queue", &options->max_search_queue, "FindAttributes calls that may wait")
      ->check(CLI::Range(1, 100000));
  Add(app, "max-batch", &options->max_batch,
      "Images of several calls that are computed together; 0: 8 on a CPU, 32 on a GPU")
      ->check(CLI::Range(0, 1024));
  Add(app, "max-batch-delay-ms", &options->max_batch_delay_ms,
      "Milliseconds that an image may wait for others to share its batch")
      ->check(CLI::Range(0.0, 1000.0));
}

void AddSecurity(CLI::App* app, ServerOptions* options) {
  CLI::Option* certificate =
      Add(app, "tls-certificate", &options->tls_certificate,
          "Certificate chain (PEM): turns TLS on; read again when it changes")
          ->check(CLI::ExistingFile);
  CLI::Option* key = Add(app, "tls-key", &options->tls_key, "Its private key (PEM)")
                         ->check(CLI::ExistingFile)
                         ->needs(certificate);
  certificate->needs(key);
  Add(app, "tls-client-ca", &options->tls_client_ca,
      "Certificate (PEM) that must have signed the clients': turns mutual TLS on")
      ->check(CLI::ExistingFile)
      ->needs(certificate);
  Add(app, "token-file", &options->token_file,
      "File with one bearer token a line, of which a call needs one; read again when it changes")
      ->check(CLI::ExistingFile);
  Add(app, "health-port", &options->health_port,
      "Second port, without TLS, for health alone; -1: none, or 50052 with TLS; 0: any free one, "
      "which is printed")
      ->check(CLI::Range(-1, 65535));
}

void AddWeb(CLI::App* app, ServerOptions* options) {
  Add(app, "web-port", &options->web_port,
      "Port of the live page and its JSON API; -1: none; 0: any free one, which is printed")
      ->check(CLI::Range(-1, 65535));
  Add(app, "web-host", &options->web_host,
      "Address of the live page; one that other machines reach needs --web-allowed-host");
  Add(app, "web-allowed-host", &options->web_allowed_host,
      "Names by which browsers may reach the live page, besides localhost: NAME or NAME:PORT, "
      "separated by commas");
}

// Throws for what would send tokens over a network that others see, or let nobody in.
void CheckWeb(const ServerOptions& options) {
  if (options.web_port < 0 || IsLoopback(options.web_host)) {
    return;
  }
  if (options.web_allowed_host.empty()) {
    throw CLI::ValidationError("--web-host",
                               "which other machines reach, needs --web-allowed-host: the names "
                               "by which browsers reach it");
  }
  if (!options.token_file.empty() && options.tls_certificate.empty()) {
    throw CLI::ValidationError(
        "--web-host",
        "which other machines reach, would have tokens travel in plain text: give "
        "--tls-certificate and --tls-key, or leave it at 127.0.0.1 behind a proxy that has them");
  }
}

void AddLogging(CLI::App* app, ServerOptions* options) {
  Add(app, "log-level", &options->log_level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}));
  Add(app, "log-format", &options->log_format, "json or text")
      ->check(CLI::IsMember({"json", "text"}));
  Add(app, "audit-log", &options->audit_log,
      "File to which a line is appended for each call, with digests of request and answer");
}

void AddOptions(CLI::App* app, ServerOptions* options) {
  Add(app, "models", &options->models, "Folder with NAME/VERSION/model.json ...")
      ->required()
      ->check(CLI::ExistingDirectory);
  Add(app, "host", &options->host,
      "Address to listen on: 0.0.0.0, ::1, [::1], a name, or unix:PATH for a socket in the file "
      "system");
  Add(app, "port", &options->port, "Port; 0: any free one, which is printed")
      ->check(CLI::Range(0, 65535));
  Add(app, "device", &options->device, "auto, cpu, cuda or cuda:N");
  Add(app, "reload-interval", &options->reload_interval_s,
      "Seconds between looks for new, exchanged and removed model versions; 0: only at the start")
      ->check(CLI::Range(0.0, 86400.0));
  AddScheduling(app, options);
  Add(app, "max-message-mib", &options->max_message_mib, "Greatest request in MiB")
      ->check(CLI::Range(1, 1024));
  Add(app, "memory-budget-mib", &options->memory_budget_mib,
      "MiB for requests that are held, half of it, and for decoding images, the other half; 0: "
      "half of the container's or the machine's memory")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  Add(app, "max-pixels", &options->max_pixels, "Greatest image in pixels")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  Add(app, "default-deadline", &options->default_deadline_s,
      "Seconds for a call whose client gave no deadline")
      ->check(CLI::Range(0.001, 86400.0));
  Add(app, "default-stream-deadline", &options->default_stream_deadline_s,
      "The same for FindAttributes and Traverse")
      ->check(CLI::Range(0.001, 86400.0));
  Add(app, "max-connection-age", &options->max_connection_age_s,
      "Seconds after which a connection is to be made anew, so that clients spread over new "
      "servers")
      ->check(CLI::Range(1.0, 86400.0));
  Add(app, "stall-limit", &options->stall_limit_s,
      "Seconds without a sign of life of a computation after which the server is neither ready nor "
      "live")
      ->check(CLI::Range(0.1, 86400.0));
  AddSecurity(app, options);
  Add(app, "drain-delay", &options->drain_delay_s,
      "Seconds after SIGTERM in which new calls are still taken, not ready already")
      ->check(CLI::Range(0.0, 3600.0));
  Add(app, "drain-timeout", &options->drain_timeout_s,
      "Seconds that running calls then have until they are stopped")
      ->check(CLI::Range(0.0, 3600.0));
  AddLogging(app, options);
  Add(app, "metrics-port", &options->metrics_port,
      "Port of http://HOST:PORT/metrics for Prometheus; -1: none; 0: any free one, which is "
      "printed")
      ->check(CLI::Range(-1, 65535));
  AddWeb(app, options);
  app->add_flag("--reflection,!--no-reflection", options->reflection,
                "Server reflection, for grpcurl and the like (default: on)")
      ->envname(EnvironmentName("reflection"));
}

// Throws for a variable of the environment that its flag would refuse. CLI11 before 2.4 refuses it
// while parsing, later ones pass over it, and the server would listen where nobody asked it to: a
// Service named "stylex" sets STYLEX_PORT=tcp://... in every pod of its namespace.
void RefuseBadEnvironment(CLI::App* app) {
  for (CLI::Option* option : app->get_options([](CLI::Option*) { return true; })) {
    const std::string name = option->get_envname();
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (option->count() > 0 || value == nullptr || *value == '\0') {
      continue;  // the command line or the environment gave it, or neither did
    }
    try {
      option->add_result(value);
      option->run_callback();
    } catch (const CLI::ParseError& error) {
      throw CLI::ValidationError(name, error.what());
    }
  }
}

void Parse(int argc, const char* const* argv, CLI::App* app) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::RequiredError&) {  // may be given, badly, by the environment
    RefuseBadEnvironment(app);
    throw;
  }
  RefuseBadEnvironment(app);
}

}  // namespace

ParsedOptions ParseOptions(int argc, const char* const* argv) {
  ParsedOptions parsed;
  CLI::App app(kDescription, "stylex-server");
  app.set_version_flag("--version", STYLEX_VERSION);
  AddOptions(&app, &parsed.options);
  try {
    Parse(argc, argv, &app);
    const ServerOptions& options = parsed.options;
    if (IsUnixSocket(options) && (options.metrics_port >= 0 || options.health_port >= 0)) {
      throw CLI::ValidationError(
          "--host",
          "with unix:PATH there are no ports: leave out --metrics-port and --health-port");
    }
    if (options.host == "unix:") {
      throw CLI::ValidationError("--host", "unix: needs the socket's path, unix:PATH");
    }
    CheckWeb(options);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    parsed.exit_code = app.exit(error);
  }
  return parsed;
}

bool IsUnixSocket(const ServerOptions& options) { return options.host.starts_with("unix:"); }

}  // namespace stylex
