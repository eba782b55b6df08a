#include "server/handlers/pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "server/rpc/errors.h"
#include "tests/explain/tiny_model.h"
#include "tests/server/rpc/error_details.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kSide = static_cast<int>(kTinyResolution);
constexpr DecodeLimits kLimits = {};

// Different bytes everywhere.
Bitmap Pattern(int width, int height, int channels) {
  Bitmap bitmap = Bitmap::Make(width, height, channels);
  for (size_t i = 0; i < bitmap.data.size(); ++i) {
    bitmap.data[i] = static_cast<uint8_t>(i * 37 % 251);
  }
  return bitmap;
}

v1::Image AsPng(const Bitmap& bitmap) {
  v1::Image image;
  image.set_data(EncodePng(bitmap).value());
  return image;
}

class PicturesTest : public testing::Test {
 protected:
  TinyModel tiny_ = MakeTinyModel(8);
  ServedModel model_{"tiny", 3, {tiny_.stylex, std::nullopt}};
};

TEST_F(PicturesTest, AnImageOfTheModelsSizeKeepsItsPixels) {
  const Bitmap bitmap = Pattern(kSide, kSide, 1);
  const torch::Tensor x = DecodePicture(AsPng(bitmap), model_, kLimits).value();
  ASSERT_THAT(x.sizes(), ElementsAre(1, 1, kSide, kSide));
  EXPECT_EQ(x.scalar_type(), torch::kFloat32);
  for (int y = 0; y < kSide; ++y) {
    for (int column = 0; column < kSide; ++column) {
      EXPECT_FLOAT_EQ(x[0][0][y][column].item<float>(), *bitmap.pixel(column, y) / 127.5F - 1);
    }
  }
}

TEST_F(PicturesTest, TheCentralSquareOfAWideImageIsTaken) {
  Bitmap wide = Bitmap::Make(3 * kSide, kSide, 1, 255);
  const Bitmap centre = Pattern(kSide, kSide, 1);
  for (int y = 0; y < kSide; ++y) {
    std::copy_n(centre.pixel(0, y), kSide, wide.pixel(kSide, y));
  }
  EXPECT_TRUE(DecodePicture(AsPng(wide), model_, kLimits)
                  .value()
                  .equal(DecodePicture(AsPng(centre), model_, kLimits).value()));
}

TEST_F(PicturesTest, ColourBecomesLumaForAGreyModel) {
  Bitmap red = Bitmap::Make(kSide, kSide, 3);
  for (size_t i = 0; i < red.data.size(); i += 3) {
    red.data[i] = 200;
  }
  const torch::Tensor x = DecodePicture(AsPng(red), model_, kLimits).value();
  EXPECT_NEAR(x.mean().item<double>(), std::round(0.299 * 200) / 127.5 - 1, 1e-6);
  EXPECT_EQ(x.min().item<float>(), x.max().item<float>());
}

TEST_F(PicturesTest, ABrokenImageIsAFaultOfItsField) {
  v1::Image image;
  image.set_data("\xFF\xD8\xFF no more than a beginning");
  const absl::Status status = ReadPicture(image, "images[2]", model_, kLimits).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(ViolatedFields(ToGrpcStatus(status, "id")), ElementsAre("images[2].data"));
}

TEST_F(PicturesTest, ALargeImageIsRefusedByItsHeader) {
  const absl::Status status =
      ReadPicture(AsPng(Pattern(20, 10, 1)), "image", model_, {.max_pixels = 199}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ViolatedFields(ToGrpcStatus(status, "id")), ElementsAre("image.data"));
  EXPECT_TRUE(ReadPicture(AsPng(Pattern(20, 10, 1)), "image", model_, {.max_pixels = 200}).ok());
}

TEST_F(PicturesTest, WhatIsNotFiniteCannotBeDrawn) {
  const torch::Tensor image = torch::zeros({1, 1, 2, 2}), logits = torch::zeros({1, 2});
  EXPECT_TRUE(CheckDrawable(image, logits, "styles").ok());
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    torch::Tensor broken = image.clone();
    broken[0][0][1][0] = value;
    const absl::Status status = CheckDrawable(broken, logits, "styles");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(ViolatedFields(ToGrpcStatus(status, "id")), ElementsAre("styles"));
    EXPECT_FALSE(CheckDrawable(image, torch::full({1, 2}, value), "latent").ok());
  }
}

