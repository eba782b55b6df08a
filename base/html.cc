#include "base/html.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/sha256.h"

namespace stylex {

std::string EscapeHtml(std::string_view text) {
  return absl::StrReplaceAll(
      absl::string_view(text.data(), text.size()),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string JsonInScript(std::string_view json) {
  return absl::StrReplaceAll(absl::string_view(json.data(), json.size()),
                             {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}});
}

std::string PolicySource(std::string_view text) {
  return absl::StrCat("'sha256-", absl::Base64Escape(Sha256Bytes(text)), "'");
}

}  // namespace stylex
