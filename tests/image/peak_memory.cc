#include "tests/image/peak_memory.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace stylex {
namespace {

long PeakKibibytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

int PeakGrowthMebibytes(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const long before = PeakKibibytes();
    body();
    _exit(static_cast<int>(std::min((PeakKibibytes() - before) >> 10, 255L)));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

}  // namespace stylex
