#include "trainer/study/truth/attribute_truth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "explain/metrics.h"
#include "models/pixels.h"
#include "tests/explain/tiny_model.h"
#include "tests/trainer/data/silent_progress.h"

namespace stylex {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

AttributeTruth Attribute(size_t factor, double change, double effect, bool found = true) {
  AttributeTruth attribute;
  attribute.mean_change.assign(4, 0);
  attribute.mean_change[factor] = change;
  attribute.factor = factor;
  attribute.mean_effect = effect;
  attribute.found = found;
  return attribute;
}

TEST(TruthTest, CountsFindings) {
  const std::vector<int> signs = {1, -1, 0, 0};
  ClassTruth truth;
  truth.class_id = 1;
  truth.attributes = {Attribute(0, 0.4, 3), Attribute(0, -0.2, 1), Attribute(2, 0.3, 0.5),
                      Attribute(1, -0.5, 2, /*found=*/false)};
  truth.effect = {5, 4, 0.5, 0.1};
  SummarizeClass(signs, &truth);
  EXPECT_THAT(truth.recall, Optional(DoubleEq(0.5)));
  EXPECT_DOUBLE_EQ(truth.precision, 0.5);
  EXPECT_DOUBLE_EQ(truth.false_discoveries, 0.25);
  EXPECT_THAT(truth.sign_accuracy, Optional(DoubleEq(0.5)));
  EXPECT_EQ(truth.duplicates, 1);
  EXPECT_THAT(truth.attributed, ElementsAre(4, 0, 0.5, 0));
  EXPECT_THAT(truth.rank_correlation, Spearman(truth.effect, {4, 0, 0.5, 0}));
  // For the other class the same changes have the wrong direction.
  truth.class_id = 0;
  truth.attributes[1].found = false;
  SummarizeClass(signs, &truth);
  EXPECT_THAT(truth.sign_accuracy, Optional(DoubleEq(0)));
  // A rule that ignores all factors: no recall, and every finding is false.
  SummarizeClass({0, 0, 0, 0}, &truth);
  EXPECT_EQ(truth.recall, std::nullopt);
  EXPECT_EQ(truth.sign_accuracy, std::nullopt);
  EXPECT_DOUBLE_EQ(truth.precision, 0);
  EXPECT_DOUBLE_EQ(truth.false_discoveries, 0.5);
}

// A world with two factors that can be read from a picture: the means of its upper and lower
// halves.
class Halves : public KnownWorld {
 public:
  explicit Halves(int channels) {
    factors_ = {{"upper", 0.2, 0.1, 0.9, 1}, {"lower", 0.4, 0.1, 0.9, 0}};
    resolution_ = kTinyResolution;
    channels_ = channels;
    folder_ = "";
    for (int i = 0; i < 12; ++i) {
      values_[absl::StrCat("image", i)] = {0.3, 0.6};
    }
  }
  static double Mean(const Bitmap& image, int half) {
    double sum = 0;
    const int rows = image.height / 2;
    for (int y = half * rows; y < (half + 1) * rows; ++y) {
      for (int x = 0; x < image.width; ++x) {
        sum += image.pixel(x, y)[0];
      }
    }
    return sum / (255.0 * rows * image.width);
  }
  Bitmap Intervene(const Bitmap& image, const std::vector<double>&, size_t factor,
                   double value) const override {
    Bitmap changed = image;
    const size_t half = changed.data.size() / 2;
    std::fill_n(changed.data.begin() + static_cast<int64_t>(factor * half), half,
                static_cast<uint8_t>(255 * value));
    return changed;
  }
  Reading Read(const Bitmap& image, const std::vector<double>&) const override {
    return {{Mean(image, 0), Mean(image, 1)}, 0};
  }
};

// The same with halves that can be reset.
class SeparableHalves : public Halves {
 public:
  using Halves::Halves;
  std::optional<Bitmap> Undo(const Bitmap& before, const Bitmap& after,
                             size_t factor) const override {
    Bitmap undone = after;
    const int64_t half = static_cast<int64_t>(undone.data.size() / 2);
    const int64_t start = static_cast<int64_t>(factor) * half;
    std::copy_n(before.data.begin() + start, half, undone.data.begin() + start);
    return undone;
  }
};

class GreyPictures : public Dataset {
 public:
  GreyPictures() : Dataset({.resolution = kTinyResolution, .channels = 1}) { labels_ = {"a", "b"}; }
  int64_t size(Split) const override { return 12; }
  int64_t label(Split, int64_t index) const override { return index % 2; }
  std::string name(Split, int64_t index) const override { return absl::StrCat("image", index); }
  absl::StatusOr<Bitmap> Load(Split, int64_t index) const override {
    Bitmap bitmap = Bitmap::Make(kTinyResolution, kTinyResolution, 1);
    for (size_t i = 0; i < bitmap.data.size(); ++i) {
      bitmap.data[i] = static_cast<uint8_t>((i * 31 + static_cast<size_t>(index) * 57) % 256);
    }
    return bitmap;
  }
};

class TwoOfFour : public Classifier {
 public:
  torch::Tensor Logits(const torch::Tensor& images) const override {
    return inner_.Logits(images).narrow(1, 0, 2);
  }
  void To(const torch::Device& device) override { inner_.To(device); }
  int64_t NumParameters() const override { return inner_.NumParameters(); }

