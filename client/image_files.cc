#include "client/image_files.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
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

}  // namespace

absl::StatusOr<std::vector<std::string>> ListImages(const std::vector<std::string>& paths) {
  std::vector<std::string> images;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) {
        return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
      }
      images.push_back(path);
      continue;
    }
    std::vector<std::string> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (entry.is_regular_file() && HasImageName(entry.path())) {
        found.push_back(entry.path().string());
      }
    }
    if (error) {
      return absl::PermissionDeniedError(
          absl::StrCat(path, ": the folder cannot be read: ", error.message()));
    }
    if (found.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": the folder holds no .jpg, .jpeg, .png or .webp files"));
    }
    std::sort(found.begin(), found.end());
    images.insert(images.end(), found.begin(), found.end());
  }
  return images;
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
