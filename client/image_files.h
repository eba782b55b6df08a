// Photographs on disk, and the answers' pictures.
#ifndef STYLEX_CLIENT_IMAGE_FILES_H_
#define STYLEX_CLIENT_IMAGE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "image/bitmap.h"
#include "stylex/v1/explanation.pb.h"

namespace stylex {

// The given files, and of each folder its .jpg, .jpeg and .png files (not deeper), sorted by name.
// NOT_FOUND names a path that is neither; INVALID_ARGUMENT a folder without images.
absl::StatusOr<std::vector<std::string>> ListImages(const std::vector<std::string>& paths);

// A request's image: the file as it is. Refuses what is neither JPEG nor PNG before sending it.
absl::StatusOr<v1::Image> LoadImage(const std::string& path);

// Decodes an answer's image.
absl::StatusOr<Bitmap> DecodeAnswer(const v1::Image& image);

// Creates a folder and those above it.
absl::Status MakeFolder(const std::string& path);

// "dir/photo.jpg" -> "photo".
std::string Stem(const std::string& path);

}  // namespace stylex

#endif  // STYLEX_CLIENT_IMAGE_FILES_H_
