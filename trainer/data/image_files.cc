#include "trainer/data/image_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "image/resize.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// Decoded images kept in memory, so that each file is decoded once.
constexpr int64_t kMaxCachedBytes = int64_t{4} << 30;

class ImageFiles : public Dataset {
 public:
  ImageFiles(const DatasetOptions& options, std::vector<std::string> labels,
             std::vector<LabelledFile> train, std::vector<LabelledFile> validation)
      : Dataset(options),
        crop_(options.crop),
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
    if (crop_ > std::min(decoded->width, decoded->height)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": is ", decoded->width, "x", decoded->height,
                       " pixels, the square to be cut out has ", crop_, "; crop less"));
    }
    Bitmap prepared =
        PrepareImage(crop_ > 0 ? CropCenter(*decoded, crop_) : *decoded, preparation());
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

  int crop_;
  std::vector<LabelledFile> train_;
  std::vector<LabelledFile> validation_;
  mutable Mutex mutex_;
  mutable std::vector<Bitmap> train_cache_ ABSL_GUARDED_BY(mutex_);
  mutable std::vector<Bitmap> validation_cache_ ABSL_GUARDED_BY(mutex_);
  mutable int64_t cached_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

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

std::unique_ptr<Dataset> MakeImageFileDataset(const DatasetOptions& options,
                                              std::vector<std::string> labels,
                                              std::vector<LabelledFile> train,
                                              std::vector<LabelledFile> validation) {
  return std::make_unique<ImageFiles>(options, std::move(labels), std::move(train),
                                      std::move(validation));
}

}  // namespace stylex
