// What a run has written into its log.jsonl, read again.
#ifndef STYLEX_TRAINER_REPORT_RUN_LOG_H_
#define STYLEX_TRAINER_REPORT_RUN_LOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace stylex {

// One line with figures.
struct LogLine {
  double at = 0;  // images that the run had seen or, where it does not count them, its step
  absl::Time time;
  std::map<std::string, double> figures;  // finite ones; without at and time
};

struct RunLog {
  std::string name;             // of the run: "stylex", "classifier"; empty before its first line
  bool counts_images = false;   // whether `at` counts images
  std::vector<LogLine> steps;   // in the order of `at`
  std::vector<LogLine> checks;  // on validation images
  std::vector<std::string> notes;
  std::vector<std::string> warnings;

  // The last time of all lines; the beginning of time without any.
  absl::Time last() const;
};

// The log of a work directory, also while a run writes it: a line that is cut off is left out.
// NOT_FOUND without a log.
absl::StatusOr<RunLog> ReadRunLog(const std::string& work_directory);

// Images (else epochs) a second over the newest stretch of the log, about a tenth of it and at
// least two lines, without pauses between runs; 0: not known.
double ProgressPerSecond(const RunLog& log);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_RUN_LOG_H_
