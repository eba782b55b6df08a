// The live page's own files, which the build compiles in.
#ifndef STYLEX_SERVER_WEB_RESOURCES_H_
#define STYLEX_SERVER_WEB_RESOURCES_H_

#include <string_view>

namespace stylex {

// live.html: markup with {{names}} where something is filled in.
extern const std::string_view kLiveTemplate;
// page.css and live.css.
extern const std::string_view kLiveStyle;
// page.js and live.js.
extern const std::string_view kLiveScript;

}  // namespace stylex

#endif  // STYLEX_SERVER_WEB_RESOURCES_H_
