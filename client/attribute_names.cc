#include "client/attribute_names.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/commands.h"

namespace stylex {
namespace {

// What starts with a number is an index, however wrong the rest of it.
bool IsNumbered(const std::string& text) {
  return text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0])) ||
         text[0] == '-' || text[0] == '+';
}

bool IsCalled(const v1::Attribute& attribute, const std::string& name) {
  return (!attribute.name().empty() && absl::EqualsIgnoreCase(attribute.name(), name)) ||
         (!attribute.description().empty() &&
          absl::EqualsIgnoreCase(attribute.description(), name));
}

absl::Status NoSuchAttribute(const v1::Model& model, const std::string& name) {
  std::set<std::string> known;
  for (const v1::ClassAttributes& of_class : model.attributes().classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      for (const std::string& text : {attribute.name(), attribute.description()}) {
        if (!text.empty()) {
          known.insert(absl::StrCat("\"", text, "\""));
        }
      }
    }
  }
  return absl::NotFoundError(
      absl::StrCat("no attribute of ", model.summary().name(), " is called \"", name, "\"; ",
                   known.empty() ? "none has a name, give INDEX, INDEX:min or INDEX:max"
                                 : absl::StrCat("there are ", absl::StrJoin(known, ", "))));
}

}  // namespace

absl::StatusOr<v1::Attribute> FindAttribute(const v1::Model& model, const std::string& name) {
  const v1::Attribute* found = nullptr;
  for (const v1::ClassAttributes& of_class : model.attributes().classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      if (!IsCalled(attribute, name)) {
        continue;
      }
      if (found != nullptr &&
          (found->index() != attribute.index() || found->direction() != attribute.direction())) {
        return absl::InvalidArgumentError(
            absl::StrCat("attributes ", found->index(), " and ", attribute.index(),
                         " are both called \"", name, "\"; give one as INDEX:min or INDEX:max"));
      }
      found = &attribute;
    }
  }
  if (found == nullptr) {
    return NoSuchAttribute(model, name);
  }
  return *found;
}

absl::StatusOr<v1::Attribute> ResolveAttribute(const ConnectionOptions& connection,
                                               v1::ExplanationService::Stub* stub,
                                               const std::string& text) {
  if (IsNumbered(text)) {
    return ParseAttribute(text);
  }
  STYLEX_ASSIGN_OR_RETURN(const v1::Model model, DescribeModel(connection, stub, connection.model));
  return FindAttribute(model, text);
}

absl::StatusOr<v1::StyleEdit> ResolveEdit(const ConnectionOptions& connection,
                                          v1::ExplanationService::Stub* stub,
                                          const std::string& text) {
  const size_t colon = text.rfind(':');
  double shift = 0;
  if (IsNumbered(text) || colon == std::string::npos ||
      !absl::SimpleAtod(text.substr(colon + 1), &shift)) {
    return ParseEdit(text);
  }
  STYLEX_ASSIGN_OR_RETURN(const v1::Attribute attribute,
                          ResolveAttribute(connection, stub, text.substr(0, colon)));
  v1::StyleEdit edit;
  edit.set_index(attribute.index());
  edit.set_direction(attribute.direction());
  edit.set_shift(shift);
  return edit;
}

}  // namespace stylex
