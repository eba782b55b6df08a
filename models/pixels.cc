#include "models/pixels.h"

#include <torch/types.h>

#include <cstring>

namespace stylex {

torch::Tensor BitmapsToTensor(std::span<const Bitmap> bitmaps) {
  TORCH_CHECK(!bitmaps.empty(), "no bitmaps");
  const Bitmap& first = bitmaps.front();
  torch::Tensor bytes = torch::empty(
      {static_cast<int64_t>(bitmaps.size()), first.height, first.width, first.channels},
      torch::kUInt8);
  uint8_t* out = bytes.data_ptr<uint8_t>();
  for (const Bitmap& bitmap : bitmaps) {
    TORCH_CHECK(bitmap.data.size() == first.data.size(), "bitmaps of different sizes");
    std::memcpy(out, bitmap.data.data(), bitmap.data.size());
    out += bitmap.data.size();
  }
  return bytes.permute({0, 3, 1, 2}).contiguous().to(torch::kFloat32).div_(127.5).sub_(1);
}

torch::Tensor BitmapToTensor(const Bitmap& bitmap) { return BitmapsToTensor({&bitmap, 1}); }

Bitmap TensorToBitmap(const torch::Tensor& image) {
  const torch::Tensor one = image.dim() == 4 ? image.squeeze(0) : image;
  TORCH_CHECK(one.dim() == 3, "expected one image");
  const torch::Tensor bytes = one.detach()
                                  .to(torch::kCPU, torch::kFloat32)
                                  .clamp(-1, 1)
                                  .add(1)
                                  .mul(127.5)
                                  .round()
                                  .to(torch::kUInt8)
                                  .permute({1, 2, 0})
                                  .contiguous();
  const uint8_t* data = bytes.data_ptr<uint8_t>();
  return {static_cast<int>(one.size(2)),
          static_cast<int>(one.size(1)),
          static_cast<int>(one.size(0)),
          {data, data + bytes.numel()}};
}

std::vector<Bitmap> TensorToBitmaps(const torch::Tensor& images) {
  std::vector<Bitmap> bitmaps;
  for (int64_t n = 0; n < images.size(0); ++n) {
    bitmaps.push_back(TensorToBitmap(images[n]));
  }
  return bitmaps;
}

Preparation PreparationFor(const v1::ModelConfig& config) {
  return {.resolution = config.resolution(),
          .channels = config.image_channels(),
          .crop = config.preprocessing().crop_pixels(),
          .stretch = config.preprocessing().crop() == "stretch",
          .padded_from = config.preprocessing().padded_from()};
}

}  // namespace stylex
