// Reconstructions and flips against their definitions, image by image, on random networks.
#include "trainer/study/reconstruction_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "explain/metrics.h"
#include "models/pixels.h"
#include "models/rendering.h"
#include "tests/trainer/data/silent_progress.h"
#include "tests/trainer/study/random_pictures.h"

namespace stylex {
namespace {

// The random pictures with labels, of which label 0 is the commonest.
class LabelledPictures : public RandomPictures {
 public:
  using RandomPictures::RandomPictures;
  int64_t label(Split, int64_t index) const override {
    return index % 3 == 0 ? index % kTinyClasses : 0;
  }
};

// For each class a few coordinates, which differ by class.
v1::AttributeIndex FewAttributes(const StyleRanges& ranges) {
  v1::AttributeIndex index;
  RangesToIndex(ranges, &index);
  for (int k = 0; k < kTinyClasses; ++k) {
    v1::ClassAttributes* of_class = index.add_classes();
    of_class->set_class_id(k);
    for (int i = 0; i < 4; ++i) {
      v1::Attribute* attribute = of_class->add_attributes();
      attribute->set_index((11 * k + 9 * i) % kTinyCoordinates);
      attribute->set_direction(i % 2 == 0 ? v1::DIRECTION_TO_MAX : v1::DIRECTION_TO_MIN);
    }
  }
  return index;
}

class ReconstructionFiguresTest : public testing::Test {
 protected:
  ReconstructionFiguresTest()
      : tiny_(MakeTinyModel(51)), checkpoint_{tiny_.stylex, FewAttributes(tiny_.ranges)} {}

  struct Seen {
    torch::Tensor photograph, drawn, logits, drawn_logits;
    StyleVectors styles;
  };
  Seen Look(const Dataset& pictures, int64_t index) const {
    const torch::NoGradGuard no_grad;
    Seen seen;
    seen.photograph = BitmapToTensor(pictures.Load(Split::kValidation, index).value());
    seen.logits = tiny_.stylex.Logits(seen.photograph);
    seen.styles = tiny_.stylex.StylesOfImages(seen.photograph);
    seen.drawn = tiny_.stylex.Synthesize(seen.styles);
    seen.drawn_logits = tiny_.stylex.Logits(seen.drawn);
    return seen;
  }
  // The decision on the image with the first `count` of `moves`, as a PNG file holds it.
  int64_t DecidedWith(const StyleVectors& styles, const std::vector<Coordinate>& moves,
                      size_t count) const {
    const torch::NoGradGuard no_grad;
    const std::vector<Move> applied = MovesBy(1, std::span(moves).first(count));
    const torch::Tensor image = tiny_.stylex.Synthesize(ApplyMoves(styles, tiny_.ranges, applied));
    return tiny_.stylex.Logits(Rendering::Png().Apply(image)).argmax(1).item<int64_t>();
  }

