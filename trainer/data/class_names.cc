#include "trainer/data/class_names.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "trainer/data/utf8.h"

namespace stylex {
namespace {

std::string List(const std::vector<std::string>& names) {
  return absl::StrCat("{", absl::StrJoin(names, ", "), "}");
}

}  // namespace

absl::StatusOr<PairedClasses> PairByName(const std::string& path,
                                         const std::vector<std::string>& names,
                                         const DatasetOptions& options) {
  PairedClasses paired;
  paired.labels = options.labels;
  for (const std::string& name : names) {
    if (!IsUtf8(name)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": the name of class ", List(names),
                                                     " is not UTF-8; rename the folder"));
    }
  }
  for (const auto& [name, label] : options.classes) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          path, ": data.classes tells of \"", name, "\", but the classes there are ", List(names)));
    }
  }
  std::set<int64_t> used;
  for (const std::string& name : names) {
    const auto mapped = options.classes.find(name);
    const std::string& label = mapped == options.classes.end() ? name : mapped->second;
    auto found = std::find(paired.labels.begin(), paired.labels.end(), label);
    if (found == paired.labels.end() && options.labels.empty()) {
      found = paired.labels.insert(found, label);
    }
    if (found != paired.labels.end()) {
      paired.of_name.push_back(found - paired.labels.begin());
      used.insert(paired.of_name.back());
    }
  }
  if (paired.of_name.size() != names.size() || used.size() != paired.labels.size() ||
      used.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": the classes there are ", List(names), ", the labels ", List(options.labels),
        "; they are paired by name. Say which is which by data.classes in the config, {\"",
        names[0], "\": \"LABEL\", ...}, or by --class ", names[0], "=LABEL"));
  }
  return paired;
}

}  // namespace stylex
