#include "tests/client/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace stylex {
namespace {

std::vector<char*> Pointers(std::vector<std::string>* texts) {
  std::vector<char*> pointers;
  for (std::string& text : *texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct Channel {
  int reader = -1;
  int writer = -1;
};

Channel MakePipe() {
  std::array<int, 2> ends = {-1, -1};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  return {ends[0], ends[1]};
}

Channel MakeTerminal() {
  Channel channel;
  EXPECT_EQ(openpty(&channel.reader, &channel.writer, nullptr, nullptr, nullptr), 0);
  fcntl(channel.reader, F_SETFD, FD_CLOEXEC);
  fcntl(channel.writer, F_SETFD, FD_CLOEXEC);
  return channel;
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const Options& options) {
  std::vector<std::string> words = {STYLEX_BIN_DIR "/stylex"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = options.environment;
  environment.emplace_back("PATH=/usr/bin:/bin");
  const Channel out = MakePipe();
  const Channel err = options.terminal ? MakeTerminal() : MakePipe();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.writer, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.writer, STDERR_FILENO);
  EXPECT_EQ(posix_spawn(&process_, words[0].c_str(), &actions, nullptr, Pointers(&words).data(),
                        Pointers(&environment).data()),
            0)
      << words[0];
  posix_spawn_file_actions_destroy(&actions);
  close(out.writer);
  close(err.writer);
  out_ = out.reader;
  err_ = err.reader;
}

Program::~Program() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Program::Signal(int number) const { kill(process_, number); }

ProgramResult Program::Wait() {
  ProgramResult result;
  std::array<pollfd, 2> polled = {{{out_, POLLIN, 0}, {err_, POLLIN, 0}}};
  const std::array<std::string*, 2> texts = {&result.out, &result.err};
  while (polled[0].fd >= 0 || polled[1].fd >= 0) {
    poll(polled.data(), polled.size(), -1);
    for (size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].fd < 0 || polled[i].revents == 0) {
        continue;
      }
      std::array<char, 4096> buffer;
      // Reading from a terminal whose other end is closed gives an error, not an end of file.
      const ssize_t count = read(polled[i].fd, buffer.data(), buffer.size());
      if (count > 0) {
        texts[i]->append(buffer.data(), static_cast<size_t>(count));
      } else {
        polled[i].fd = -1;
      }
    }
  }
  int status = 0;
  waitpid(process_, &status, 0);
  process_ = -1;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

ProgramResult RunProgram(const std::vector<std::string>& arguments,
                         const Program::Options& options) {
  return Program(arguments, options).Wait();
}

}  // namespace stylex
