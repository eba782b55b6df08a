// A decoded image in memory, without LibTorch.
#ifndef STYLEX_IMAGE_BITMAP_H_
#define STYLEX_IMAGE_BITMAP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stylex {

// 8 bits per sample, interleaved, rows from top to bottom without padding.
struct Bitmap {
  int width = 0;
  int height = 0;
  int channels = 0;           // 1: grey, 3: RGB
  std::vector<uint8_t> data;  // [height, width, channels]

  // A bitmap with every byte `fill`.
  static Bitmap Make(int width, int height, int channels, uint8_t fill = 0) {
    return {width, height, channels,
            std::vector<uint8_t>(static_cast<size_t>(width) * height * channels, fill)};
  }
  // The `channels` bytes of a pixel; not checked.
  uint8_t* pixel(int x, int y) {
    return data.data() + (static_cast<size_t>(y) * width + x) * channels;
  }
  // The `channels` bytes of a pixel; not checked.
  const uint8_t* pixel(int x, int y) const {
    return data.data() + (static_cast<size_t>(y) * width + x) * channels;
  }
  bool operator==(const Bitmap&) const = default;
};

}  // namespace stylex

#endif  // STYLEX_IMAGE_BITMAP_H_
