#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "image/resize.h"
#include "trainer/dataset.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// Decoded images kept in memory, so that each file is decoded once.
constexpr int64_t kMaxCachedBytes = int64_t{4} << 30;

bool IsImageFile(const fs::directory_entry& entry) {
  const std::string extension = absl::AsciiStrToLower(entry.path().extension().string());
  return entry.is_regular_file() &&
         (extension == ".jpg" || extension == ".jpeg" || extension == ".png");
}

std::vector<std::string> SortedNames(const fs::path& folder, bool directories) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(".") && (directories ? entry.is_directory() : IsImageFile(entry))) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct LabelledFile {
  std::string path;
  int64_t label;
};

class ImageFolder : public Dataset {
 public:
  ImageFolder(const DatasetOptions& options, std::vector<std::string> labels,
              std::vector<LabelledFile> train, std::vector<LabelledFile> validation)
      : Dataset(options.resolution, options.channels),
        stretch_(options.stretch),
        train_(std::move(train)),
        validation_(std::move(validation)),
        train_cache_(train_.size()),
        validation_cache_(validation_.size()) {
    labels_ = std::move(labels);
  }

  int64_t size(Split split) const override { return static_cast<int64_t>(Of(split).size()); }
  int64_t label(Split split, int64_t index) const override {
    return Of(split)[static_cast<size_t>(index)].label;
  }
  std::string name(Split split, int64_t index) const override {
    return Of(split)[static_cast<size_t>(index)].path;
  }

  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    std::vector<Bitmap>& cache = split == Split::kTrain ? train_cache_ : validation_cache_;
    {
      MutexLock lock(&mutex_);
      if (const Bitmap& cached = cache[static_cast<size_t>(index)]; !cached.data.empty()) {
        return cached;
      }
    }
    const std::string path = name(split, index);
    STYLEX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    absl::StatusOr<Bitmap> decoded = DecodeImage(bytes);
    if (!decoded.ok()) {
      return absl::Status(decoded.status().code(),
                          absl::StrCat(path, ": ", decoded.status().message()));
    }
    Bitmap prepared = PrepareImage(*decoded, resolution(), channels(), stretch_);
    MutexLock lock(&mutex_);
    if (cached_bytes_ + static_cast<int64_t>(prepared.data.size()) <= kMaxCachedBytes) {
      cached_bytes_ += static_cast<int64_t>(prepared.data.size());
      cache[static_cast<size_t>(index)] = prepared;
    }
    return prepared;
  }

 private:
  const std::vector<LabelledFile>& Of(Split split) const {
    return split == Split::kTrain ? train_ : validation_;
  }

  bool stretch_;
  std::vector<LabelledFile> train_;
  std::vector<LabelledFile> validation_;
  mutable Mutex mutex_;
  mutable std::vector<Bitmap> train_cache_ ABSL_GUARDED_BY(mutex_);
  mutable std::vector<Bitmap> validation_cache_ ABSL_GUARDED_BY(mutex_);
  mutable int64_t cached_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

absl::StatusOr<fs::path> FindValidation(const fs::path& root) {
  for (const char* name : {"val", "valid", "validation", "test"}) {
    if (fs::is_directory(root / name)) {
      return root / name;
    }
  }
  return absl::NotFoundError(
      absl::StrCat(root.string(),
                   ": has no folder val (or valid, validation, test) beside train; images that "
                   "training never sees are needed to measure it"));
}

absl::StatusOr<std::vector<LabelledFile>> ListSplit(const fs::path& split,
                                                    const std::vector<std::string>& classes) {
  const std::vector<std::string> found = SortedNames(split, /*directories=*/true);
  if (found != classes) {
    return absl::InvalidArgumentError(absl::StrCat(split.string(), ": has the class folders {",
                                                   absl::StrJoin(found, ", "), "}, but train has {",
                                                   absl::StrJoin(classes, ", "), "}"));
  }
  std::vector<LabelledFile> files;
  for (size_t k = 0; k < classes.size(); ++k) {
    const fs::path folder = split / classes[k];
    const std::vector<std::string> names = SortedNames(folder, /*directories=*/false);
    if (names.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          folder.string(), ": the class folder is empty; expected .jpg, .jpeg or .png files"));
    }
    for (const std::string& name : names) {
      files.push_back({(folder / name).string(), static_cast<int64_t>(k)});
    }
  }
  return files;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataset>> OpenImageFolder(const std::string& path,
                                                         const DatasetOptions& options) {
  const fs::path root = path;
  if (!fs::is_directory(root / "train")) {
    return absl::NotFoundError(
        absl::StrCat(path,
                     ": is neither a folder with IDX files (train-images-idx3-ubyte) nor one with "
                     "train/CLASS/*.jpg"));
  }
  STYLEX_ASSIGN_OR_RETURN(const fs::path validation, FindValidation(root));
  const std::vector<std::string> classes = SortedNames(root / "train", /*directories=*/true);
  if (classes.size() < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        (root / "train").string(), ": has ", classes.size(), " class folders; needs at least 2"));
  }
  if (!options.labels.empty() && options.labels.size() != classes.size()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": has ", classes.size(),
                                                   " class folders, but ", options.labels.size(),
                                                   " labels are given"));
  }
  STYLEX_ASSIGN_OR_RETURN(std::vector<LabelledFile> train, ListSplit(root / "train", classes));
  STYLEX_ASSIGN_OR_RETURN(std::vector<LabelledFile> held_out, ListSplit(validation, classes));
  return std::make_unique<ImageFolder>(options, options.labels.empty() ? classes : options.labels,
                                       std::move(train), std::move(held_out));
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const std::string& path,
                                                     const DatasetOptions& options) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return absl::NotFoundError(absl::StrCat("\"", path, "\": no such folder"));
  }
  return LooksLikeIdx(path) ? OpenIdxDataset(path, options) : OpenImageFolder(path, options);
}

}  // namespace stylex
