// One self-contained HTML page over all explained photographs.
#ifndef STYLEX_CLIENT_REPORT_H_
#define STYLEX_CLIENT_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/explanation.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// No script, nothing loaded from elsewhere: images are data URIs. Everything that came from outside
// (labels, names, paths) is escaped.
absl::StatusOr<std::string> RenderReport(const v1::Model& model,
                                         const std::vector<Explanation>& explanations);

// & < > " ' as entities.
std::string EscapeHtml(const std::string& text);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_H_
