// All explained photographs together: counts, which class becomes which, what classes go by; and
// the files report.json and report.csv.
#ifndef STYLEX_CLIENT_REPORT_OVERVIEW_H_
#define STYLEX_CLIENT_REPORT_OVERVIEW_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "stylex/v1/explanation.pb.h"

namespace stylex {

struct FailedFile {
  std::string path;
  std::string error;
};

// A picture before and after one attribute of the index was moved to its extreme.
struct AttributePair {
  int class_id = 0;
  int attribute = 0;
  v1::Direction direction = v1::DIRECTION_UNSPECIFIED;
  std::string of;             // the photograph that it was drawn from
  std::string before, after;  // data URIs
  std::string words;          // what it changes in this picture; may be empty
};

struct ReportInputs {
  v1::Model model;
  std::vector<nlohmann::json> facts;  // of each photograph, see facts.h
  std::vector<FailedFile> failed;
  size_t asked = 0;  // files that were to be explained: more than those above after an interruption
  std::vector<AttributePair> pairs;  // may be empty
};

// So many attributes of a class are shown.
inline constexpr int kAttributesShown = 4;

// What stands above the photographs, without them: "model", "counts", "matrix", "attributes",
// "limits", "legend", "failed".
nlohmann::json OverviewOf(const ReportInputs& inputs);

// report.json: the overview without pictures, and "photographs", the facts.
std::string ReportJson(const ReportInputs& inputs);

// report.csv (RFC 4180): a header, then a line for each file, explained or failed.
std::string ReportCsv(const ReportInputs& inputs);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_OVERVIEW_H_
