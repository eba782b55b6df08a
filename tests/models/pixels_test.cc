#include "models/pixels.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>
#include <vector>

namespace stylex {
namespace {

// Every byte once, in each channel at another place.
Bitmap AllBytes(int channels) {
  Bitmap bitmap = Bitmap::Make(32, 8, channels);
  for (int i = 0; i < 256; ++i) {
    for (int c = 0; c < channels; ++c) {
      bitmap.pixel(i % 32, i / 32)[c] = static_cast<uint8_t>(i + 50 * c);
    }
  }
  return bitmap;
}

TEST(BitmapToTensorTest, EachByteHasItsPlaceAndValue) {
  for (const int channels : {1, 3}) {
    const Bitmap bitmap = AllBytes(channels);
    const torch::Tensor tensor = BitmapToTensor(bitmap);
    ASSERT_EQ(tensor.sizes(), (std::vector<int64_t>{1, channels, 8, 32}));
    ASSERT_EQ(tensor.scalar_type(), torch::kFloat32);
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 32; ++x) {
        for (int c = 0; c < channels; ++c) {
          EXPECT_FLOAT_EQ(tensor[0][c][y][x].item<float>(),
                          static_cast<float>(bitmap.pixel(x, y)[c]) / 127.5f - 1);
        }
      }
    }
  }
}

TEST(BitmapToTensorTest, BlackAndWhiteAreTheEndsOfTheRange) {
  EXPECT_EQ(BitmapToTensor(Bitmap::Make(2, 2, 3, 0)).max().item<float>(), -1);
  EXPECT_EQ(BitmapToTensor(Bitmap::Make(2, 2, 3, 255)).min().item<float>(), 1);
}

TEST(BitmapToTensorTest, EveryByteComesBack) {
  for (const int channels : {1, 3}) {
    const Bitmap bitmap = AllBytes(channels);
    EXPECT_EQ(TensorToBitmap(BitmapToTensor(bitmap)), bitmap);
  }
}

TEST(BitmapsToTensorTest, ABatchIsItsBitmapsInOrder) {
  std::vector<Bitmap> bitmaps = {AllBytes(3), Bitmap::Make(32, 8, 3, 7), AllBytes(3)};
  bitmaps[2].pixel(3, 4)[1] ^= 0x80;
  const torch::Tensor batch = BitmapsToTensor(bitmaps);
  ASSERT_EQ(batch.size(0), 3);
  EXPECT_TRUE(batch.is_contiguous());
  for (int64_t n = 0; n < 3; ++n) {
    EXPECT_TRUE(batch[n].equal(BitmapToTensor(bitmaps[static_cast<size_t>(n)])[0]));
  }
  EXPECT_EQ(TensorToBitmaps(batch), bitmaps);
}

TEST(BitmapsToTensorTest, NoneOrSeveralSizesAreRefused) {
  EXPECT_THROW(BitmapsToTensor({}), c10::Error);
  const std::vector<Bitmap> uneven = {Bitmap::Make(4, 4, 3), Bitmap::Make(4, 5, 3)};
  EXPECT_THROW(BitmapsToTensor(uneven), c10::Error);
}

TEST(TensorToBitmapTest, RoundsToTheNearestByte) {
  const auto byte_of = [](double value) {
    return static_cast<int>(TensorToBitmap(torch::full({1, 1, 1}, value)).data[0]);
  };
  EXPECT_EQ(byte_of(0.1 / 127.5 - 1), 0);
  EXPECT_EQ(byte_of(0.6 / 127.5 - 1), 1);
  EXPECT_EQ(byte_of(100.4 / 127.5 - 1), 100);
  EXPECT_EQ(byte_of(100.6 / 127.5 - 1), 101);
  EXPECT_EQ(byte_of(254.6 / 127.5 - 1), 255);
}

TEST(TensorToBitmapTest, ClampsWhatIsOutsideOfTheRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  const torch::Tensor image =
      torch::tensor({-infinity, -3.f, -1.001f, 1.001f, 700.f, infinity}).view({1, 1, 6});
  EXPECT_EQ(TensorToBitmap(image).data, (std::vector<uint8_t>{0, 0, 0, 255, 255, 255}));
}

TEST(TensorToBitmapTest, TakesAnyOrderTypeAndDimension) {
  const Bitmap bitmap = AllBytes(3);
  const torch::Tensor plain = BitmapToTensor(bitmap);
  EXPECT_EQ(TensorToBitmap(plain[0]), bitmap);
  EXPECT_EQ(TensorToBitmap(plain.contiguous(torch::MemoryFormat::ChannelsLast)), bitmap);
  EXPECT_EQ(TensorToBitmap(plain.to(torch::kFloat64)), bitmap);
  EXPECT_EQ(TensorToBitmap(plain.clone().requires_grad_(true)), bitmap);
  EXPECT_THROW(TensorToBitmap(torch::zeros({8, 8})), c10::Error);
  EXPECT_THROW(TensorToBitmap(torch::zeros({2, 3, 8, 8})), c10::Error);
}

TEST(PreparationForTest, IsWhatTheConfigSays) {
  v1::ModelConfig config;
  config.set_resolution(64);
  config.set_image_channels(1);
  const Preparation plain = PreparationFor(config);
  EXPECT_EQ(plain.resolution, 64);
  EXPECT_EQ(plain.channels, 1);
  EXPECT_FALSE(plain.stretch);
  EXPECT_EQ(plain.padded_from, 0);
  EXPECT_EQ(plain.crop, 0);
  config.mutable_preprocessing()->set_crop("center");
  EXPECT_FALSE(PreparationFor(config).stretch);
  config.mutable_preprocessing()->set_crop("stretch");
  config.mutable_preprocessing()->set_padded_from(28);
  config.mutable_preprocessing()->set_crop_pixels(208);
  EXPECT_EQ(PreparationFor(config).crop, 208);
  EXPECT_TRUE(PreparationFor(config).stretch);
  EXPECT_EQ(PreparationFor(config).padded_from, 28);
}

}  // namespace
}  // namespace stylex
