#include "models/rendering.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <vector>

#include "models/pixels.h"

namespace stylex {
namespace {

Bitmap ThroughJpeg(const Bitmap& bitmap, int quality, JpegColors colors) {
  const absl::StatusOr<std::string> file = EncodeJpeg(bitmap, quality, colors);
  TORCH_CHECK(file.ok(), file.status().ToString());
  absl::StatusOr<Bitmap> decoded = DecodeImage(*file);
  TORCH_CHECK(decoded.ok(), decoded.status().ToString());
  return *std::move(decoded);
}

}  // namespace

Rendering Rendering::Jpeg(int quality, JpegColors colors) {
  TORCH_CHECK(quality >= 1 && quality <= 100, "JPEG quality ", quality);
  return Rendering(Kind::kJpeg, quality, colors);
}

torch::Tensor Rendering::Apply(const torch::Tensor& images) const {
  switch (kind_) {
    case Kind::kExact:
      break;
    case Kind::kPng:
      return images.clamp(-1, 1).add_(1).mul_(127.5).round_().div_(127.5).sub_(1);
    case Kind::kJpeg: {
      std::vector<Bitmap> files;
      for (const Bitmap& bitmap : TensorToBitmaps(images)) {
        files.push_back(ThroughJpeg(bitmap, quality_, colors_));
      }
      return BitmapsToTensor(files).to(images.device());
    }
  }
  return images;
}

}  // namespace stylex
