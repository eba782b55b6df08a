// What a running training shows of itself: WORK/report.html, written anew at every look, and events
// for TensorBoard in WORK/tensorboard/.
#ifndef STYLEX_TRAINER_REPORT_TRAINING_REPORT_H_
#define STYLEX_TRAINER_REPORT_TRAINING_REPORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "stylex/v1/train_config.pb.h"
#include "trainer/report/event_file.h"
#include "trainer/report/run_status.h"

namespace stylex {

// A report is not worth a training: what cannot be written is told through `warn`, once, and not
// tried again. Not thread-safe.
class TrainingReport {
 public:
  TrainingReport(const v1::TrainConfig& config, std::string work_directory,
                 std::function<void(const std::string&)> warn);

  // The training goes on after `step`: what events tell of later steps is void.
  void GoOnAfter(int64_t step);
  // Figures of a step or, under "NAME_validation", of a look.
  void Figures(const std::string& event, int64_t step, const std::map<std::string, double>& values);
  // The PNG file at `path`.
  void Picture(const std::string& tag, int64_t step, const std::string& path);
  // Writes the page from what log and samples tell by now.
  void WritePage(RunState state);

 private:
  void Try(const std::function<absl::Status()>& write);

  const v1::TrainConfig& config_;
  const std::string work_directory_;
  const std::function<void(const std::string&)> warn_;
  std::unique_ptr<EventFile> events_;
  bool failed_ = false;
};

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_TRAINING_REPORT_H_
