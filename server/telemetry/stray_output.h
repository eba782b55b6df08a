// Lines that libraries print to a stream by themselves, such as LibTorch's warnings and glog's,
// caught and written to the log in its own format.
#ifndef STYLEX_SERVER_TELEMETRY_STRAY_OUTPUT_H_
#define STYLEX_SERVER_TELEMETRY_STRAY_OUTPUT_H_

#include <functional>
#include <string>
#include <thread>

namespace stylex {

// Puts a pipe in the place of a file descriptor, for its lifetime, and reads it on a thread of its
// own: whoever prints never waits for the log.
class StrayOutput {
 public:
  // `on_line` gets each line, without its end and cut at kLongestLine, on that thread. It must not
  // print to `file` itself. Where no pipe can be made, the file stays as it is.
  StrayOutput(int file, std::function<void(const std::string&)> on_line);
  // Passes on the last lines and restores the file descriptor.
  ~StrayOutput();
  StrayOutput(const StrayOutput&) = delete;
  StrayOutput& operator=(const StrayOutput&) = delete;

  static constexpr size_t kLongestLine = 4096;

 private:
  void Read();

  const int file_;
  const std::function<void(const std::string&)> on_line_;
  int before_ = -1;  // what the file was
  int pipe_ = -1;    // the end that is read
  std::thread thread_;
};

}  // namespace stylex

#endif  // STYLEX_SERVER_TELEMETRY_STRAY_OUTPUT_H_