TEST_F(PicturesTest, PngHoldsTheRoundedPixelsAndSaysWhoDrewThem) {
  const torch::Tensor image = torch::tensor({-1.5F, -1.0F, 0.0F, 0.996F, 1.0F, 7.0F});
  const PictureWriter writer({}, "tiny/3");
  const v1::Image written = writer.Write(image.reshape({1, 1, 2, 3})).value();
  EXPECT_EQ(DetectFormat(written.data()), ImageFormat::kPng);
  const Bitmap read = DecodeImage(written.data()).value();
  EXPECT_EQ(read.width, 3);
  EXPECT_EQ(read.height, 2);
  EXPECT_THAT(read.data, ElementsAre(0, 0, 128, 254, 255, 255));
  EXPECT_THAT(written.data(), HasSubstr("Synthetic image, drawn by the StylEx model tiny/3"));
  EXPECT_THAT(written.data(), HasSubstr("digitalsourcetype/trainedAlgorithmicMedia"));
  EXPECT_EQ(written.data(), writer.Write(image.reshape({1, 2, 3})).value().data())
      << "with or without the batch's dimension";
}

TEST_F(PicturesTest, JpegHasTheQualityThatIsAskedFor) {
  const torch::Tensor image = torch::rand({3, kSide, kSide}) * 2 - 1;
  v1::OutputFormat format;
  format.set_encoding(v1::OutputFormat::ENCODING_JPEG);
  const std::string usual = PictureWriter(format, "tiny/3").Write(image).value().data();
  EXPECT_EQ(DetectFormat(usual), ImageFormat::kJpeg);
  EXPECT_THAT(usual, Not(HasSubstr("Synthetic")));
  std::vector<size_t> sizes;
  for (const int quality : {20, 90, 100}) {
    format.set_quality(quality);
    const std::string data = PictureWriter(format, "tiny/3").Write(image).value().data();
    sizes.push_back(data.size());
    if (quality == 90) {
      EXPECT_EQ(data, usual) << "the default";
    }
  }
  EXPECT_LT(sizes[0], sizes[1]);
  EXPECT_LT(sizes[1], sizes[2]);
  format.set_quality(101);
  EXPECT_FALSE(PictureWriter(format, "tiny/3").Write(image).ok());
}

TEST_F(PicturesTest, APredictionHasTheSoftmaxOfItsLogits) {
  const std::vector<float> logits = {0.5F, -2.0F, 3.0F, 2.5F};
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit));
  }
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{4}, {1, 4}}) {
    const v1::Prediction prediction =
        ToPrediction(torch::tensor(logits, torch::kFloat64).reshape(shape), model_);
    EXPECT_THAT(prediction.logits(), testing::ElementsAreArray(logits));
    ASSERT_EQ(prediction.probabilities_size(), 4);
    for (int k = 0; k < 4; ++k) {
      EXPECT_NEAR(prediction.probabilities(k),
                  std::exp(static_cast<double>(logits[static_cast<size_t>(k)])) / sum, 1e-6);
    }
    EXPECT_EQ(prediction.class_id(), 2);
    EXPECT_EQ(prediction.label(), "c");
  }
}

TEST_F(PicturesTest, ComparesPixelsAndDecisionsLiterally) {
  torch::manual_seed(4);
  const torch::Tensor given = torch::rand({1, 1, kSide, kSide}) * 2 - 1;
  const torch::Tensor drawn = (given + torch::randn_like(given) * 0.1).clamp(-1, 1);
  const std::vector<double> p_logits = {1, 0.5, -1, 0}, q_logits = {0.5, 1, -1, 0};
  double absolute = 0, squares = 0;
  for (int64_t i = 0; i < given.numel(); ++i) {
    const double difference = given.flatten()[i].item<double>() - drawn.flatten()[i].item<double>();
    absolute += std::abs(difference);
    squares += difference * difference;
  }
  double p_sum = 0, q_sum = 0, kl = 0;
  for (size_t k = 0; k < 4; ++k) {
    p_sum += std::exp(p_logits[k]);
    q_sum += std::exp(q_logits[k]);
  }
  for (size_t k = 0; k < 4; ++k) {
    const double p = std::exp(p_logits[k]) / p_sum;
    kl += p * (std::log(p) - std::log(std::exp(q_logits[k]) / q_sum));
  }
  const auto logits = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat32).reshape({1, 4});
  };
  const v1::ReconstructionQuality quality =
      CompareImages(given, drawn, logits(p_logits), logits(q_logits), model_);
  const double count = static_cast<double>(given.numel());
  EXPECT_NEAR(quality.l1(), absolute / count, 1e-6);
  EXPECT_NEAR(quality.psnr(), 10 * std::log10(4 / (squares / count)), 1e-3);
  EXPECT_NEAR(quality.kl(), kl, 1e-5);
  EXPECT_FALSE(quality.same_class());
  EXPECT_GT(quality.ssim(), 0.5);
  EXPECT_LT(quality.ssim(), 1);
  const v1::ReconstructionQuality same =
      CompareImages(given, given, logits(p_logits), logits(p_logits), model_);
  EXPECT_EQ(same.l1(), 0);
  EXPECT_NEAR(same.ssim(), 1, 1e-5);
  EXPECT_NEAR(same.kl(), 0, 1e-7);
  EXPECT_TRUE(same.same_class());
}

}  // namespace
}  // namespace stylex
