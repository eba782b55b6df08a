#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "trainer/data/dataset.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// One image in seven is held out, like the last 10,000 of FFHQ's 70,000.
constexpr size_t kParts = 7;

std::vector<std::string> ImagesIn(const fs::path& folder) {
  std::vector<std::string> paths;
  for (const std::string& name : SortedNames(folder, /*directories=*/false)) {
    paths.push_back((folder / name).string());
  }
  return paths;
}

}  // namespace

bool LooksUnlabelled(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error) || fs::is_directory(fs::path(path) / "train", error)) {
    return false;
  }
  if (!ImagesIn(path).empty()) {
    return true;
  }
  const std::vector<std::string> folders = SortedNames(path, /*directories=*/true);
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return !ImagesIn(fs::path(path) / folder).empty();
  });
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenUnlabelledFolder(const std::string& path,
                                                              const DatasetOptions& options) {
  if (options.labels.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": has no folder train, so its images are taken to be of no class. If they are, name the "
        "classifier's classes in its order as data.labels in the config; if not, they belong into "
        "train/CLASS and val/CLASS"));
  }
  std::vector<std::string> paths = ImagesIn(path);
  for (const std::string& folder : SortedNames(path, /*directories=*/true)) {
    for (std::string& image : ImagesIn(fs::path(path) / folder)) {
      paths.push_back(std::move(image));
    }
  }
  std::sort(paths.begin(), paths.end());
  const size_t held_out = paths.size() / kParts;
  if (held_out == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": has ", paths.size(), " images; at least ", kParts, " are needed"));
  }
  std::vector<LabelledFile> train, validation;
  for (size_t i = 0; i < paths.size(); ++i) {
    (i < paths.size() - held_out ? train : validation).push_back({paths[i], kNoLabel});
  }
  return MakeImageFileDataset(options, options.labels, std::move(train), std::move(validation));
}

}  // namespace stylex
