#include "models/rendering.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "image/codec.h"
#include "models/pixels.h"

namespace stylex {
namespace {

// Also values outside of [-1, 1], which are clamped.
torch::Tensor SomeImages() {
  torch::manual_seed(1);
  return torch::randn({3, 3, 16, 24}) * 0.7;
}

TEST(RenderingTest, PngIsWhatItsFileHolds) {
  const torch::Tensor images = SomeImages();
  const torch::Tensor rendered = Rendering::Png().Apply(images);
  for (int64_t n = 0; n < images.size(0); ++n) {
    const std::string file = EncodePng(TensorToBitmap(images[n])).value();
    EXPECT_TRUE(rendered[n].equal(BitmapToTensor(DecodeImage(file).value())[0])) << n;
  }
  EXPECT_FALSE(rendered.equal(images));
  EXPECT_TRUE(Rendering::Png().Apply(rendered).equal(rendered));
}

TEST(RenderingTest, JpegIsWhatItsFileHolds) {
  for (const int channels : {1, 3}) {
    const torch::Tensor images = SomeImages().narrow(1, 0, channels);
    for (const int quality : {5, 90}) {
      const torch::Tensor rendered = Rendering::Jpeg(quality).Apply(images);
      for (int64_t n = 0; n < images.size(0); ++n) {
        const std::string file = EncodeJpeg(TensorToBitmap(images[n]), quality).value();
        EXPECT_TRUE(rendered[n].equal(BitmapToTensor(DecodeImage(file).value())[0])) << n;
      }
      EXPECT_EQ(rendered.equal(Rendering::Jpeg(quality, JpegColors::kHalved).Apply(images)),
                channels == 1);
    }
  }
}

TEST(RenderingTest, WithoutAFileNothingChanges) {
  const torch::Tensor images = SomeImages();
  EXPECT_TRUE(Rendering().Apply(images).equal(images));
  EXPECT_TRUE(Rendering().exact());
  EXPECT_FALSE(Rendering::Png().exact());
}

}  // namespace
}  // namespace stylex
