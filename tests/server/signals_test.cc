// Each case runs in a process of its own, since it changes what signals do.
#include "server/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

namespace stylex {
namespace {

// The wait status of a child that runs `body` and exits with what it returns.
int StatusOf(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(body());
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

class StopSignalTest : public testing::TestWithParam<int> {};

TEST_P(StopSignalTest, IsWaitedForInsteadOfEndingTheProcess) {
  const int status = StatusOf([] {
    BlockStopSignals();
    kill(getpid(), GetParam());
    return WaitForStopSignal() == GetParam() ? 3 : 4;
  });
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST_P(StopSignalTest, TheNextEndsTheProcessAtOnce) {
  const int status = StatusOf([] {
    BlockStopSignals();
    kill(getpid(), GetParam());
    WaitForStopSignal();
    ExitOnNextStopSignal();
    kill(getpid(), GetParam());
    return 5;
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + GetParam());
}

TEST_P(StopSignalTest, ThreadsStartedLaterDoNotTakeIt) {
  const int status = StatusOf([] {
    BlockStopSignals();
    std::thread idle([] { usleep(200'000); });
    kill(getpid(), GetParam());
    const int number = WaitForStopSignal();
    idle.join();
    return number == GetParam() ? 3 : 4;
  });
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignalTest, testing::Values(SIGTERM, SIGINT));

TEST(OtherSignalTest, IsLeftAlone) {
  const int status = StatusOf([] {
    BlockStopSignals();
    kill(getpid(), SIGUSR1);
    return 5;
  });
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGUSR1);
}

}  // namespace
}  // namespace stylex
