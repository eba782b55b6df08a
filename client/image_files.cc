#include "client/image_files.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "image/codec.h"

namespace stylex {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxFileBytes = 64 << 20;

bool HasImageName(const fs::path& path) {
  const std::string extension = absl::AsciiStrToLower(path.extension().string());
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".webp";
}

// Whether `stylex explain` has written a folder: its pictures are no photographs.
bool IsExplanation(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / "records", ignored) && fs::exists(folder / "report.json", ignored);
}

// Whether to look into a folder below one that was given.
bool IsEntered(const fs::path& folder, const fs::path& output) {
  std::error_code ignored;
  return !folder.filename().string().starts_with(".") && !fs::equivalent(folder, output, ignored) &&
         !IsExplanation(folder);
}

// The images of a folder; with `deeply` those of all folders below it, but for `output`.
absl::StatusOr<std::vector<std::string>> ImagesIn(const std::string& folder, bool deeply,
                                                  const std::string& output) {
  std::vector<std::string> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  while (!error && entry != fs::end(entry)) {
    std::error_code unknown;  // what cannot be looked at is listed: reading it says why not
    const fs::file_type type = entry->status(unknown).type();
    if (type == fs::file_type::directory) {
      if (!deeply || !IsEntered(entry->path(), output)) {
        entry.disable_recursion_pending();
      }
    } else if ((type == fs::file_type::regular || unknown) && HasImageName(entry->path())) {
      found.push_back(entry->path().string());
    }
    entry.increment(error);
  }
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat(folder, ": the folder cannot be read: ", error.message()));
  }
  if (found.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": the folder holds no .jpg, .jpeg, .png or .webp files"));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Below `folder`, "a/b.jpg" is "a-b".
std::string NameBelow(const std::string& folder, const std::string& path) {
  return absl::StrReplaceAll(
      fs::path(path).lexically_relative(folder).replace_extension().generic_string(), {{"/", "-"}});
}

absl::StatusOr<std::vector<ListedImage>> List(const std::vector<std::string>& paths, bool deeply,
                                              const std::string& output) {
  std::vector<ListedImage> images;
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
      STYLEX_ASSIGN_OR_RETURN(const std::vector<std::string> found, ImagesIn(path, deeply, output));
      for (const std::string& image : found) {
        images.push_back({image, NameBelow(path, image)});
      }
    } else if (fs::exists(path, error)) {
      images.push_back({path, Stem(path)});
    } else {
      return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
    }
  }
  return images;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListImages(const std::vector<std::string>& paths) {
  STYLEX_ASSIGN_OR_RETURN(const std::vector<ListedImage> images,
                          List(paths, /*deeply=*/false, /*output=*/""));
  std::vector<std::string> found;
  for (const ListedImage& image : images) {
    found.push_back(image.path);
  }
  return found;
}

absl::StatusOr<std::vector<ListedImage>> ListImagesDeeply(const std::vector<std::string>& paths,
                                                          const std::string& output) {
  return List(paths, /*deeply=*/true, output);
}

absl::StatusOr<v1::Image> LoadImage(const std::string& path) {
  v1::Image image;
  STYLEX_ASSIGN_OR_RETURN(*image.mutable_data(), ReadFile(path, kMaxFileBytes));
  if (const absl::Status format = CheckImageFormat(image.data()); !format.ok()) {
    return absl::Status(format.code(), absl::StrCat(path, ": ", format.message()));
  }
  return image;
}

absl::StatusOr<Bitmap> DecodeAnswer(const v1::Image& image) { return DecodeImage(image.data()); }

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? absl::PermissionDeniedError(
                     absl::StrCat(path, ": cannot be created: ", error.message()))
               : absl::OkStatus();
}

std::string Stem(const std::string& path) { return fs::path(path).stem().string(); }

}  // namespace stylex
