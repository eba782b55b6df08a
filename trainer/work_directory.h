// The folder that a command works in: its lock, its log, its progress bar, its warnings.
#ifndef STYLEX_TRAINER_WORK_DIRECTORY_H_
#define STYLEX_TRAINER_WORK_DIRECTORY_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/folder_lock.h"
#include "base/mutex.h"
#include "trainer/data/progress.h"

namespace stylex {

// A lock file allows only one run at a time in a work directory. Warn is thread-safe; all else must
// be called from one thread.
class WorkDirectory : public Progress {
 public:
  // Creates the folder. `state_file` is where this kind of run keeps its state: if it exists,
  // `resume` must be set (else FAILED_PRECONDITION), so that no run is overwritten by mistake.
  static absl::StatusOr<std::unique_ptr<WorkDirectory>> Open(const std::string& work_directory,
                                                             const std::string& state_file,
                                                             bool resume);
  ~WorkDirectory() override;
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;

  const std::string& path() const { return work_directory_; }
  // Path of a file in it.
  std::string Path(const std::string& name) const { return work_directory_ + "/" + name; }
  // True when a state file existed and is resumed.
  bool resuming() const { return resuming_; }

  // Appends {"event": event, "step": step, "time": ..., values...} to log.jsonl as one line.
  absl::Status Log(const std::string& event, int64_t step,
                   const std::map<std::string, double>& values);
  // Removes log lines of `event` with a step greater than `step`: they will be written again.
  absl::Status RewindLog(const std::string& event, int64_t step);

  // Writes one line to stderr and to the log: Note for information, Warn for possible problems.
  void Note(const std::string& message);
  void Warn(const std::string& message) override;

  // On a terminal, a progress bar with rate and time left; elsewhere a plain line every 30 s.
  void Start(const std::string& what, int64_t done, int64_t total) override;
  void Advance(int64_t done, const std::string& note) override;
  void End() override;

 private:
  // Rate and time left are right also when somebody sets the computer's clock.
  using SteadyClock = std::chrono::steady_clock;

  WorkDirectory(std::string work_directory, FolderLock lock, bool resuming);
  void PrintProgress(int64_t done, const std::string& note);
  void Say(const std::string& event, const std::string& prefix, const std::string& message);
  absl::Status AppendLine(const std::string& line);

  std::string work_directory_;
  FolderLock lock_;
  bool resuming_;
  bool terminal_;
  Mutex mutex_;
  std::string what_;
  int64_t first_ = 0;
  int64_t total_ = 0;
  SteadyClock::time_point started_;
  SteadyClock::time_point printed_;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_WORK_DIRECTORY_H_