  TinyModel tiny_;
  Checkpoint checkpoint_;
  SilentProgress progress_;
};

TEST_F(ReconstructionFiguresTest, AreMeansOverTheValidationImages) {
  constexpr int64_t kCount = 21;
  const LabelledPictures pictures(kCount);
  const ReconstructionFigures figures =
      EvaluateReconstruction(tiny_.stylex, pictures, &progress_).value();
  double l1 = 0, psnr = 0, ssim = 0;
  int64_t agreeing = 0;
  std::vector<double> kl;
  for (int64_t i = 0; i < kCount; ++i) {
    const Seen seen = Look(pictures, i);
    const torch::Tensor difference = (seen.photograph - seen.drawn).to(torch::kFloat64);
    l1 += difference.abs().mean().item<double>() / kCount;
    psnr += 10 * std::log10(4 / difference.square().mean().item<double>()) / kCount;
    ssim += SsimPerImage(seen.photograph, seen.drawn).item<double>() / kCount;
    const torch::Tensor p = torch::softmax(seen.logits, 1),
                        q = torch::softmax(seen.drawn_logits, 1);
    kl.push_back((p * (p / q).log()).sum().item<double>());
    agreeing +=
        seen.logits.argmax().item<int64_t>() == seen.drawn_logits.argmax().item<int64_t>() ? 1 : 0;
    EXPECT_TRUE(figures.logits.narrow(0, i, 1).allclose(seen.logits, 1e-3, 1e-3));
    EXPECT_EQ(figures.labels[i].item<int64_t>(), pictures.label(Split::kValidation, i));
  }
  std::sort(kl.begin(), kl.end());
  EXPECT_EQ(figures.images, kCount);
  EXPECT_EQ(figures.agreeing, agreeing);
  EXPECT_NEAR(figures.l1, l1, 1e-4);
  EXPECT_NEAR(figures.psnr, psnr, 1e-3);
  EXPECT_NEAR(figures.ssim, ssim, 1e-4);
  EXPECT_NEAR(figures.median_kl, kl[kCount / 2], 1e-3);
  EXPECT_EQ(figures.errors.images(), kCount);
}

TEST_F(ReconstructionFiguresTest, AccuraciesAreThoseOfTheClasses) {
  const LabelledPictures pictures(30);
  const ReconstructionFigures figures =
      EvaluateReconstruction(tiny_.stylex, pictures, &progress_).value();
  std::vector<ReconstructionFigures::OfClass> expected(kTinyClasses);
  for (int64_t i = 0; i < 30; ++i) {
    const Seen seen = Look(pictures, i);
    ReconstructionFigures::OfClass& own =
        expected[static_cast<size_t>(pictures.label(Split::kValidation, i))];
    const int64_t decided = seen.logits.argmax().item<int64_t>();
    ++own.images;
    own.correct += decided == pictures.label(Split::kValidation, i) ? 1 : 0;
    own.agreeing += decided == seen.drawn_logits.argmax().item<int64_t>() ? 1 : 0;
  }
  ASSERT_EQ(figures.classes.size(), expected.size());
  int64_t correct = 0;
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(figures.classes[k].images, expected[k].images);
    EXPECT_EQ(figures.classes[k].correct, expected[k].correct);
    EXPECT_EQ(figures.classes[k].agreeing, expected[k].agreeing);
    correct += expected[k].correct;
  }
  EXPECT_DOUBLE_EQ(*figures.classifier_accuracy, static_cast<double>(correct) / 30);
  EXPECT_DOUBLE_EQ(*figures.constant_accuracy, static_cast<double>(expected[0].images) / 30);
}

TEST_F(ReconstructionFiguresTest, WithoutLabelsThereAreNoAccuracies) {
  const ReconstructionFigures figures =
      EvaluateReconstruction(tiny_.stylex, RandomPictures(6, {2}), &progress_).value();
  EXPECT_EQ(figures.images, 5) << "one cannot be read";
  EXPECT_FALSE(figures.classifier_accuracy.has_value());
  EXPECT_FALSE(figures.constant_accuracy.has_value());
  EXPECT_TRUE(figures.classes.empty());
  std::vector<int64_t> decided(kTinyClasses);
  for (const int64_t i : {0, 1, 3, 4, 5}) {
    ++decided[static_cast<size_t>(Look(RandomPictures(6), i).logits.argmax().item<int64_t>())];
  }
  const auto most = std::max_element(decided.begin(), decided.end());
  EXPECT_EQ(decided[static_cast<size_t>(figures.commonest_decision)], *most);
  EXPECT_DOUBLE_EQ(figures.commonest_share, static_cast<double>(*most) / 5);
  EXPECT_THAT(progress_.warnings(), testing::ElementsAre(testing::HasSubstr("picture2")));
}

// Sums over all images: what the reconstructions have of what the photographs have.
TEST_F(ReconstructionFiguresTest, DetailIsAShareOfAllImagesTogether) {
  const RandomPictures pictures(8);
  const ReconstructionFigures figures =
      EvaluateReconstruction(tiny_.stylex, pictures, &progress_).value();
  double gradient = 0, drawn_gradient = 0;
  for (int64_t i = 0; i < 8; ++i) {
    const Seen seen = Look(pictures, i);
    gradient += GradientPerImage(seen.photograph).item<double>();
    drawn_gradient += GradientPerImage(seen.drawn).item<double>();
  }
  EXPECT_NEAR(figures.sharpness, drawn_gradient / gradient, 1e-4);
  EXPECT_GE(figures.small_parts_found, 0);
  EXPECT_LE(figures.small_parts_found, 1);
}

// The index's attributes of the runner-up, moved one after the other.
TEST_F(ReconstructionFiguresTest, FlipsByTheIndexAreThoseOfItsFirstMoves) {
  constexpr int64_t kCount = 24;
  const RandomPictures pictures(kCount);
  FlipOptions options;
  options.candidates = options.joint_candidates = 8;
  const FlipFigures figures = EvaluateFlips(checkpoint_, pictures, options, &progress_).value();
  const ClassLists lists = IndexLists(*checkpoint_.attributes, kTinyClasses);
  std::array<int64_t, kMostAttributes> flips{}, agreeing_flips{};
  int64_t agreeing = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const Seen seen = Look(pictures, i);
    torch::Tensor base = tiny_.stylex.Logits(Rendering::Png().Apply(seen.drawn))[0].clone();
    const int64_t decided = base.argmax().item<int64_t>();
    base[decided] = -1e9;
    const int64_t target = base.argmax().item<int64_t>();
    const bool agrees = seen.logits.argmax().item<int64_t>() == decided;
    agreeing += agrees ? 1 : 0;
    const std::vector<Coordinate>& moves = lists[static_cast<size_t>(target)];
    bool flipped = false;
    for (size_t k = 0; k < static_cast<size_t>(kMostAttributes); ++k) {
      flipped = flipped || (k < moves.size() && DecidedWith(seen.styles, moves, k + 1) == target);
      flips[k] += flipped ? 1 : 0;
      agreeing_flips[k] += flipped && agrees ? 1 : 0;
    }
  }
  EXPECT_EQ(figures.images, kCount);
  EXPECT_EQ(figures.agreeing, agreeing);
  EXPECT_EQ(figures.flips.at(Choice::kGlobalIndex), flips);
  EXPECT_EQ(figures.agreeing_flips.at(Choice::kGlobalIndex), agreeing_flips);
  EXPECT_GT(flips.back(), 0) << "the case tests nothing";
}

