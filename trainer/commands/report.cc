#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "trainer/commands/commands.h"
#include "trainer/report/training_page.h"
#include "trainer/training/run_record.h"

namespace stylex {
namespace {

// What a work directory holds. The state, which knows the run's length, is not there before the
// training has begun, and may be one of another version.
absl::StatusOr<ObservedRun> Observe(const std::string& work_directory) {
  STYLEX_ASSIGN_OR_RETURN(RunLog log, ReadRunLog(work_directory));
  ObservedRun run{
      .work_directory = work_directory, .log = std::move(log), .config = {}, .state = {}};
  const std::string state = absl::StrCat(work_directory, "/", run.log.name, "_state.pt");
  if (std::filesystem::exists(state)) {
    if (const absl::StatusOr<StoredRun> stored = ReadStoredRun(state);
        stored.ok() && stored->complete) {
      run.config = stored->record.config();
    }
  }
  return run;
}

}  // namespace

absl::Status ReportCommand(const ReportOptions& options) {
  std::vector<ObservedRun> runs;
  STYLEX_ASSIGN_OR_RETURN(runs.emplace_back(), Observe(options.work_directory));
  for (const std::string& other : options.compare) {
    STYLEX_ASSIGN_OR_RETURN(runs.emplace_back(), Observe(other));
  }
  const std::string path =
      options.output.empty() ? options.work_directory + "/report.html" : options.output;
  STYLEX_RETURN_IF_ERROR(WriteTrainingPage(runs, absl::Now(), path));
  std::printf("wrote %s\n", path.c_str());
  return absl::OkStatus();
}

}  // namespace stylex
