// The page's own files, which the build compiles in: report.html (the template), report.css,
// report.js.
#ifndef STYLEX_CLIENT_REPORT_RESOURCES_H_
#define STYLEX_CLIENT_REPORT_RESOURCES_H_

#include <string_view>

namespace stylex {

// Markup with {{names}} where something is filled in.
extern const std::string_view kReportTemplate;
extern const std::string_view kReportStyle;
extern const std::string_view kReportScript;

}  // namespace stylex

#endif  // STYLEX_CLIENT_REPORT_RESOURCES_H_
