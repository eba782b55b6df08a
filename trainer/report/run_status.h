// How far a run is, and what is wrong with it, in plain words.
#ifndef STYLEX_TRAINER_REPORT_RUN_STATUS_H_
#define STYLEX_TRAINER_REPORT_RUN_STATUS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/report/run_log.h"

namespace stylex {

enum class RunState { kRunning, kStopped, kFinished, kFailed };

// A run as far as it is known.
struct ObservedRun {
  std::string work_directory;
  RunLog log;
  std::optional<v1::TrainConfig> config;
  std::optional<RunState> state;  // as the training itself tells it; else the log's age is judged
};

struct RunStatus {
  RunState state = RunState::kRunning;
  double at = 0;         // images, or epochs of a classifier
  double of = 0;         // its length; 0: not known
  double rate = 0;       // images or epochs a second; 0: not known
  double left = 0;       // seconds; 0: none, or not known
  std::string sentence;  // all of this
};

RunStatus StatusOf(const ObservedRun& run, absl::Time now);

struct Alarm {
  std::string words;   // what is seen, with its figures
  std::string advice;  // what to do, and where to read about it
};

// What a person should know who does not read curves; empty if nothing is wrong.
std::vector<Alarm> AlarmsOf(const ObservedRun& run, const RunStatus& status);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_RUN_STATUS_H_
