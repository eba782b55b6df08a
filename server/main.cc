// stylex-server: see --help.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>

#include "server/options.h"
#include "server/server.h"
#include "server/signals.h"

namespace stylex {
namespace {

void SetUpLog(const std::string& level) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("stylex-server"));
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
}

int Run(const ServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "stylex-server: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("listening on %s\n", (*server)->address().c_str());
  std::fflush(stdout);
  const int signal_number = WaitForStopSignal();
  spdlog::info("signal {}: draining; a second one ends at once", signal_number);
  ExitOnNextStopSignal();
  // At a terminal nobody needs time to turn away.
  const double delay_s = signal_number == SIGINT ? 0 : options.drain_delay_s;
  const bool finished = (*server)->Drain(absl::Seconds(delay_s));
  spdlog::info(finished ? "all calls finished; end" : "calls were stopped; end");
  return 0;
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  stylex::BlockStopSignals();
  const stylex::ParsedOptions parsed = stylex::ParseOptions(argc, argv);
  if (parsed.exit) {
    return parsed.exit_code;
  }
  stylex::SetUpLog(parsed.options.log_level);
  return stylex::Run(parsed.options);
}
