#include "base/control_group.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_split.h"

namespace stylex {
namespace {

void AddLevels(const std::string& mount, std::filesystem::path group,
               std::vector<std::string>* folders) {
  while (group.has_relative_path()) {
    folders->push_back(mount + group.string());
    group = group.parent_path();
  }
  folders->push_back(mount);
}

}  // namespace

std::vector<std::string> ControlGroupFolders(const std::string& membership, const std::string& root,
                                             const std::string& controller) {
  std::vector<std::string> version_1, version_2;
  // Lines are ID:CONTROLLER,CONTROLLER:/PATH; version 2 has the id 0 and names none.
  for (const absl::string_view line : absl::StrSplit(membership, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) {
      continue;
    }
    if (parts[1].empty()) {
      AddLevels(root, parts[2], &version_2);
    }
    for (const absl::string_view name : absl::StrSplit(parts[1], ',')) {
      if (name == controller) {
        AddLevels(root + "/" + controller, parts[2], &version_1);
      }
    }
  }
  version_2.insert(version_2.end(), version_1.begin(), version_1.end());
  return version_2;
}

std::string OwnControlGroups() {
  std::ifstream file("/proc/self/cgroup");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace stylex
