#include "trainer/report/training_report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "trainer/report/run_log.h"
#include "trainer/report/training_page.h"

namespace stylex {

TrainingReport::TrainingReport(const v1::TrainConfig& config, std::string work_directory,
                               std::function<void(const std::string&)> warn)
    : config_(config), work_directory_(std::move(work_directory)), warn_(std::move(warn)) {}

void TrainingReport::Try(const std::function<absl::Status()>& write) {
  if (failed_) {
    return;
  }
  if (const absl::Status status = write(); !status.ok()) {
    failed_ = true;
    warn_(absl::StrCat("no report is written any more: ", status.message()));
  }
}

void TrainingReport::GoOnAfter(int64_t step) {
  Try([&]() -> absl::Status {
    STYLEX_ASSIGN_OR_RETURN(events_, EventFile::Create(work_directory_ + "/tensorboard", step + 1));
    return absl::OkStatus();
  });
}

void TrainingReport::Figures(const std::string& event, int64_t step,
                             const std::map<std::string, double>& values) {
  Try([&] { return events_->WriteFigures(step, event, values); });
}

void TrainingReport::Picture(const std::string& tag, int64_t step, const std::string& path) {
  Try([&]() -> absl::Status {
    STYLEX_ASSIGN_OR_RETURN(const std::string png, ReadFile(path));
    return events_->WritePicture(step, tag, png);
  });
}

void TrainingReport::WritePage(RunState state) {
  Try([&]() -> absl::Status {
    STYLEX_ASSIGN_OR_RETURN(RunLog log, ReadRunLog(work_directory_));
    return WriteTrainingPage({{.work_directory = work_directory_,
                               .log = std::move(log),
                               .config = config_,
                               .state = state}},
                             absl::Now(), work_directory_ + "/report.html");
  });
}

}  // namespace stylex
