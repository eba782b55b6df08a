// One self-contained HTML page with all explained photographs.
#ifndef STYLEX_CLIENT_REPORT_REPORT_H_
#define STYLEX_CLIENT_REPORT_REPORT_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/report/overview.h"

namespace stylex {

// The pictures of photograph `index` as page JSON (facts.h): asked for one after the other, so that
// a page of thousands need not fit into memory.
using PictureSource = std::function<absl::StatusOr<std::string>(size_t index)>;

// Writes the page to a file, whole or not at all. It loads nothing: pictures are data URIs, style
// and script stand in it, and its content security policy allows no more. All external text
// (labels, names, paths) is data that the script writes as text, or escaped.
absl::Status WriteReport(const ReportInputs& inputs, const PictureSource& pictures,
                         const std::string& path);

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_REPORT_H_
