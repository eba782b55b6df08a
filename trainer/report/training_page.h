// The training page, WORK/report.html: one self-contained file that shows how a run goes, and other
// runs beside it.
#ifndef STYLEX_TRAINER_REPORT_TRAINING_PAGE_H_
#define STYLEX_TRAINER_REPORT_TRAINING_PAGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "trainer/report/run_status.h"

namespace stylex {

// Writes the page to a file, whole or not at all; reads logs and pictures of the runs, the first of
// which the page is about. It loads nothing: pictures are data URIs, style and script stand in it,
// and its content security policy allows no more. All text from outside is data that the script
// writes as text.
absl::Status WriteTrainingPage(const std::vector<ObservedRun>& runs, absl::Time now,
                               const std::string& path);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_TRAINING_PAGE_H_