TEST_F(ReconstructionFiguresTest, EveryChoiceIsMeasuredAndFlipsAddUp) {
  FlipOptions options;
  options.images = 10;
  options.candidates = options.joint_candidates = 12;
  const FlipFigures figures =
      EvaluateFlips(checkpoint_, RandomPictures(40), options, &progress_).value();
  EXPECT_EQ(figures.images, 10);
  for (const Choice choice : kChoices) {
    const auto& flips = figures.flips.at(choice);
    for (size_t k = 0; k < flips.size(); ++k) {
      EXPECT_GE(flips[k], k == 0 ? 0 : flips[k - 1]) << NameOf(choice) << " with more attributes";
      EXPECT_LE(figures.agreeing_flips.at(choice)[k], std::min(flips[k], figures.agreeing));
    }
    EXPECT_LE(flips.back(), figures.images);
  }
  EXPECT_LE(figures.random_together, figures.flips.at(Choice::kRandom).back());
  EXPECT_GT(figures.flips.at(Choice::kJoint).back(), 0);
}

TEST_F(ReconstructionFiguresTest, FlipsFollowTheSeedAndNotTheWorkers) {
  FlipOptions options;
  options.images = 6;
  options.candidates = options.joint_candidates = 8;
  const RandomPictures pictures(30);
  const FlipFigures one = EvaluateFlips(checkpoint_, pictures, options, &progress_).value();
  options.workers = 3;
  const FlipFigures three = EvaluateFlips(checkpoint_, pictures, options, &progress_).value();
  EXPECT_EQ(one.flips, three.flips);
  EXPECT_EQ(one.random_together, three.random_together);
}

TEST_F(ReconstructionFiguresTest, FlipsNeedAnIndex) {
  const Checkpoint bare{tiny_.stylex, std::nullopt};
  EXPECT_EQ(EvaluateFlips(bare, RandomPictures(2), {}, &progress_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(NameOfTest, ChoicesHaveTheNamesOfTables) {
  std::vector<std::string> names;
  for (const Choice choice : kChoices) {
    names.push_back(NameOf(choice));
  }
  EXPECT_THAT(names, testing::ElementsAre("index", "singles", "joint", "random"));
}

// 60 of 100 right, beside a constant answer: the interval's lower end is 0.502.
TEST(NothingToExplainTest, IsByTheIntervalsLowerEnd) {
  ReconstructionFigures figures;
  figures.images = 100;
  figures.classifier_accuracy = 0.6;
  figures.constant_accuracy = 0.5;
  EXPECT_FALSE(NothingToExplain(figures));
  figures.constant_accuracy = 0.51;
  EXPECT_TRUE(NothingToExplain(figures));
  figures.images = 10'000;
  EXPECT_FALSE(NothingToExplain(figures)) << "more images, less doubt";
}

// A classifier that always answers the same has an agreement of 100 %, whatever is drawn.
TEST(NothingToExplainTest, WithoutLabelsIsByTheDecisions) {
  ReconstructionFigures figures;
  figures.images = figures.agreeing = 40;
  figures.commonest_share = 1;
  EXPECT_TRUE(NothingToExplain(figures));
  figures.commonest_share = 37.0 / 40;  // Wilson: 3 of 40 is [0.026, 0.199]
  EXPECT_FALSE(NothingToExplain(figures));
  figures.images = 1000;
  figures.commonest_share = 0.985;  // 15 of 1000 is [0.0091, 0.0246]
  EXPECT_TRUE(NothingToExplain(figures));
  figures.commonest_share = 0.98;  // 20 of 1000 is [0.0130, 0.0307]
  EXPECT_FALSE(NothingToExplain(figures));
}

}  // namespace
}  // namespace stylex
