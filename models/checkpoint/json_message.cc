#include "models/checkpoint/json_message.h"

#include <google/protobuf/util/json_util.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace stylex {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return absl::InternalError(std::string(status.message()));
  }
  return json;
}

namespace {

// The library's message shows a piece of the text and, in a line below it, a caret, which means
// nothing once lines are shifted: one line, without it.
std::string InOneLine(const std::string& message) {
  std::vector<std::string> lines;
  for (const absl::string_view part : absl::StrSplit(message, '\n')) {
    std::string line(absl::StripAsciiWhitespace(part));
    if (!line.empty() && line != "^") {
      lines.push_back(std::move(line));
    }
  }
  return absl::StrJoin(lines, " near: ");
}

}  // namespace

absl::Status FromJson(const std::string& json, const std::string& origin,
                      google::protobuf::Message* message) {
  message->Clear();
  const auto status = google::protobuf::util::JsonStringToMessage(json, message);
  if (!status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": not a valid ",
                                                   message->GetDescriptor()->name(), ": ",
                                                   InOneLine(std::string(status.message()))));
  }
  return absl::OkStatus();
}

absl::Status ReadJsonMessage(const std::string& path, google::protobuf::Message* message) {
  STYLEX_ASSIGN_OR_RETURN(const std::string json, ReadFile(path, kMaxJsonBytes));
  return FromJson(json, path, message);
}

absl::Status WriteJsonMessage(const google::protobuf::Message& message, const std::string& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string json, ToJson(message));
  return WriteFileAtomic(path, json);
}

}  // namespace stylex
