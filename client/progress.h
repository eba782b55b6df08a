// How far a job is: a line on the terminal that is drawn again and again.
#ifndef STYLEX_CLIENT_PROGRESS_H_
#define STYLEX_CLIENT_PROGRESS_H_

#include <chrono>
#include <cstddef>
#include <string>

namespace stylex {

// "[######--------------] 31 of 100, 6.2 a second, 11 s left". `done` of `total` after `seconds`,
// of which `resumed` were done before and do not count for the rate.
std::string ProgressText(size_t done, size_t resumed, size_t total, double seconds);

// Draws the line on stderr if that is a terminal; else does nothing. Not thread-safe.
class ProgressLine {
 public:
  explicit ProgressLine(size_t total);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Clears the line.
  ~ProgressLine();

  // Draws the line anew, at most ten times a second unless all is done.
  void Draw(size_t done, size_t resumed);
  // Before other text is written to the terminal.
  void Clear() const;

 private:
  using Clock = std::chrono::steady_clock;

  const size_t total_;
  const bool terminal_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_;
};

}  // namespace stylex

#endif  // STYLEX_CLIENT_PROGRESS_H_
