// What the training page knows of a run, as the JSON that its script reads.
#ifndef STYLEX_TRAINER_REPORT_RUN_DATA_H_
#define STYLEX_TRAINER_REPORT_RUN_DATA_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/time/time.h"
#include "trainer/report/run_status.h"

namespace stylex {

// Name, status, alarms, curves (of many points means with least and greatest), and pictures: of the
// first photographs at up to kShownLooks looks, and of the worst reconstructions at the newest look
// that has them. Sheets that cannot be read are named in "unreadable".
nlohmann::json RunData(const ObservedRun& run, absl::Time now);

inline constexpr size_t kShownLooks = 24;
inline constexpr size_t kShownPhotographs = 8;
inline constexpr size_t kCurvePoints = 80;

// Up to `most` of them, the first and the last included, evenly spaced.
std::vector<int64_t> Thinned(const std::vector<int64_t>& looks, size_t most);

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_RUN_DATA_H_
