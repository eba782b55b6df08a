#include "server/telemetry/log_writer.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/clock.h"
#include "base/exceptions.h"

namespace stylex {
namespace {

// How long the thread waits for a reader before it looks whether it must end.
constexpr absl::Duration kPatience = absl::Milliseconds(100);
constexpr absl::Duration kLastPatience = absl::Seconds(1);

}  // namespace

LogWriter::LogWriter(Options options) : options_(std::move(options)) {
  thread_ = std::thread([this] { Work(); });
}

LogWriter::~LogWriter() {
  Flush(kLastPatience);
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  thread_.join();
}

void LogWriter::Write(std::string line) noexcept {
  MutexLock lock(&mutex_);
  bool taken = false;
  if (lines_.size() < options_.max_lines && !stopping_) {
    try {
      lines_.push_back(std::move(line));
      taken = true;
    } catch (const std::bad_alloc&) {
      // A line without memory is one that is dropped.
    }
  }
  dropped_ += taken ? 0 : 1;
  wake_.NotifyOne();
}

bool LogWriter::Flush(absl::Duration timeout) {
  const absl::Time deadline = Clock::Real().Now() + timeout;
  MutexLock lock(&mutex_);
  while (busy_ || !lines_.empty()) {
    const absl::Duration left = deadline - Clock::Real().Now();
    if (left <= absl::ZeroDuration()) {
      return false;
    }
    written_.WaitFor(&mutex_, absl::ToChronoNanoseconds(left));
  }
  return true;
}

int64_t LogWriter::dropped() const {
  MutexLock lock(&mutex_);
  return dropped_;
}

std::string LogWriter::Next() {
  MutexLock lock(&mutex_);
  while (lines_.empty() && !MustTell() && !stopping_) {
    wake_.Wait(&mutex_);
  }
  if (stopping_) {
    return "";
  }
  busy_ = true;
  telling_ = MustTell() ? dropped_ - told_ : 0;
  told_ += telling_;
  if (telling_ > 0) {
    return options_.on_dropped(telling_);
  }
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

void LogWriter::EndWriting(bool written) {
  MutexLock lock(&mutex_);
  works_ = written;
  if (!works_ && telling_ > 0) {
    told_ -= telling_;
  } else if (!works_) {
    ++dropped_;
  }
  busy_ = false;
  written_.NotifyAll();
}

bool LogWriter::WriteNext() {
  const std::string text = Next();
  if (text.empty()) {
    return false;
  }
  size_t written = 0;
  Outcome outcome = WriteSome(text, &written);
  while (outcome == Outcome::kBlocked && !stopping()) {
    outcome = WriteSome(text, &written);
  }
  EndWriting(outcome == Outcome::kWritten);
  return true;
}

void LogWriter::Work() {
  bool more = true;
  while (more) {
    const absl::Status status = WithoutExceptions([&] {
      more = WriteNext();
      return absl::OkStatus();
    });
    if (!status.ok()) {  // no memory to tell of dropped lines: they are told later
      EndWriting(false);
    }
  }
}

bool LogWriter::stopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

LogWriter::Outcome LogWriter::WriteSome(const std::string& text, size_t* written) const {
  while (*written < text.size()) {
    pollfd ready = {options_.file, POLLOUT, 0};
    const int count = poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience)));
    if (count < 0 && errno != EINTR) {
      return Outcome::kGone;
    }
    if (count <= 0 || (ready.revents & (POLLOUT | POLLERR | POLLNVAL)) == 0) {
      return Outcome::kBlocked;
    }
    // A pipe that can be written to takes this much without waiting.
    const size_t size = std::min<size_t>(text.size() - *written, PIPE_BUF);
    const ssize_t took = write(options_.file, text.data() + *written, size);
    if (took < 0 && errno != EINTR && errno != EAGAIN) {
      return Outcome::kGone;
    }
    *written += static_cast<size_t>(std::max<ssize_t>(took, 0));
  }
  return Outcome::kWritten;
}

}  // namespace stylex
