// A data set of image files with known labels.
#ifndef STYLEX_TRAINER_DATA_IMAGE_FILES_H_
#define STYLEX_TRAINER_DATA_IMAGE_FILES_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "trainer/data/dataset.h"

namespace stylex {

struct LabelledFile {
  std::string path;
  int64_t label;  // kNoLabel if unknown
};

// A file whose name ends with .jpg, .jpeg or .png in any case.
bool IsImageFile(const std::filesystem::directory_entry& entry);

// Names in a folder, sorted, without hidden ones: subfolders, or image files.
std::vector<std::string> SortedNames(const std::filesystem::path& folder, bool directories);

// Files are decoded when first used and then cached, up to 4 GiB.
std::unique_ptr<Dataset> MakeImageFileDataset(const DatasetOptions& options,
                                              std::vector<std::string> labels,
                                              std::vector<LabelledFile> train,
                                              std::vector<LabelledFile> validation);

}  // namespace stylex

#endif  // STYLEX_TRAINER_DATA_IMAGE_FILES_H_
