// A data set of image files with known labels.
#ifndef STYLEX_TRAINER_DATA_IMAGE_FILES_H_
#define STYLEX_TRAINER_DATA_IMAGE_FILES_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/data/dataset.h"

namespace stylex {

struct LabelledFile {
  std::string path;
  int64_t label;  // kNoLabel if unknown
};

// What a folder holds beside what is read, by kind: ".bmp files", "hidden files", ...
using LeftOut = std::map<std::string, int64_t>;

// Names of subfolders, sorted; without hidden ones and __MACOSX, which macOS packs into archives.
// NOT_FOUND or PERMISSION_DENIED for a folder that cannot be listed.
absl::StatusOr<std::vector<std::string>> FolderNames(const std::filesystem::path& folder);

// Names of image files, sorted: .jpg, .jpeg, .png and .webp, in any case, without hidden ones. All
// else, but not the subfolders if `with_subfolders`, is counted in `left_out`. Errors as
// FolderNames.
absl::StatusOr<std::vector<std::string>> ImageNames(const std::filesystem::path& folder,
                                                    bool with_subfolders, LeftOut* left_out);

// "2 .bmp files, 1 folder"; empty if nothing was left out.
std::string LeftOutText(const LeftOut& left_out);

// Files are decoded when first used and then cached, up to 4 GiB.
std::unique_ptr<Dataset> MakeImageFileDataset(const DatasetOptions& options,
                                              std::vector<std::string> labels,
                                              std::vector<LabelledFile> train,
                                              std::vector<LabelledFile> validation,
                                              LeftOut left_out = {});

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_IMAGE_FILES_H_
