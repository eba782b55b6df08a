#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/data/utf8.h"
#include "trainer/training/model_card.h"

namespace stylex {
namespace {

constexpr size_t kLongestName = 64;

using Named = std::pair<int32_t, v1::Direction>;

absl::Status ReadNaming(const std::string& text, std::map<Named, std::string>* names) {
  const std::vector<std::string> sides = absl::StrSplit(text, absl::MaxSplits('=', 1));
  const std::vector<std::string> parts = absl::StrSplit(sides[0], ':');
  int32_t index = 0;
  if (sides.size() != 2 || parts.size() != 2 || !absl::SimpleAtoi(parts[0], &index) ||
      (parts[1] != "min" && parts[1] != "max")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" names no attribute; expected INDEX:min=NAME or INDEX:max=NAME"));
  }
  const std::string& name = sides[1];
  if (name.size() > kLongestName || !IsUtf8(name) ||
      std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == '|'; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\": a name is UTF-8 of at most ", kLongestName,
                     " bytes on one line, without the bar that divides a table's columns"));
  }
  (*names)[{index, parts[1] == "min" ? v1::DIRECTION_TO_MIN : v1::DIRECTION_TO_MAX}] = name;
  return absl::OkStatus();
}

}  // namespace

absl::Status NameCommand(const CommonOptions& common, const NameOptions& options) {
  std::map<Named, std::string> names;
  for (const std::string& text : options.names) {
    STYLEX_RETURN_IF_ERROR(ReadNaming(text, &names));
  }
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          OpenCheckpoint(common, options.checkpoint, Encoding::kOptional));
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  v1::AttributeIndex index = *checkpoint.attributes;
  std::set<Named> found;
  for (v1::ClassAttributes& of_class : *index.mutable_classes()) {
    for (v1::Attribute& attribute : *of_class.mutable_attributes()) {
      const Named named(attribute.index(), attribute.direction());
      if (const auto name = names.find(named); name != names.end()) {
        attribute.set_name(name->second);
        found.insert(named);
      }
    }
  }
  for (const auto& [named, name] : names) {
    if (!found.contains(named)) {
      return absl::NotFoundError(absl::StrCat(
          options.checkpoint, ": its index has no attribute ", named.first, ":",
          named.second == v1::DIRECTION_TO_MIN ? "min" : "max", ", to be named \"", name, "\""));
    }
  }
  const v1::ModelConfig& config = checkpoint.model.config();
  STYLEX_ASSIGN_OR_RETURN(const std::string json, ToJson(index));
  return UpdateVersion(
      options.checkpoint, config,
      {{kAttributesFile, json}, {kCardFile, RenewedModelCard(options.checkpoint, config, index)}});
}

}  // namespace stylex
