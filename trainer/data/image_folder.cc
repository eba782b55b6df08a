#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "image/resize.h"
#include "trainer/data/class_names.h"
#include "trainer/data/dataset.h"
#include "trainer/data/image_files.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

absl::StatusOr<fs::path> FindValidation(const fs::path& root) {
  std::error_code ignored;
  for (const char* name : {"val", "valid", "validation", "test"}) {
    if (fs::is_directory(root / name, ignored)) {
      return root / name;
    }
  }
  return absl::NotFoundError(
      absl::StrCat(root.string(),
                   ": has no folder val (or valid, validation, test) beside train; images that "
                   "training never sees are needed to measure it"));
}

// `labels` has the label of each class.
absl::StatusOr<std::vector<LabelledFile>> ListSplit(const fs::path& split,
                                                    const std::vector<std::string>& classes,
                                                    const std::vector<int64_t>& labels,
                                                    LeftOut* left_out) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> found, FolderNames(split));
  // Beside the class folders.
  STYLEX_RETURN_IF_ERROR(ImageNames(split, /*with_subfolders=*/true, left_out).status());
  if (found != classes) {
    return absl::InvalidArgumentError(absl::StrCat(split.string(), ": has the class folders {",
                                                   absl::StrJoin(found, ", "), "}, but train has {",
                                                   absl::StrJoin(classes, ", "), "}"));
  }
  std::vector<LabelledFile> files;
  for (size_t k = 0; k < classes.size(); ++k) {
    const fs::path folder = split / classes[k];
    LeftOut here;
    STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ImageNames(folder, /*with_subfolders=*/false, &here));
    if (names.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder.string(), ": the class folder is empty",
                       here.empty() ? "" : absl::StrCat(" but for ", LeftOutText(here)),
                       "; expected .jpg, .jpeg, .png or .webp files"));
    }
    for (const auto& [kind, count] : here) {
      (*left_out)[kind] += count;
    }
    for (const std::string& name : names) {
      files.push_back({(folder / name).string(), labels[k]});
    }
  }
  return files;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenImageFolder(const std::string& path,
                                                         const DatasetOptions& options) {
  const fs::path root = path;
  std::error_code error;
  if (!fs::is_directory(root / "train", error)) {
    return absl::NotFoundError(
        absl::StrCat(path,
                     ": is neither a folder with IDX files (train-images-idx3-ubyte) nor one with "
                     "train/CLASS/*.jpg"));
  }
  STYLEX_ASSIGN_OR_RETURN(const fs::path validation, FindValidation(root));
  STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> classes, FolderNames(root / "train"));
  if (classes.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        (root / "train").string(), ": has ", classes.size(), " class folders; needs at least 2"));
  }
  STYLEX_ASSIGN_OR_RETURN(PairedClasses paired, PairByName(path, classes, options));
  LeftOut left_out;
  STYLEX_ASSIGN_OR_RETURN(std::vector<LabelledFile> train,
                          ListSplit(root / "train", classes, paired.of_name, &left_out));
  STYLEX_ASSIGN_OR_RETURN(std::vector<LabelledFile> held_out,
                          ListSplit(validation, classes, paired.of_name, &left_out));
  return MakeImageFileDataset(options, std::move(paired.labels), std::move(train),
                              std::move(held_out), std::move(left_out));
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options) {
  if (LooksLikeCelebA(path)) {
    return OpenCelebA(path, options);
  }
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return absl::NotFoundError(absl::StrCat("\"", path, "\": no such folder"));
  }
  if (LooksLikeIdx(path)) {
    return OpenIdxDataset(path, options);
  }
  return LooksUnlabelled(path) ? OpenUnlabelledFolder(path, options)
                               : OpenImageFolder(path, options);
}

}  // namespace stylex
