// One self-contained HTML page with all explained photographs.
#ifndef STYLEX_CLIENT_REPORT_H_
#define STYLEX_CLIENT_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/explanation.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// Contains no scripts and loads nothing: images are data URIs. All external text (labels, names,
// paths) is escaped.
absl::StatusOr<std::string> RenderReport(const v1::Model& model,
                                         const std::vector<Explanation>& explanations);

// Replaces & < > " ' by entities.
std::string EscapeHtml(const std::string& text);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_H_
