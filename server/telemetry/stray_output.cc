#include "server/telemetry/stray_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/exceptions.h"

namespace stylex {

StrayOutput::StrayOutput(int file, std::function<void(const std::string&)> on_line)
    : file_(file), on_line_(std::move(on_line)) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return;
  }
  before_ = fcntl(file_, F_DUPFD_CLOEXEC, 3);
  if (before_ < 0 || dup2(ends[1], file_) < 0) {
    close(ends[0]);
    close(ends[1]);
    return;
  }
  close(ends[1]);
  pipe_ = ends[0];
  thread_ = std::thread([this] { Read(); });
}

StrayOutput::~StrayOutput() {
  if (thread_.joinable()) {
    dup2(before_, file_);  // closes the pipe's other end, which ends the thread
    thread_.join();
    close(pipe_);
  }
  if (before_ >= 0) {
    close(before_);
  }
}

void StrayOutput::Read() {
  std::string line;
  const auto tell = [&] {
    if (!line.empty()) {
      on_line_(line);
      line.clear();
    }
  };
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = read(pipe_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      WithoutExceptions([&] {
        tell();
        return absl::OkStatus();
      }).IgnoreError();
      return;
    }
    // What has no memory to be told is lost, but the pipe must be read: else those who print wait.
    const absl::Status kept = WithoutExceptions([&] {
      for (const char c : std::string_view(buffer.data(), static_cast<size_t>(count))) {
        if (c == '\n') {
          tell();
        } else if (line.size() < kLongestLine) {
          line.push_back(c);
        }
      }
      return absl::OkStatus();
    });
    if (!kept.ok()) {
      line.clear();
    }
  }
}

}  // namespace stylex
