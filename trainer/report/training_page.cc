#include "trainer/report/training_page.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/sha256.h"
#include "trainer/report/resources.h"
#include "trainer/report/run_data.h"

namespace stylex {
namespace {

std::string PolicyHash(std::string_view text) {
  return absl::StrCat("'sha256-", absl::Base64Escape(Sha256Bytes(text)), "'");
}

// As it may stand in a script element: without the characters that end one.
std::string ScriptText(const nlohmann::json& json) {
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return absl::StrReplaceAll(text, {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}});
}

}  // namespace

absl::Status WriteTrainingPage(const std::vector<ObservedRun>& runs, absl::Time now,
                               const std::string& path) {
  nlohmann::json data = {{"written", absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone())},
                         {"runs", nlohmann::json::array()}};
  for (const ObservedRun& run : runs) {
    data["runs"].push_back(RunData(run, now));
  }
  const std::string policy = absl::StrCat(
      "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; ", "style-src ",
      PolicyHash(kTrainingStyle), "; script-src ", PolicyHash(kTrainingScript));
  const std::map<std::string, std::string> texts = {{"{{policy}}", policy},
                                                    {"{{style}}", std::string(kTrainingStyle)},
                                                    {"{{script}}", std::string(kTrainingScript)},
                                                    {"{{data}}", ScriptText(data)}};
  return WriteFileAtomic(path, absl::StrReplaceAll(std::string(kTrainingTemplate), texts));
}

}  // namespace stylex
