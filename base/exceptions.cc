#include "base/exceptions.h"

#include <new>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace stylex {

std::string CauseOf(const std::exception& error) {
  const std::string what = error.what();
  const std::vector<std::string> lines = absl::StrSplit(what, '\n', absl::SkipWhitespace());
  if (lines.empty()) {
    return "an exception without a message";
  }
  if (!absl::StrContains(what, "Traceback of TorchScript")) {
    return std::string(absl::StripAsciiWhitespace(lines.front()));
  }
  // "RuntimeError: the cause", perhaps over several lines, follows the traceback's last place.
  for (size_t i = lines.size(); i-- > 0;) {
    const size_t colon = lines[i].find(": ");
    if (colon != std::string::npos && lines[i].find(' ') > colon) {
      return lines[i];
    }
  }
  return lines.back();
}

absl::Status StatusOfException() noexcept {
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError("out of memory");
    } catch (const std::exception& error) {
      return absl::InternalError(CauseOf(error));
    } catch (...) {
      return absl::InternalError("an exception of an unknown kind");
    }
  } catch (...) {  // no memory for the text
    return {absl::StatusCode::kResourceExhausted, ""};
  }
}

}  // namespace stylex
