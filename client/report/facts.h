// What is said of one explained photograph, and its pictures, as JSON: the entries of report.json
// and what the page shows.
#ifndef STYLEX_CLIENT_REPORT_FACTS_H_
#define STYLEX_CLIENT_REPORT_FACTS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/report/explanation.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// Increase it with every change of what FactsOf and PicturesOf give: kept records have them.
inline constexpr int kFactsFormat = 2;

// Everything but pictures. The model gives the labels of the classes.
nlohmann::json FactsOf(const v1::Model& model, const ExplainedPhotograph& explanation);

// The pictures as data URIs, drawn ones marked as synthetic: "photograph", "reconstruction",
// "counterfactual", "difference", "on_photograph" (only where the change holds there), and
// "frames", for each move a list of {"shift", "probability", "picture"}. INVALID_ARGUMENT for a
// picture that cannot be encoded.
absl::StatusOr<nlohmann::json> PicturesOf(const ExplainedPhotograph& explanation);

// "data:image/png;base64,…" of a whole file.
std::string DataUri(const std::string& file);

// The same as one line of JSON that may stand inside a script element of a page: without the
// characters that end one. What is not UTF-8 is replaced.
std::string ToPageJson(const nlohmann::json& json);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_FACTS_H_
