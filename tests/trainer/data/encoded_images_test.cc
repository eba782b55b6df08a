// Which photographs are encoded, in which order, with which logits and labels.
#include "trainer/data/encoded_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "models/pixels.h"
#include "tests/explain/tiny_model.h"
#include "tests/trainer/data/silent_progress.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Pictures of noise, which follows from their number; some cannot be read.
class NoisePictures : public Dataset {
 public:
  NoisePictures(int64_t train, int64_t validation, std::set<int64_t> broken = {})
      : Dataset({.resolution = kTinyResolution, .channels = 1}),
        train_(train),
        validation_(validation),
        broken_(std::move(broken)) {
    labels_ = {"a", "b", "c", "d"};
  }
  int64_t size(Split split) const override { return split == Split::kTrain ? train_ : validation_; }
  int64_t label(Split, int64_t index) const override { return index % 4; }
  std::string name(Split, int64_t index) const override {
    return "picture " + std::to_string(index);
  }
  absl::StatusOr<Bitmap> Load(Split split, int64_t index) const override {
    if (broken_.contains(index)) {
      return absl::InvalidArgumentError(name(split, index) + ": broken");
    }
    Bitmap bitmap = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
    uint32_t state = static_cast<uint32_t>(index + (split == Split::kTrain ? 1 : 100'000));
    for (uint8_t& sample : bitmap.data) {
      state = state * 1'664'525 + 1'013'904'223;
      sample = static_cast<uint8_t>(state >> 24);
    }
    return bitmap;
  }

 private:
  const int64_t train_, validation_;
  const std::set<int64_t> broken_;
};

std::vector<int64_t> Values(const torch::Tensor& tensor) {
  const torch::Tensor plain = tensor.contiguous();
  return {plain.data_ptr<int64_t>(), plain.data_ptr<int64_t>() + plain.numel()};
}

// A model without an encoder, which maps z to w.
Stylex Drawing() {
  torch::manual_seed(3);
  v1::ModelConfig config = MakeTinyModel(1).stylex.config();
  config.clear_encoder();
  config.mutable_generator()->set_mapping_layers(2);
  config.mutable_generator()->set_mapping_lr_multiplier(0.01);
  return Stylex(config, Networks::Make(config), std::make_shared<TinyClassifier>());
}

TEST(EncodeImagesTest, AreTheDrawnPhotographsWithTheirLabels) {
  const TinyModel tiny = MakeTinyModel(41);
  const NoisePictures pictures(50, 30);
  SilentProgress progress;
  const EncodedImages images =
      EncodeImages(tiny.stylex, pictures, Split::kValidation, 12, 7, &progress).value();
  EXPECT_THAT(Values(images.indices), ElementsAreArray(DrawnIndices(30, 7, 12)));
  torch::NoGradGuard no_grad;
  for (int64_t n = 0; n < 12; ++n) {
    const int64_t index = images.indices[n].item<int64_t>();
    EXPECT_EQ(images.labels[n].item<int64_t>(), index % 4);
    const torch::Tensor x = BitmapToTensor(pictures.Load(Split::kValidation, index).value());
    const torch::Tensor logits = tiny.stylex.Logits(x);
    EXPECT_TRUE(images.logits.narrow(0, n, 1).allclose(logits, 1e-4, 1e-4));
    const StyleVectors alone = tiny.stylex.StylesOfImages(x);
    EXPECT_TRUE(images.styles.conv.narrow(0, n, 1).allclose(alone.conv, 1e-3, 1e-3)) << n;
    EXPECT_TRUE(images.styles.rgb.narrow(0, n, 1).allclose(alone.rgb, 1e-3, 1e-3)) << n;
  }
  EXPECT_FALSE(images.styles.conv.requires_grad());
}

// More than one batch, of which the last is shorter.
TEST(EncodeImagesTest, ZeroMeansAllAndLargeSplitsAreEncodedInParts) {
  const TinyModel tiny = MakeTinyModel(42);
  SilentProgress progress;
  const EncodedImages images =
      EncodeImages(tiny.stylex, NoisePictures(150, 4), Split::kTrain, 0, 1, &progress).value();
  std::vector<int64_t> indices = Values(images.indices);
  ASSERT_THAT(indices, SizeIs(150));
  EXPECT_EQ(images.styles.conv.size(0), 150);
  EXPECT_EQ(images.logits.sizes(), (std::vector<int64_t>{150, kTinyClasses}));
  std::sort(indices.begin(), indices.end());
  for (int64_t i = 0; i < 150; ++i) {
    EXPECT_EQ(indices[static_cast<size_t>(i)], i);
  }
}

TEST(EncodeImagesTest, UnreadableOnesAreNamedAndLeftOut) {
  const TinyModel tiny = MakeTinyModel(43);
  SilentProgress progress;
  const EncodedImages images =
      EncodeImages(tiny.stylex, NoisePictures(6, 1, {2, 5}), Split::kTrain, 0, 1, &progress)
          .value();
  const std::vector<int64_t> indices = Values(images.indices);
  EXPECT_THAT(indices, testing::UnorderedElementsAre(0, 1, 3, 4));
  EXPECT_EQ(images.styles.conv.size(0), 4);
  EXPECT_EQ(images.labels.size(0), 4);
  EXPECT_THAT(progress.warnings(),
              testing::UnorderedElementsAre(HasSubstr("picture 2"), HasSubstr("picture 5")));
}

// Whichever image comes last: the batch before it must not be lost.
TEST(EncodeImagesTest, AnUnreadableLastImageLosesNothing) {
  const TinyModel tiny = MakeTinyModel(44);
  const int64_t last = DrawnIndices(5, 9, 0).back();
  SilentProgress progress;
  const EncodedImages images =
      EncodeImages(tiny.stylex, NoisePictures(5, 1, {last}), Split::kTrain, 0, 9, &progress)
          .value();
  EXPECT_EQ(images.indices.size(0), 4);
  EXPECT_EQ(images.styles.conv.size(0), 4);
}

TEST(EncodeImagesTest, WithoutAnyReadableImageThereIsAnError) {
  const TinyModel tiny = MakeTinyModel(45);
  SilentProgress progress;
  EXPECT_EQ(EncodeImages(tiny.stylex, NoisePictures(2, 1, {0, 1}), Split::kTrain, 0, 1, &progress)
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

TEST(EncodeImagesTest, WithoutAnEncoderImagesAreDrawn) {
  const Stylex model = Drawing();
  const NoisePictures pictures(20, 9);
  SilentProgress progress;
  const auto drawn = [&](Split split, int64_t count, uint64_t seed) {
    return EncodeImages(model, pictures, split, count, seed, &progress).value();
  };
  const EncodedImages images = drawn(Split::kValidation, 0, 5);
  EXPECT_EQ(images.indices.size(0), 9) << "as many as the split has";
  EXPECT_TRUE(images.labels.equal(images.logits.argmax(1)));
  EXPECT_TRUE(images.logits.allclose(model.LogitsOfStyles(images.styles), 1e-4, 1e-4));
  EXPECT_TRUE(images.styles.conv.equal(drawn(Split::kValidation, 9, 5).styles.conv));
  EXPECT_FALSE(images.styles.conv.equal(drawn(Split::kValidation, 9, 6).styles.conv));
  EXPECT_FALSE(images.styles.conv.equal(drawn(Split::kTrain, 9, 5).styles.conv));
}

TEST(SampleStylesTest, FollowTheSeedAlone) {
  const torch::NoGradGuard no_grad;
  const Stylex model = Drawing();
  const StyleVectors first = SampleStyles(model, 3, 17);
  torch::randn({100});  // whatever else draws random numbers
  EXPECT_TRUE(first.conv.equal(SampleStyles(model, 3, 17).conv));
  EXPECT_FALSE(first.conv.equal(SampleStyles(model, 3, 18).conv));
  EXPECT_FALSE(first.conv[0].equal(first.conv[1]));
}

TEST(ForEachTrainingLatentTest, VisitsTheTrainingSplitInOrder) {
  const torch::NoGradGuard no_grad;
  const TinyModel tiny = MakeTinyModel(46);
  const NoisePictures pictures(140, 3, {1});
  for (const int64_t limit : {0, 5}) {
    SilentProgress progress;
    std::vector<torch::Tensor> visited;
    ASSERT_TRUE(ForEachTrainingLatent(tiny.stylex, pictures, limit, "latents", &progress,
                                      [&visited](const torch::Tensor& w) { visited.push_back(w); })
                    .ok());
    const torch::Tensor all = torch::cat(visited);
    EXPECT_EQ(all.size(1), tiny.stylex.w_size());
    const torch::Tensor x = BitmapToTensor(pictures.Load(Split::kTrain, 2).value());
    // Picture 1 is broken, so that picture 2 is the second.
    EXPECT_TRUE(
        all.narrow(0, 1, 1).allclose(tiny.stylex.Encode(x, tiny.stylex.Logits(x)), 1e-3, 1e-3));
    EXPECT_THAT(progress.warnings(), SizeIs(1));
    if (limit == 0) {
      EXPECT_EQ(all.size(0), 139);
    } else {
      EXPECT_LE(all.size(0), limit);
    }
  }
}

}  // namespace
}  // namespace stylex
