// The size of an image by its header, without decoding it.
#ifndef STYLEX_IMAGE_IMAGE_SIZE_H_
#define STYLEX_IMAGE_IMAGE_SIZE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace stylex {

struct ImageSize {
  int64_t width = 0;  // as stored, before the EXIF orientation
  int64_t height = 0;
};

// Of a JPEG, PNG or WebP file of which at least the header is given (64 kB are nearly always
// enough); none if it is not there or broken.
std::optional<ImageSize> SizeOfImage(std::string_view start);

}  // namespace stylex

#endif  // STYLEX_IMAGE_IMAGE_SIZE_H_
