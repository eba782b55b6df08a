// Writes lines to a file descriptor on a thread of its own, so that whoever logs never waits.
//
// A log that nobody reads (a full pipe, a stopped terminal) or that is closed must not stop the
// server: lines are then dropped, and counted. Nothing is lost as long as the reader keeps up.
// Thread-safe.
#ifndef STYLEX_SERVER_TELEMETRY_LOG_WRITER_H_
#define STYLEX_SERVER_TELEMETRY_LOG_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace stylex {

class LogWriter {
 public:
  struct Options {
    int file = 2;
    size_t max_lines = 10'000;  // that wait to be written; further ones are dropped
    // The line that tells of dropped ones, once lines can be written again.
    std::function<std::string(int64_t dropped)> on_dropped;
  };

  // SIGPIPE must be ignored.
  explicit LogWriter(Options options);
  // Writes what is waiting, as far as the reader takes it within a second.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // `line` ends with a newline. Throws nothing.
  void Write(std::string line) noexcept;
  // Waits until everything is written or dropped; false after `timeout`.
  bool Flush(absl::Duration timeout);
  // Lines lost so far.
  int64_t dropped() const;

 private:
  void Work();
  // Waits for a text and writes it; false at the end.
  bool WriteNext();
  // Waits for a text to write; empty at the end.
  std::string Next();
  // The text that Next began with is written or, if not, lost.
  void EndWriting(bool written);
  // Whether the next line is to tell of dropped ones.
  bool MustTell() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return works_ && dropped_ > told_ && options_.on_dropped;
  }
  bool stopping() const;
  enum class Outcome {
    kWritten,
    kBlocked,  // the reader took nothing for a while
    kGone,     // nothing can ever be written, or not now: a closed pipe, a full disk
  };
  // Continues to write `text`, of which `written` bytes are written.
  Outcome WriteSome(const std::string& text, size_t* written) const;

  const Options options_;
  mutable Mutex mutex_;
  CondVar wake_;
  CondVar written_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;  // a line is being written
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t told_ ABSL_GUARDED_BY(mutex_) = 0;     // of the dropped lines
  int64_t telling_ ABSL_GUARDED_BY(mutex_) = 0;  // in the text that is being written
  bool works_ ABSL_GUARDED_BY(mutex_) = true;    // the last text was written
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_LOG_WRITER_H_
