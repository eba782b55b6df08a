// stylex-server: see --help.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/heap.h"
#include "server/options.h"
#include "server/server.h"
#include "server/signals.h"
#include "server/telemetry/request_log.h"
#include "server/telemetry/stray_output.h"

namespace stylex {
namespace {

// OpenMP threads that wait for each other by spinning lose a whole time slice, thousands of times
// per pass, as soon as anything else needs a core: passes take 30 times as long. OpenMP reads its
// environment when its library is initialised, before main; functions in the program's preinit
// array run before any library's initialisers.
void WaitWithoutSpinning() { setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0); }

// Libraries start threads while they are loaded (OpenBLAS does). They must block the stop signals
// as well: a signal that comes before WaitForStopSignal waits would else end the process through
// them.
void BeforeLibraries() {
  WaitWithoutSpinning();
  BlockStopSignals();
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)() = BeforeLibraries;

#ifdef STYLEX_SANITIZED
// Sanitizers report to stderr and end the program at once.
constexpr bool kCatchStrayOutput = false;
#else
constexpr bool kCatchStrayOutput = true;
#endif

int Run(const ServerOptions& options) {
  std::optional<StrayOutput> stray;
  if (kCatchStrayOutput) {
    stray.emplace(STDERR_FILENO, [](const std::string& line) { spdlog::warn("{}", line); });
  }
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server.ok()) {
    stray.reset();  // this is for whoever typed the command
    std::fprintf(stderr, "stylex-server: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("listening on %s\n", (*server)->address().c_str());
  if (const std::string health = (*server)->health_address(); !health.empty()) {
    std::printf("health on %s\n", health.c_str());
  }
  if (const std::string metrics = (*server)->metrics_address(); !metrics.empty()) {
    std::printf("metrics on %s\n", metrics.c_str());
  }
  if (const std::string web = (*server)->web_address(); !web.empty()) {
    std::printf("web on %s\n", web.c_str());
  }
  std::fflush(stdout);
  const int signal_number = WaitForStopSignal();
  spdlog::info("signal {}: draining; a second one ends at once", signal_number);
  ExitOnNextStopSignal();
  // SIGINT comes from a terminal: no load balancer needs time to stop sending requests.
  const double delay_s = signal_number == SIGINT ? 0 : options.drain_delay_s;
  const Server::Ending ending = (*server)->Drain(absl::Seconds(delay_s));
  if (ending == Server::Ending::kStuck) {
    spdlog::critical("a computation cannot be stopped; end by force");
    FlushLog(absl::Seconds(1));
    std::_Exit(1);
  }
  spdlog::info(ending == Server::Ending::kFinished ? "all calls finished; end"
                                                   : "calls were stopped; end");
  return 0;
}

}  // namespace
}  // namespace stylex

int main(int argc, char** argv) {
  stylex::KeepFreedMemory();
  stylex::ShareFewArenas();
  const stylex::ParsedOptions parsed = stylex::ParseOptions(argc, argv);
  if (parsed.exit) {
    return parsed.exit_code;
  }
  stylex::SetUpLog(parsed.options.log_level, parsed.options.log_format == "json");
  const int code = stylex::Run(parsed.options);
  stylex::FlushLog(absl::Seconds(1));
  return code;
}
