#include "server/options.h"

#include <algorithm>
#include <fstream>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace stylex {
namespace {

constexpr char kDescription[] =
    "Serves explanations of image classifiers over gRPC.\n"
    "Every flag can also come from the environment: --max-queue 8 is STYLEX_MAX_QUEUE=8.";

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("STYLEX_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}})));
}

// An option that both sources may give.
template <class Value>
CLI::Option* Add(CLI::App* app, const std::string& flag, Value* value, const std::string& help) {
  return app->add_option(absl::StrCat("--", flag), *value, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

void AddScheduling(CLI::App* app, ServerOptions* options) {
  Add(app, "threads", &options->threads, "Threads of a network pass; 0: the cores there are")
      ->check(CLI::Range(0, 1024));
  Add(app, "workers", &options->workers,
      "Classify, Encode and Reconstruct calls in work at a time: decoding images, waiting for the "
      "device, encoding images")
      ->check(CLI::Range(1, 1024));
  Add(app, "search-workers", &options->search_workers,
      "FindAttributes, Counterfactual and Traverse calls in work at a time; they take turns on the "
      "device")
      ->check(CLI::Range(1, 256));
  Add(app, "max-queue", &options->max_queue, "Classify, Encode and Reconstruct calls that may wait")
      ->check(CLI::Range(1, 100000));
  Add(app, "max-search-queue", &options->max_search_queue,
      "FindAttributes, Counterfactual and Traverse calls that may wait")
      ->check(CLI::Range(1, 100000));
  Add(app, "max-batch", &options->max_batch,
      "Images of several calls that are computed together; 0: 8 on a CPU, 32 on a GPU")
      ->check(CLI::Range(0, 1024));
  Add(app, "max-batch-delay-ms", &options->max_batch_delay_ms,
      "Milliseconds that an image may wait for others to share its batch")
      ->check(CLI::Range(0.0, 1000.0));
}

void AddOptions(CLI::App* app, ServerOptions* options) {
  Add(app, "models", &options->models, "Folder with NAME/VERSION/model.json ...")
      ->required()
      ->check(CLI::ExistingDirectory);
  Add(app, "host", &options->host, "Address to listen on");
  Add(app, "port", &options->port, "Port; 0: any free one, which is printed")
      ->check(CLI::Range(0, 65535));
  Add(app, "device", &options->device, "auto, cpu, cuda or cuda:N");
  AddScheduling(app, options);
  Add(app, "max-message-mib", &options->max_message_mib, "Greatest request in MiB")
      ->check(CLI::Range(1, 1024));
  Add(app, "max-pixels", &options->max_pixels, "Greatest image in pixels")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  Add(app, "default-deadline", &options->default_deadline_s,
      "Seconds for a call whose client gave no deadline")
      ->check(CLI::Range(0.001, 86400.0));
  Add(app, "default-stream-deadline", &options->default_stream_deadline_s,
      "The same for FindAttributes and Traverse")
      ->check(CLI::Range(0.001, 86400.0));
  Add(app, "drain-delay", &options->drain_delay_s,
      "Seconds after SIGTERM in which new calls are still taken, not ready already")
      ->check(CLI::Range(0.0, 3600.0));
  Add(app, "drain-timeout", &options->drain_timeout_s,
      "Seconds that running calls then have until they are stopped")
      ->check(CLI::Range(0.0, 3600.0));
  Add(app, "log-level", &options->log_level, "trace, debug, info, warning, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warning", "error", "off"}));
  app->add_flag("--reflection,!--no-reflection", options->reflection,
                "Server reflection, for grpcurl and the like (default: on)")
      ->envname(EnvironmentName("reflection"));
}

// The quota of a control group (version 2) in cores; 0 when there is none.
double QuotaCores() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota_us = 0;
  double period_us = 0;
  return file >> quota_us >> period_us && period_us > 0 ? quota_us / period_us : 0;
}

}  // namespace

ParsedOptions ParseOptions(int argc, const char* const* argv) {
  ParsedOptions parsed;
  CLI::App app(kDescription, "stylex-server");
  app.set_version_flag("--version", STYLEX_VERSION);
  AddOptions(&app, &parsed.options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.exit = true;
    parsed.exit_code = app.exit(error);
  }
  return parsed;
}

int AvailableCores() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const double quota = QuotaCores();
  return quota > 0 ? std::clamp(static_cast<int>(quota), 1, cores) : cores;
}

}  // namespace stylex
