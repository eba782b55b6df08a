#include "trainer/data/image_files.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "image/codec.h"
#include "image/photograph.h"
#include "image/resize.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

// Decoded images kept in memory, so that each file is decoded once.
constexpr int64_t kMaxCachedBytes = int64_t{4} << 30;

class ImageFiles : public Dataset {
 public:
  ImageFiles(const DatasetOptions& options, std::vector<std::string> labels,
             std::vector<LabelledFile> train, std::vector<LabelledFile> validation,
             LeftOut left_out)
      : Dataset(options),
        limits_{.max_pixels = options.max_pixels},
        train_(std::move(train)),
        validation_(std::move(validation)),
        train_cache_(train_.size()),
        validation_cache_(validation_.size()) {
    labels_ = std::move(labels);
    left_out_ = std::move(left_out);
  }

  int64_t size(Split split) const override { return static_cast<int64_t>(Of(split).size()); }
  int64_t label(Split split, int64_t index) const override {
    return Of(split)[static_cast<size_t>(index)].label;
  }
  std::string name(Split split, int64_t index) const override {
    return Of(split)[static_cast<size_t>(index)].path;
  }
  std::vector<std::string> files(Split split) const override {
    std::vector<std::string> paths;
    for (const LabelledFile& file : Of(split)) {
      paths.push_back(file.path);
    }
    return paths;
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
    absl::StatusOr<Bitmap> prepared =
        preparation().crop > 0 ? ReadCropped(bytes) : ReadPhotograph(bytes, preparation(), limits_);
    if (!prepared.ok()) {
      return absl::Status(prepared.status().code(),
                          absl::StrCat(path, ": ", prepared.status().message()));
    }
    MutexLock lock(&mutex_);
    if (cached_bytes_ + static_cast<int64_t>(prepared->data.size()) <= kMaxCachedBytes) {
      cached_bytes_ += static_cast<int64_t>(prepared->data.size());
      cache[static_cast<size_t>(index)] = *prepared;
    }
    return prepared;
  }

 private:
  // The square must fit: a file that is smaller shows its subject at another scale.
  absl::StatusOr<Bitmap> ReadCropped(const std::string& bytes) const {
    STYLEX_ASSIGN_OR_RETURN(const Bitmap decoded, DecodeImage(bytes, limits_));
    if (CropOf(preparation(), decoded.width, decoded.height) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("is ", decoded.width, "x", decoded.height,
                                                     " pixels, the square to be cut out has ",
                                                     preparation().crop, "; crop less (--crop)"));
    }
    return PrepareImage(decoded, preparation());
  }

  const std::vector<LabelledFile>& Of(Split split) const {
    return split == Split::kTrain ? train_ : validation_;
  }

  DecodeLimits limits_;
  std::vector<LabelledFile> train_;
  std::vector<LabelledFile> validation_;
  mutable Mutex mutex_;
  mutable std::vector<Bitmap> train_cache_ ABSL_GUARDED_BY(mutex_);
  mutable std::vector<Bitmap> validation_cache_ ABSL_GUARDED_BY(mutex_);
  mutable int64_t cached_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

constexpr char kFolders[] = "folders";

// Sorted by name.
absl::StatusOr<std::vector<fs::directory_entry>> EntriesOf(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(*entry);
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat(folder.string(), ": the folder cannot be listed"));
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Why a folder's entry is not read as an image; empty if it is.
std::string KindLeftOut(const fs::directory_entry& entry) {
  std::error_code error;
  const std::string extension = absl::AsciiStrToLower(entry.path().extension().string());
  if (entry.path().filename().string().starts_with(".")) {
    return "hidden";
  }
  if (entry.is_directory(error)) {
    return kFolders;
  }
  if (!entry.is_regular_file(error)) {  // a link to nothing, or to itself, is no file
    return entry.is_symlink(error) ? "broken links" : "special files";
  }
  if (extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".webp") {
    return "";
  }
  return extension.empty() ? "files without an extension" : extension + " files";
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FolderNames(const fs::path& folder) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, EntriesOf(folder));
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (!name.starts_with(".") && name != "__MACOSX" && entry.is_directory(ignored)) {
      names.push_back(name);
    }
  }
  return names;
}

absl::StatusOr<std::vector<std::string>> ImageNames(const fs::path& folder, bool with_subfolders,
                                                    LeftOut* left_out) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<fs::directory_entry> entries, EntriesOf(folder));
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries) {
    const std::string kind = KindLeftOut(entry);
    if (kind.empty()) {
      names.push_back(entry.path().filename().string());
    } else if (kind != kFolders || !with_subfolders) {
      ++(*left_out)[kind];
    }
  }
  return names;
}

std::string LeftOutText(const LeftOut& left_out) {
  std::vector<std::string> parts;
  for (const auto& [kind, count] : left_out) {
    parts.push_back(absl::StrCat(count, " ", kind));
  }
  return absl::StrJoin(parts, ", ");
}

std::unique_ptr<Dataset> MakeImageFileDataset(const DatasetOptions& options,
                                              std::vector<std::string> labels,
                                              std::vector<LabelledFile> train,
                                              std::vector<LabelledFile> validation,
                                              LeftOut left_out) {
  return std::make_unique<ImageFiles>(options, std::move(labels), std::move(train),
                                      std::move(validation), std::move(left_out));
}

}  // namespace stylex
