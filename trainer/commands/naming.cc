#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/appearance.h"
#include "models/checkpoint.h"
#include "models/checkpoint/json_message.h"
#include "models/checkpoint/version_directory.h"
#include "trainer/commands/commands.h"
#include "trainer/commands/opening.h"
#include "trainer/data/encoded_images.h"
#include "trainer/data/utf8.h"
#include "trainer/study/attribute_description.h"
#include "trainer/training/model_card.h"
#include "trainer/work_directory.h"

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

std::string Spelled(const Coordinate& coordinate) {
  return absl::StrCat(coordinate.index, coordinate.direction == 0 ? ":min" : ":max");
}

// A name that says a change must say one that was measured. Before `describe` any name may do.
absl::Status CheckMeasured(const v1::Attribute& attribute, const std::string& name) {
  const std::vector<std::string> unmeasured = UnmeasuredWords(name, attribute.changes());
  if (attribute.changes().empty() || unmeasured.empty()) {
    return absl::OkStatus();
  }
  std::vector<std::string> measured;
  for (const v1::AttributeChange& change : attribute.changes()) {
    measured.push_back(change.words());
  }
  return absl::FailedPreconditionError(absl::StrCat(
      Spelled(ToCoordinate(attribute)), " is to be named \"", name,
      "\", but was not measured to become ", absl::StrJoin(unmeasured, ", "),
      "; measured: ", absl::StrJoin(measured, ", "), " (--anyway: name it so all the same)"));
}

// The attributes of an index, whatever their class, each once.
std::vector<Coordinate> CoordinatesOf(const v1::AttributeIndex& index) {
  std::vector<Coordinate> coordinates;
  for (const v1::ClassAttributes& of_class : index.classes()) {
    for (const v1::Attribute& attribute : of_class.attributes()) {
      const Coordinate coordinate = ToCoordinate(attribute);
      if (std::find(coordinates.begin(), coordinates.end(), coordinate) == coordinates.end()) {
        coordinates.push_back(coordinate);
      }
    }
  }
  return coordinates;
}

absl::StatusOr<std::map<std::string, std::string>> ReadPlaceWords(
    const std::vector<std::string>& texts) {
  std::set<std::string> places;
  for (const AppearanceMeasure& measure : AppearanceMeasures()) {
    places.insert(measure.place);
  }
  places.erase("");
  std::map<std::string, std::string> words;
  for (const std::string& text : texts) {
    const std::vector<std::string> sides = absl::StrSplit(text, absl::MaxSplits('=', 1));
    if (sides.size() != 2 || sides[1].empty() || !IsUtf8(sides[1]) || !places.contains(sides[0])) {
      return absl::InvalidArgumentError(absl::StrCat("--word \"", text,
                                                     "\": expected PLACE=WORD, with a place of ",
                                                     absl::StrJoin(places, ", ")));
    }
    words[sides[0]] = sides[1];
  }
  return words;
}

void Write(const AttributeDescription& description, v1::AttributeIndex* index) {
  for (v1::ClassAttributes& of_class : *index->mutable_classes()) {
    for (v1::Attribute& attribute : *of_class.mutable_attributes()) {
      if (ToCoordinate(attribute) == description.coordinate) {
        attribute.set_description(DescriptionText(description));
        attribute.mutable_changes()->Assign(description.changes.begin(), description.changes.end());
      }
    }
  }
}

nlohmann::json JsonOf(const AttributeDescription& description) {
  nlohmann::json changes = nlohmann::json::array();
  for (const v1::AttributeChange& change : description.changes) {
    changes.push_back({{"words", change.words()},
                       {"change", change.change()},
                       {"effect", change.effect()},
                       {"agreement", change.agreement()}});
  }
  return {{"attribute", Spelled(description.coordinate)},
          {"description", DescriptionText(description)},
          {"changes", changes},
          {"affected", description.affected},
          {"visible_area", description.visible_area},
          {"centre", {description.x, description.y}}};
}

void Print(const AttributeDescription& description) {
  const std::string text = DescriptionText(description);
  std::printf("%s: %s (%.1f %% of the pixels, on %.0f %% of the images)\n",
              Spelled(description.coordinate).c_str(),
              text.empty() ? "nothing that these images have in common" : text.c_str(),
              100 * description.visible_area, 100 * description.affected);
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
        if (!options.anyway) {
          STYLEX_RETURN_IF_ERROR(CheckMeasured(attribute, name->second));
        }
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
      {{kAttributesFile, json},
       {kCardFile, RenewedModelCard(options.checkpoint, config, index, checkpoint.truth)}});
}

absl::Status DescribeCommand(const CommonOptions& common, const DescribeOptions& options) {
  STYLEX_ASSIGN_OR_RETURN(const auto words, ReadPlaceWords(options.words));
  STYLEX_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                          OpenCheckpoint(common, options.checkpoint, Encoding::kOptional));
  STYLEX_RETURN_IF_ERROR(NeedAttributes(checkpoint));
  STYLEX_RETURN_IF_ERROR(CheckVersionCanBeUpdated(options.checkpoint));
  STYLEX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenDataOf(checkpoint.model.config(), common));
  STYLEX_ASSIGN_OR_RETURN(
      const std::unique_ptr<WorkDirectory> run,
      WorkDirectory::Open(common.work_directory, "describe_state", /*resume=*/true));
  STYLEX_ASSIGN_OR_RETURN(const EncodedImages images,
                          EncodeImages(checkpoint.model, *dataset, Split::kValidation,
                                       options.images, common.seed, run.get()));
  v1::AttributeIndex index = *checkpoint.attributes;
  nlohmann::json json = nlohmann::json::array();
  for (AttributeDescription& description :
       DescribeAttributes(checkpoint.model, images.styles, RangesFromIndex(index), index.shift(),
                          CoordinatesOf(index), run.get())) {
    Reword(words, &description);
    Print(description);
    Write(description, &index);
    json.push_back(JsonOf(description));
  }
  STYLEX_RETURN_IF_ERROR(WriteFileAtomic(run->Path("descriptions.json"), json.dump(2) + "\n"));
  v1::ModelConfig config = checkpoint.model.config();
  config.mutable_provenance()->add_commands(common.command_line);
  STYLEX_ASSIGN_OR_RETURN(const std::string attributes, ToJson(index));
  return UpdateVersion(
      options.checkpoint, config,
      {{kAttributesFile, attributes},
       {kCardFile, RenewedModelCard(options.checkpoint, config, index, checkpoint.truth)}});
}

}  // namespace stylex
