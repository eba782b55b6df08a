#include "trainer/report/training_page.h"

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/html.h"
#include "trainer/report/resources.h"
#include "trainer/report/run_data.h"

namespace stylex {

absl::Status WriteTrainingPage(const std::vector<ObservedRun>& runs, absl::Time now,
                               const std::string& path) {
  nlohmann::json data = {{"written", absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone())},
                         {"runs", nlohmann::json::array()}};
  for (const ObservedRun& run : runs) {
    data["runs"].push_back(RunData(run, now));
  }
  const std::string json = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string policy = absl::StrCat(
      "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; ", "style-src ",
      PolicySource(kTrainingStyle), "; script-src ", PolicySource(kTrainingScript));
  const std::map<std::string, std::string> texts = {{"{{policy}}", policy},
                                                    {"{{style}}", std::string(kTrainingStyle)},
                                                    {"{{script}}", std::string(kTrainingScript)},
                                                    {"{{data}}", JsonInScript(json)}};
  return WriteFileAtomic(path, absl::StrReplaceAll(std::string(kTrainingTemplate), texts));
}

}  // namespace stylex
