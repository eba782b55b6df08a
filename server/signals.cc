#include "server/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace stylex {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  struct sigaction hang_up = {};
  sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) {
    sigaddset(&set, SIGHUP);
  }
  return set;
}

}  // namespace

void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int WaitForStopSignal() {
  const sigset_t set = StopSignals();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

void ExitOnNextStopSignal() {
  struct sigaction action = {};
  action.sa_handler = [](int number) { _exit(128 + number); };
  const sigset_t set = StopSignals();
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    if (sigismember(&set, number) == 1) {
      sigaction(number, &action, nullptr);
    }
  }
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace stylex