 private:
  TinyClassifier inner_;
};

std::vector<Bitmap> AllPictures() {
  std::vector<Bitmap> pictures;
  for (int64_t i = 0; i < 12; ++i) {
    pictures.push_back(GreyPictures().Load(Split::kValidation, i).value());
  }
  return pictures;
}

class MeasureTest : public testing::Test {
 protected:
  MeasureTest() {
    const TinyModel tiny = MakeTinyModel(8);
    v1::ModelConfig config = tiny.stylex.config();
    config.mutable_labels()->DeleteSubrange(2, 2);
    ranges_ = tiny.ranges;
    v1::AttributeIndex index;
    RangesToIndex(tiny.ranges, &index);
    for (int k = 0; k < 2; ++k) {
      v1::ClassAttributes* of_class = index.add_classes();
      of_class->set_class_id(k);
      for (const int coordinate : {3, 17, 38}) {
        v1::Attribute* attribute = of_class->add_attributes();
        attribute->set_index(coordinate);
        attribute->set_direction(k == 0 ? v1::DIRECTION_TO_MIN : v1::DIRECTION_TO_MAX);
      }
    }
    checkpoint_.emplace(
        Checkpoint{Stylex(config, tiny.stylex.networks(), std::make_shared<TwoOfFour>()), index});
  }
  absl::StatusOr<TruthFigures> Measure(const KnownWorld& world) {
    SilentProgress progress;
    return MeasureTruth(*checkpoint_, world, GreyPictures(), {.top = 2, .images = 0, .seed = 1},
                        &progress);
  }
  std::optional<Checkpoint> checkpoint_;
  StyleRanges ranges_;
};

TEST_F(MeasureTest, ReadsWhatEachAttributeChanges) {
  const TruthFigures figures = Measure(Halves(1)).value();
  EXPECT_EQ(figures.images, 12);
  const Stylex& model = checkpoint_->model;
  torch::NoGradGuard no_grad;
  const std::vector<Bitmap> pictures = AllPictures();
  const StyleVectors styles = model.StylesOfImages(BitmapsToTensor(pictures));
  const std::vector<Bitmap> before = TensorToBitmaps(model.Synthesize(styles));
  const torch::Tensor decided = model.Logits(BitmapsToTensor(before)).argmax(1);
  ASSERT_EQ(figures.classes.size(), 2);
  for (int64_t k = 0; k < 2; ++k) {
    const ClassTruth& truth = figures.classes[static_cast<size_t>(k)];
    const int64_t others = decided.ne(k).sum().item<int64_t>();
    ASSERT_EQ(truth.attributes.size(), others > 0 ? 2 : 0);
    for (size_t a = 0; a < truth.attributes.size(); ++a) {
      const Move move{{a == 0 ? 3 : 17, static_cast<int>(k)}, 1};
      EXPECT_EQ(truth.attributes[a].coordinate, move.coordinate);
      EXPECT_EQ(truth.attributes[a].images, others);
      const std::vector<Bitmap> after =
          TensorToBitmaps(model.Synthesize(ApplyMoves(styles, ranges_, {&move, 1})));
      for (int half = 0; half < 2; ++half) {
        double absolute = 0, signed_sum = 0;
        for (int64_t n = 0; n < 12; ++n) {
          if (decided[n].item<int64_t>() != k) {
            const size_t i = static_cast<size_t>(n);
            const double change = Halves::Mean(after[i], half) - Halves::Mean(before[i], half);
            absolute += std::abs(change) / (half == 0 ? 0.2 : 0.4) / static_cast<double>(others);
            signed_sum += change / (half == 0 ? 0.2 : 0.4) / static_cast<double>(others);
          }
        }
        const size_t j = static_cast<size_t>(half);
        EXPECT_NEAR(truth.attributes[a].change[j], absolute, 1e-9);
        EXPECT_NEAR(truth.attributes[a].mean_change[j], signed_sum, 1e-9);
      }
    }
    // Interventions on the photographs themselves.
    const Halves world(1);
    for (size_t j = 0; j < 2; ++j) {
      double absolute = 0;
      for (const Bitmap& picture : pictures) {
        const auto logit = [&](double value) {
          return model.Logits(BitmapToTensor(world.Intervene(picture, {}, j, value)))[0][k]
              .item<double>();
        };
        absolute += std::abs(logit(0.9) - logit(0.1)) / 12;
      }
      EXPECT_NEAR(truth.effect[j], absolute, 1e-4);
    }
  }
}

// An attribute is matched to a factor by the share of its effect that is undone when the factor is
// reset, however small the factor is in the picture.
TEST_F(MeasureTest, SharesOutEffectsWhereFactorsCanBePutBack) {
  const SeparableHalves world(1);
  const TruthFigures figures = Measure(world).value();
  const Stylex& model = checkpoint_->model;
  torch::NoGradGuard no_grad;
  const StyleVectors styles = model.StylesOfImages(BitmapsToTensor(AllPictures()));
  const std::vector<Bitmap> before = TensorToBitmaps(model.Synthesize(styles));
  const torch::Tensor decided = model.Logits(BitmapsToTensor(before)).argmax(1);
  int checked = 0;
  for (const ClassTruth& truth : figures.classes) {
    for (const AttributeTruth& attribute : truth.attributes) {
      const Move move{attribute.coordinate, 1};
      const std::vector<Bitmap> after =
          TensorToBitmaps(model.Synthesize(ApplyMoves(styles, ranges_, {&move, 1})));
      double effect = 0, left = 0;
      for (int64_t n = 0; n < 12; ++n) {
        const size_t i = static_cast<size_t>(n);
        const auto logit = [&](const Bitmap& bitmap) {
          return model.Logits(BitmapToTensor(bitmap))[0][truth.class_id].item<double>();
        };
        if (decided[n].item<int64_t>() != truth.class_id) {
          effect += logit(after[i]) - logit(before[i]);
          left += logit(*world.Undo(before[i], after[i], attribute.factor)) - logit(before[i]);
        }
      }
      const double share = effect > 0 ? std::clamp(1 - left / effect, 0.0, 1.0) : 0;
      EXPECT_NEAR(attribute.purity, share, 1e-3);
      checked += effect > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(checked, 0);
}

TEST_F(MeasureTest, SaysWhatDoesNotFit) {
  EXPECT_THAT(std::string(Measure(Halves(3)).status().message()), HasSubstr("16x16x3"));
  checkpoint_->attributes.reset();
  EXPECT_THAT(std::string(Measure(Halves(1)).status().message()), HasSubstr("attribute index"));
}

}  // namespace
}  // namespace stylex
