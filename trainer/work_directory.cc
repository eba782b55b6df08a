#include "trainer/work_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace stylex {
namespace {

constexpr std::chrono::milliseconds kTerminalInterval(200);
constexpr std::chrono::seconds kPlainInterval(30);
constexpr int kBarWidth = 24;

std::string FormatLeft(double seconds) {
  const int64_t s = static_cast<int64_t>(seconds);
  return s >= 3600 ? absl::StrFormat("%dh%02dm", s / 3600, s / 60 % 60)
                   : absl::StrFormat("%dm%02ds", s / 60, s % 60);
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkDirectory>> WorkDirectory::Open(
    const std::string& work_directory, const std::string& state_file, bool resume) {
  std::error_code error;
  std::filesystem::create_directories(work_directory, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat(work_directory, ": cannot be created: ", error.message()));
  }
  STYLEX_ASSIGN_OR_RETURN(FolderLock lock, FolderLock::Take(work_directory));
  const bool exists = std::filesystem::exists(work_directory + "/" + state_file);
  if (exists && !resume) {
    return absl::FailedPreconditionError(
        absl::StrCat(work_directory, ": holds a run already (", state_file,
                     "); go on with it by --resume, or give another --work-dir"));
  }
  return std::unique_ptr<WorkDirectory>(new WorkDirectory(work_directory, std::move(lock), exists));
}

WorkDirectory::WorkDirectory(std::string work_directory, FolderLock lock, bool resuming)
    : work_directory_(std::move(work_directory)),
      lock_(std::move(lock)),
      resuming_(resuming),
      terminal_(isatty(STDERR_FILENO) == 1) {}

WorkDirectory::~WorkDirectory() = default;

absl::Status WorkDirectory::AppendLine(const std::string& line) {
  const std::string path = Path("log.jsonl");
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) {
    return absl::PermissionDeniedError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  const bool written = std::fputs(line.c_str(), file) >= 0;
  if (std::fclose(file) != 0 || !written) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": cannot be written: ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status WorkDirectory::Log(const std::string& event, int64_t step,
                                const std::map<std::string, double>& values) {
  nlohmann::ordered_json line;
  line["event"] = event;
  line["step"] = step;
  line["time"] = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  for (const auto& [name, value] : values) {
    line[name] = value;
  }
  return AppendLine(line.dump() + "\n");
}

absl::Status WorkDirectory::RewindLog(const std::string& event, int64_t step) {
  const std::string path = Path("log.jsonl");
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return absl::IsNotFound(text.status()) ? absl::OkStatus() : text.status();
  }
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
    const auto parsed =
        nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    const bool broken = parsed.is_discarded();  // truncated by a crash
    if (!broken && !(parsed.value("event", "") == event && parsed.value("step", 0L) > step)) {
      absl::StrAppend(&kept, line, "\n");
    }
  }
  return WriteFileAtomic(path, kept);
}

void WorkDirectory::Note(const std::string& message) { Say("note", "", message); }

void WorkDirectory::Warn(const std::string& message) { Say("warning", "warning: ", message); }

void WorkDirectory::Say(const std::string& event, const std::string& prefix,
                        const std::string& message) {
  MutexLock lock(&mutex_);
  std::fprintf(stderr, "%s%s%s\n", terminal_ ? "\r\033[K" : "", prefix.c_str(), message.c_str());
  nlohmann::ordered_json line;
  line["event"] = event;
  line["message"] = message;
  AppendLine(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n")
      .IgnoreError();
}

void WorkDirectory::Start(const std::string& what, int64_t done, int64_t total) {
  what_ = what;
  first_ = done;
  total_ = total;
  started_ = SteadyClock::now();
  printed_ = terminal_ ? started_ - kTerminalInterval : started_;
}

void WorkDirectory::Advance(int64_t done, const std::string& note) {
  const SteadyClock::time_point now = SteadyClock::now();
  if (now - printed_ >= (terminal_ ? kTerminalInterval : kPlainInterval)) {
    printed_ = now;
    PrintProgress(done, note);
  }
}

void WorkDirectory::PrintProgress(int64_t done, const std::string& note) {
  const double seconds =
      std::max(1e-3, std::chrono::duration<double>(SteadyClock::now() - started_).count());
  const double rate = static_cast<double>(done - first_) / seconds;
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  const std::string numbers =
      absl::StrFormat("%d/%d %.1f/s %s left %s", done, total_, rate, FormatLeft(left), note);
  MutexLock lock(&mutex_);
  if (terminal_) {
    const int filled = static_cast<int>(kBarWidth * done / std::max<int64_t>(1, total_));
    std::fprintf(stderr, "\r\033[K%s [%s%s] %s", what_.c_str(), std::string(filled, '#').c_str(),
                 std::string(std::max(0, kBarWidth - filled), '.').c_str(), numbers.c_str());
    std::fflush(stderr);
  } else {
    std::fprintf(stderr, "%s %s\n", what_.c_str(), numbers.c_str());
  }
}

void WorkDirectory::End() {
  PrintProgress(total_, "");
  if (terminal_) {
    std::fprintf(stderr, "\n");
  }
}

}  // namespace stylex
