#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "trainer/data/class_names.h"
#include "trainer/data/dataset.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

constexpr char kAttributes[] = "list_attr_celeba.txt";
constexpr char kPartition[] = "list_eval_partition.txt";
constexpr char kImages[] = "img_align_celeba";
constexpr int kTrainingPart = 0;
constexpr int kValidationPart = 1;
constexpr int kTestPart = 2;

struct Place {
  fs::path folder;
  std::string attribute;  // empty: none given
};

// Folder names may contain colons: the attribute follows the last one.
Place PlaceOf(const std::string& path) {
  std::error_code ignored;
  if (fs::is_regular_file(fs::path(path) / kAttributes, ignored)) {
    return {path, ""};
  }
  const size_t colon = path.rfind(':');
  return colon == std::string::npos ? Place{path, ""}
                                    : Place{path.substr(0, colon), path.substr(colon + 1)};
}

// The words of a non-empty line, with the line's number.
struct Line {
  int64_t number;
  std::vector<std::string> words;
};

absl::StatusOr<std::vector<Line>> ReadLines(const fs::path& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::string text, ReadFile(path.string()));
  std::vector<Line> lines;
  int64_t number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (!words.empty()) {
      lines.push_back({number, std::move(words)});
    }
  }
  return lines;
}

absl::Status Fault(const fs::path& path, int64_t line, absl::string_view fault) {
  return absl::InvalidArgumentError(absl::StrCat(path.string(), ": line ", line, ": ", fault));
}

// Class of each image: 1 where it has the attribute.
absl::StatusOr<std::vector<LabelledFile>> ReadAttribute(const Place& place) {
  const fs::path path = place.folder / kAttributes;
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Line> lines, ReadLines(path));
  if (lines.size() < 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), ": expected a number, a line of attribute names, and a line an image"));
  }
  const std::vector<std::string>& names = lines[1].words;
  const auto found = std::find(names.begin(), names.end(), place.attribute);
  if (found == names.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(place.folder.string(),
                     place.attribute.empty()
                         ? ": which attribute? Say it as "
                         : absl::StrCat(": has no attribute \"", place.attribute, "\"; say "),
                     place.folder.string(), ":ATTRIBUTE with one of ", absl::StrJoin(names, ", ")));
  }
  const size_t column = static_cast<size_t>(found - names.begin()) + 1;
  std::vector<LabelledFile> files;
  for (size_t i = 2; i < lines.size(); ++i) {
    const std::vector<std::string>& words = lines[i].words;
    if (words.size() != names.size() + 1) {
      return Fault(path, lines[i].number,
                   absl::StrCat("has ", words.size(), " words; expected a file and ", names.size(),
                                " values"));
    }
    if (words[column] != "1" && words[column] != "-1") {
      return Fault(
          path, lines[i].number,
          absl::StrCat("\"", words[column], "\" as ", place.attribute, "; expected 1 or -1"));
    }
    files.push_back({words[0], words[column] == "1" ? 1 : 0});
  }
  return files;
}

absl::StatusOr<std::map<std::string, int>> ReadPartition(const fs::path& path) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<Line> lines, ReadLines(path));
  std::map<std::string, int> parts;
  for (const Line& line : lines) {
    int part = -1;
    if (line.words.size() != 2 || !absl::SimpleAtoi(line.words[1], &part) || part < kTrainingPart ||
        part > kTestPart) {
      return Fault(path, line.number,
                   "expected a file and 0 (training), 1 (validation) or 2 (test)");
    }
    parts[line.words[0]] = part;
  }
  return parts;
}

}  // namespace

bool LooksLikeCelebA(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(PlaceOf(path).folder / kAttributes, error);
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenCelebA(const std::string& path,
                                                    const DatasetOptions& options) {
  const Place place = PlaceOf(path);
  STYLEX_ASSIGN_OR_RETURN(const std::vector<LabelledFile> files, ReadAttribute(place));
  const fs::path partition = place.folder / kPartition;
  STYLEX_ASSIGN_OR_RETURN(const auto parts, ReadPartition(partition));
  STYLEX_ASSIGN_OR_RETURN(PairedClasses paired,
                          PairByName(path, {"not " + place.attribute, place.attribute}, options));
  std::vector<LabelledFile> train, validation;
  for (const LabelledFile& file : files) {
    const auto part = parts.find(file.path);
    if (part == parts.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(partition.string(), ": says nothing of ", file.path));
    }
    const std::string full = (place.folder / kImages / file.path).string();
    if (part->second == kTrainingPart) {
      train.push_back({full, paired.of_name[static_cast<size_t>(file.label)]});
    } else if (part->second == kValidationPart) {
      validation.push_back({full, paired.of_name[static_cast<size_t>(file.label)]});
    }
  }
  if (train.empty() || validation.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(partition.string(), ": puts ", train.size(),
                                                   " images into training and ", validation.size(),
                                                   " into validation"));
  }
  return MakeImageFileDataset(options, std::move(paired.labels), std::move(train),
                              std::move(validation));
}

}  // namespace stylex
