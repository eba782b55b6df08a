#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "trainer/data/dataset.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// One image in seven is held out, like the last 10,000 of FFHQ's 70,000.
constexpr size_t kParts = 7;

// Paths of the images in a folder; none if it cannot be listed.
std::vector<std::string> ImagesIn(const fs::path& folder, bool with_subfolders, LeftOut* left_out) {
  std::vector<std::string> paths;
  for (const std::string& name :
       ImageNames(folder, with_subfolders, left_out).value_or(std::vector<std::string>())) {
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
  LeftOut ignored;
  if (!ImagesIn(path, /*with_subfolders=*/true, &ignored).empty()) {
    return true;
  }
  const auto folders = FolderNames(path).value_or(std::vector<std::string>());
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return !ImagesIn(fs::path(path) / folder, /*with_subfolders=*/false, &ignored).empty();
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
  LeftOut left_out;
  std::vector<std::string> paths = ImagesIn(path, /*with_subfolders=*/true, &left_out);
  STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> folders, FolderNames(path));
  for (const std::string& folder : folders) {
    for (std::string& image :
         ImagesIn(fs::path(path) / folder, /*with_subfolders=*/false, &left_out)) {
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
  return MakeImageFileDataset(options, options.labels, std::move(train), std::move(validation),
                              std::move(left_out));
}

}  // namespace stylex
