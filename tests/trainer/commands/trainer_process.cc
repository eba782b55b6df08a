#include "tests/trainer/commands/trainer_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/file.h"

extern char** environ;

namespace stylex {
namespace {

constexpr std::chrono::milliseconds kLookInterval(1);

// The inode and the time of change; a renamed file differs from the one it replaces in one of them.
std::vector<int64_t> Identity(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return {};
  }
  return {static_cast<int64_t>(info.st_ino), info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

}  // namespace

TrainerProcess::TrainerProcess(const std::vector<std::string>& arguments, const std::string& output)
    : output_(output) {
  std::vector<std::string> words = {STYLEX_BIN_DIR "/stylex-train"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
  posix_spawn_file_actions_destroy(&actions);
}

TrainerProcess::~TrainerProcess() {
  Signal(SIGKILL);
  Wait();
}

void TrainerProcess::Signal(int number) const {
  if (pid_ > 0) {
    kill(pid_, number);
  }
}

int TrainerProcess::Wait() {
  while (!Ended()) {
    std::this_thread::sleep_for(kLookInterval);
  }
  return result_;
}

bool TrainerProcess::Ended() {
  int status = 0;
  if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) {
    pid_ = 0;
    result_ = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return pid_ <= 0;
}

void TrainerProcess::AwaitWritten(const std::string& path, int times) {
  std::vector<int64_t> last = Identity(path);
  while (times > 0 && !Ended()) {
    if (std::vector<int64_t> now = Identity(path); now != last) {
      last = std::move(now);
      --times;
    }
    std::this_thread::sleep_for(kLookInterval);
  }
}

std::string TrainerProcess::Output() const { return ReadFile(output_).value_or(""); }

}  // namespace stylex
