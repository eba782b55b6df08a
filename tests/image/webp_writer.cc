#include "tests/image/webp_writer.h"

#include <webp/encode.h>

#include <cstdint>
#include <vector>

namespace stylex {
namespace {

std::string Take(uint8_t* bytes, size_t size) {
  const std::string file(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return file;
}

}  // namespace

std::string WriteWebp(const Bitmap& rgb, float quality) {
  uint8_t* bytes = nullptr;
  const int stride = 3 * rgb.width;
  const size_t size =
      quality > 0 ? WebPEncodeRGB(rgb.data.data(), rgb.width, rgb.height, stride, quality, &bytes)
                  : WebPEncodeLosslessRGB(rgb.data.data(), rgb.width, rgb.height, stride, &bytes);
  return Take(bytes, size);
}

std::string WriteTranslucentWebp(const Bitmap& rgb, float quality) {
  std::vector<uint8_t> rgba;
  for (int y = 0; y < rgb.height; ++y) {
    for (int x = 0; x < rgb.width; ++x) {
      const uint8_t* pixel = rgb.pixel(x, y);
      rgba.insert(rgba.end(), {pixel[0], pixel[1], pixel[2], static_cast<uint8_t>(x + y)});
    }
  }
  uint8_t* bytes = nullptr;
  const int stride = 4 * rgb.width;
  const size_t size =
      quality > 0 ? WebPEncodeRGBA(rgba.data(), rgb.width, rgb.height, stride, quality, &bytes)
                  : WebPEncodeLosslessRGBA(rgba.data(), rgb.width, rgb.height, stride, &bytes);
  return Take(bytes, size);
}

}  // namespace stylex
