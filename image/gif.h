// Animated GIFs.
#ifndef STYLEX_IMAGE_GIF_H_
#define STYLEX_IMAGE_GIF_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "image/bitmap.h"

namespace stylex {

// All frames must have one size and 1 or 3 channels; at most 256 colours are kept per frame. Loops
// endlessly. A comment, if given, stands before the frames. INVALID_ARGUMENT when there are no
// frames or the sizes differ.
absl::StatusOr<std::string> EncodeGif(std::span<const Bitmap> frames, int delay_ms,
                                      const std::string& comment = "");

}  // namespace stylex

#endif  // STYLEX_IMAGE_GIF_H_
