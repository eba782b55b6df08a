// Reads photographs from disk and decodes the answers' images.
#ifndef STYLEX_CLIENT_IMAGE_FILES_H_
#define STYLEX_CLIENT_IMAGE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// The given files, and of each folder its .jpg, .jpeg, .png and .webp files (not deeper), sorted by
// name. NOT_FOUND names a path that does not exist; INVALID_ARGUMENT a folder without images.
absl::StatusOr<std::vector<std::string>> ListImages(const std::vector<std::string>& paths);

// A photograph, and a name for it that tells it from others of its folder: "sick/leaf.jpg" below
// the folder that was given is "sick-leaf".
struct ListedImage {
  std::string path;
  std::string name;
};
// The same with all folders below the given ones, but for hidden ones, `output` and other folders
// that `stylex explain` has written.
absl::StatusOr<std::vector<ListedImage>> ListImagesDeeply(const std::vector<std::string>& paths,
                                                          const std::string& output);

// A request's image, with the file's unmodified bytes. Files that are neither JPEG, PNG
// nor WebP are refused.
absl::StatusOr<v1::Image> LoadImage(const std::string& path);

// Decodes an answer's image.
absl::StatusOr<Bitmap> DecodeAnswer(const v1::Image& image);

// Creates a folder and its parents.
absl::Status MakeFolder(const std::string& path);

// "dir/photo.jpg" -> "photo".
std::string Stem(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_CLIENT_IMAGE_FILES_H_
