// The options of stylex-server from command line and environment, parsed and validated once.
#ifndef STYLEX_SERVER_OPTIONS_H_
#define STYLEX_SERVER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace stylex {

struct ServerOptions {
  std::string models;            // folder NAME/VERSION/...
  std::string host = "0.0.0.0";  // a name, an address, or "unix:PATH", which has no ports
  int port = 50051;              // 0: any free one
  std::string device = "auto";
  int threads = 0;              // threads per network pass; 0: the available cores
  int workers = 32;             // interactive calls decoded, computed or encoded at a time
  int explanation_workers = 4;  // the same for explanations of one image, by turns on the device
  int search_workers = 4;       // the same for searches over many images
  int max_queue = 256;          // interactive calls that may wait for a worker
  int max_explanation_queue = 64;
  int max_search_queue = 16;
  int max_batch = 0;  // requests per batch; 0: 8 on a CPU, 32 on a GPU
  double max_batch_delay_ms = 0;
  double reload_interval_s = 5;  // between checks of the folder of models; 0: once
  int max_message_mib = 16;
  // What requests may take while they wait and while images are decoded; 0: half of the memory
  // that the process may use.
  int64_t memory_budget_mib = 0;
  int64_t max_pixels = 4096 * 4096;
  double default_deadline_s = 60;          // unary calls without a deadline
  double default_stream_deadline_s = 600;  // streams without a deadline
  double max_connection_age_s = 300;
  double stall_limit_s = 120;
  double drain_delay_s = 0;
  double drain_timeout_s = 30;
  int health_port = -1;         // health only, no TLS; -1: none, or 50052 with TLS; 0: any free
  std::string tls_certificate;  // PEM files; empty: no TLS
  std::string tls_key;
  std::string tls_client_ca;  // not empty: clients need a certificate
  std::string token_file;     // not empty: clients need a bearer token
  std::string audit_log;
  int metrics_port = -1;  // Prometheus over HTTP; -1: none; 0: any free
  int web_port = -1;      // the live page; -1: none; 0: any free
  std::string web_host = "127.0.0.1";
  std::string web_allowed_host;  // besides this machine's own names, separated by commas
  std::string log_level = "info";
  std::string log_format = "json";
  bool reflection = true;
};

struct ParsedOptions {
  ServerOptions options;
  // The program should exit with `exit_code`, after --help, --version or an error, which have been
  // printed.
  bool exit = false;
  int exit_code = 0;
};

// Every flag --some-flag can also be set by the environment variable STYLEX_SOME_FLAG; the command
// line takes precedence. Combinations of options are validated too.
ParsedOptions ParseOptions(int argc, const char* const* argv);

// Whether the server listens on a socket of the file system instead of a port.
bool IsUnixSocket(const ServerOptions& options);

}  // namespace stylex

#endif  // STYLEX_SERVER_OPTIONS_H_
