// Recognises common files that cannot be decoded here, for error messages.
#ifndef STYLEX_IMAGE_FORMAT_NAMES_H_
#define STYLEX_IMAGE_FORMAT_NAMES_H_

#include <string>
#include <string_view>

namespace stylex {

// What the first bytes show, and what to do, e.g. "a HEIC file (a photograph of a phone); ...";
// empty where they show nothing.
std::string DescribeOtherFormat(std::string_view data);

}  // namespace stylex

#endif  // STYLEX_IMAGE_FORMAT_NAMES_H_
