#include "client/progress.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace stylex {
namespace {

constexpr size_t kBarWidth = 20;
constexpr std::chrono::milliseconds kDrawInterval(100);

std::string DurationText(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  return whole < 60     ? absl::StrCat(whole, " s")
         : whole < 3600 ? absl::StrFormat("%d:%02d min", whole / 60, whole % 60)
                        : absl::StrFormat("%d:%02d h", whole / 3600, whole / 60 % 60);
}

}  // namespace

std::string ProgressText(size_t done, size_t resumed, size_t total, double seconds) {
  const size_t filled = total == 0 ? kBarWidth : kBarWidth * done / total;
  std::string text = absl::StrCat("[", std::string(filled, '#'),
                                  std::string(kBarWidth - filled, '-'), "] ", done, " of ", total);
  const double rate = seconds > 0 ? static_cast<double>(done - resumed) / seconds : 0;
  if (rate > 0) {
    absl::StrAppend(&text, absl::StrFormat(", %.1f a second, ", rate),
                    DurationText(static_cast<double>(total - done) / rate), " left");
  }
  return text;
}

ProgressLine::ProgressLine(size_t total) : total_(total), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Draw(size_t done, size_t resumed) {
  const Clock::time_point now = Clock::now();
  if (!terminal_ || (done < total_ && now - drawn_ < kDrawInterval)) {
    return;
  }
  drawn_ = now;
  const double seconds = std::chrono::duration<double>(now - started_).count();
  std::fprintf(stderr, "\r\033[K%s", ProgressText(done, resumed, total_, seconds).c_str());
}

void ProgressLine::Clear() const {
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K");
  }
}

}  // namespace stylex
