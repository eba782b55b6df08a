// Signals as events, and the exit codes that they leave.
#include "client/interrupt.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

namespace stylex {
namespace {

// Polls, since the signal is taken by another thread.
bool Becomes(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

TEST(InterruptTest, ASignalStopsInsteadOfEnding) {
  std::atomic<int> stops = 0;
  const Interrupt interrupt({SIGINT, SIGTERM}, [&stops] { ++stops; });
  EXPECT_EQ(interrupt.signal(), 0);
  kill(getpid(), SIGTERM);
  EXPECT_TRUE(Becomes([&stops] { return stops == 1; }));
  EXPECT_EQ(interrupt.signal(), SIGTERM);
  kill(getpid(), SIGINT);
  EXPECT_TRUE(Becomes([&stops] { return stops == 2; }));
}

TEST(InterruptTest, AfterwardsSignalsDoAsBefore) {
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    const Interrupt interrupt({SIGINT}, [] {});
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
}

// In a process of its own, which the second signal ends.
TEST(InterruptTest, TheSecondSignalEndsAPatientProgram) {
  const pid_t child = fork();
  if (child == 0) {
    const Interrupt interrupt(
        {SIGINT}, [] {}, /*patient=*/true);
    kill(getpid(), SIGINT);
    while (interrupt.signal() == 0) {
      usleep(1000);
    }
    kill(getpid(), SIGINT);
    sleep(30);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
}

TEST(ExitCodeTest, TellsASignalFromAFailure) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCodeOf(absl::CancelledError("by the server")), 1);
  EXPECT_EQ(ExitCodeOf(InterruptedBy(SIGINT)), 130);
  EXPECT_EQ(ExitCodeOf(InterruptedBy(SIGTERM)), 143);
}

TEST(RunningCallsTest, CancelsThoseThatRunAndThoseThatCome) {
  RunningCalls calls;
  grpc::ClientContext first, second;
  const RunningCalls::Call running(&calls, &first);
  EXPECT_FALSE(calls.cancelled());
  calls.CancelAll();
  EXPECT_TRUE(calls.cancelled());
  const RunningCalls::Call late(&calls, &second);  // is cancelled at once, and needs no call to be
}

TEST(RunningCallsTest, WhatHasEndedIsLeftAlone) {
  RunningCalls calls;
  {
    grpc::ClientContext context;
    const RunningCalls::Call running(&calls, &context);
  }
  calls.CancelAll();  // would touch the context that is gone
  EXPECT_TRUE(calls.cancelled());
}

}  // namespace
}  // namespace stylex
