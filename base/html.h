// Text that goes into HTML pages.
#ifndef STYLEX_BASE_HTML_H_
#define STYLEX_BASE_HTML_H_

#include <string>
#include <string_view>

namespace stylex {

// Replaces & < > " ' by entities: for text and for attributes in quotes.
std::string EscapeHtml(std::string_view text);

// JSON as it may stand in a script element: the same document, without the characters that could
// end the element.
std::string JsonInScript(std::string_view json);

// What a content security policy says of an inline style or script that it lets in:
// 'sha256-BASE64', quotes included.
std::string PolicySource(std::string_view text);

}  // namespace stylex

#endif  // STYLEX_BASE_HTML_H_
