// The page's own files, which the build compiles in: training_page.html (the template), .css, .js.
#ifndef STYLEX_TRAINER_REPORT_RESOURCES_H_
#define STYLEX_TRAINER_REPORT_RESOURCES_H_

#include <string_view>

namespace stylex {

// Markup in which {{policy}}, {{style}}, {{data}} and {{script}} are filled in.
extern const std::string_view kTrainingTemplate;
extern const std::string_view kTrainingStyle;
extern const std::string_view kTrainingScript;

}  // namespace stylex

#endif  // STYLEX_TRAINER_REPORT_RESOURCES_H_
