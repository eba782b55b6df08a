// Every figure against its definition, image by image, on random networks.
#include "trainer/study/counterfactual_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "explain/metrics.h"
#include "models/pixels.h"
#include "models/rendering.h"
#include "tests/trainer/data/silent_progress.h"
#include "tests/trainer/study/full_index.h"
#include "tests/trainer/study/random_pictures.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kPictures = 24;

class MirroredClassifier : public Classifier {
 public:
  explicit MirroredClassifier(const Stylex& model) : model_(model) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    return model_.Logits(images.flip(3));
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }

 private:
  const Stylex& model_;
};

class SameClassifier : public MirroredClassifier {
 public:
  explicit SameClassifier(const Stylex& model) : MirroredClassifier(model), own_(model) {}
  torch::Tensor Logits(const torch::Tensor& images) const override { return own_.Logits(images); }

 private:
  const Stylex& own_;
};

std::vector<double> Softmax(const torch::Tensor& logits) {
  double sum = 0;
  std::vector<double> out;
  for (int64_t k = 0; k < logits.numel(); ++k) {
    out.push_back(std::exp(logits.flatten()[k].item<double>()));
    sum += out.back();
  }
  for (double& value : out) {
    value /= sum;
  }
  return out;
}

class CounterfactualQualityTest : public testing::Test {
 protected:
  CounterfactualQualityTest()
      : tiny_(MakeTinyModel(9)),
        checkpoint_{tiny_.stylex, FullIndex(tiny_.ranges)},
        lists_(IndexLists(*checkpoint_.attributes, kTinyClasses)) {
    options_.seed = 5;
    options_.candidates = 2 * kTinyCoordinates;
  }

  // What is known of one picture without the code under test.
  struct Literal {
    torch::Tensor x, before;
    int64_t of_photograph, decided, target;
    StyleVectors styles;
    CounterfactualResult result;
  };
  Literal Explain(const RandomPictures& pictures, int64_t index) const {
    const torch::NoGradGuard no_grad;
    const Stylex& model = checkpoint_.model;
    Literal literal;
    literal.x = BitmapToTensor(pictures.Load(Split::kValidation, index).value());
    const torch::Tensor logits = model.Logits(literal.x);
    literal.of_photograph = logits.argmax(1).item<int64_t>();
    literal.styles = model.Styles(model.Encode(literal.x, logits));
    literal.before = Rendering::Png().Apply(model.Synthesize(literal.styles));
    torch::Tensor base = model.Logits(literal.before)[0].clone();
    literal.decided = base.argmax().item<int64_t>();
    base[literal.decided] = -1e9;
    literal.target = base.argmax().item<int64_t>();
    literal.result =
        SearchJointly(model, literal.styles, tiny_.ranges, lists_, literal.target, options_)
            .value();
    return literal;
  }

  // The styles with every move at `share` of its shift.
  StyleVectors Moved(const Literal& literal, double share) const {
    StyleVectors styles{literal.styles.conv.clone(), literal.styles.rgb};
    for (const AppliedMove& applied : literal.result.applied) {
      const int64_t index = applied.move.coordinate.index;
      const double value = literal.styles.conv[0][index].item<double>();
      const double extreme = tiny_.ranges.Extreme(applied.move.coordinate);
      styles.conv[0][index] = value + share * applied.move.shift * (extreme - value);
    }
    return styles;
  }

  QualityFigures Evaluate(const RandomPictures& pictures) {
    return EvaluateQuality(checkpoint_, pictures, oracles_, options_, &progress_).value();
  }

  TinyModel tiny_;
  Checkpoint checkpoint_;
  ClassLists lists_;
  FlipOptions options_;
  std::vector<Oracle> oracles_;
  SilentProgress progress_;
};

TEST_F(CounterfactualQualityTest, FiguresAreThoseOfTheDefinitions) {
  const torch::NoGradGuard no_grad;
  const RandomPictures pictures(kPictures);
  const QualityFigures figures = Evaluate(pictures);
  EXPECT_EQ(figures.images, kPictures);
  size_t found = 0;
  for (const int64_t index : DrawnIndices(kPictures, options_.seed, 0)) {
    const Literal literal = Explain(pictures, index);
    if (literal.result.outcome != CounterfactualOutcome::kFlipped) {
      continue;
    }
    ASSERT_LT(found, figures.found.size());
    const CounterfactualFigures& own = figures.found[found++];
    double distance = 0;
    for (const AppliedMove& applied : literal.result.applied) {
      const int64_t i = applied.move.coordinate.index;
      const double moved = (Moved(literal, 1).conv - literal.styles.conv)[0][i].item<double>();
      distance += std::abs(moved) /
                  (tiny_.ranges.max[i].item<double>() - tiny_.ranges.min[i].item<double>());
    }
    const torch::Tensor after =
        Rendering::Png().Apply(checkpoint_.model.Synthesize(Moved(literal, 1)));
    double l1 = 0, changed = 0;
    for (int64_t p = 0; p < after.numel(); ++p) {
      const double change =
          std::abs(after.flatten()[p].item<double>() - literal.before.flatten()[p].item<double>());
      l1 += change;
      changed += change > 0.1 ? 1 : 0;
    }
    std::vector<double> strength, probability;
    for (int step = 0; step <= 10; ++step) {
      strength.push_back(step);
      probability.push_back(Softmax(checkpoint_.model.Logits(checkpoint_.model.Synthesize(
          Moved(literal, step / 10.0))))[static_cast<size_t>(literal.target)]);
    }
    const double pixels = static_cast<double>(after.numel());
    EXPECT_EQ(own.attributes, static_cast<double>(literal.result.applied.size()));
    EXPECT_NEAR(own.distance, distance, 1e-4);
    EXPECT_NEAR(own.l1, l1 / pixels, 1e-5);
    EXPECT_NEAR(own.changed_area, changed / pixels, 1.5 / pixels);
    EXPECT_NEAR(own.ssim, SsimPerImage(literal.before, after).item<double>(), 1e-4);
    EXPECT_NEAR(own.gain, probability[10] - probability[0], 1e-4);
    EXPECT_NEAR(own.cout,
                Cout([&](const torch::Tensor& images) { return checkpoint_.model.Logits(images); },
                     literal.before, after, literal.decided, literal.target),
                1e-3);
    ASSERT_EQ(own.monotonicity.has_value(), Spearman(strength, probability).has_value());
    EXPECT_NEAR(own.monotonicity.value_or(0), Spearman(strength, probability).value_or(0), 0.02);
  }
  EXPECT_EQ(found, figures.found.size());
  EXPECT_GT(found, 3) << "too few for a test";
}

TEST_F(CounterfactualQualityTest, OraclesAreAskedAboutPhotographReconstructionAndCounterfactual) {
  const torch::NoGradGuard no_grad;
  const RandomPictures pictures(kPictures);
  oracles_ = {{"same", std::make_shared<SameClassifier>(checkpoint_.model)},
              {"mirrored", std::make_shared<MirroredClassifier>(checkpoint_.model)}};
  const QualityFigures figures = Evaluate(pictures);
  ASSERT_EQ(figures.oracles.size(), 2);
  EXPECT_EQ(figures.oracles[0].name, "same");
  EXPECT_EQ(figures.oracles[0].agreeing, kPictures);
  EXPECT_EQ(figures.oracles[0].convinced, static_cast<int64_t>(figures.found.size()));
  EXPECT_EQ(figures.oracles[0].by_the_image, 0) << "the target is not the decision";
  int64_t agreeing = 0, convinced = 0, by_the_image = 0;
  const auto decides = [&](const torch::Tensor& image, int64_t class_id) {
    return checkpoint_.model.Logits(image.flip(3)).argmax(1).item<int64_t>() == class_id ? 1 : 0;
  };
  for (int64_t index = 0; index < kPictures; ++index) {
    const Literal literal = Explain(pictures, index);
    agreeing += decides(literal.x, literal.of_photograph);
    if (literal.result.outcome == CounterfactualOutcome::kFlipped) {
      convinced += decides(Rendering::Png().Apply(checkpoint_.model.Synthesize(Moved(literal, 1))),
                           literal.target);
      by_the_image += decides(literal.before, literal.target);
    }
  }
  EXPECT_EQ(figures.oracles[1].name, "mirrored");
  EXPECT_EQ(figures.oracles[1].agreeing, agreeing);
  EXPECT_EQ(figures.oracles[1].convinced, convinced);
  EXPECT_EQ(figures.oracles[1].by_the_image, by_the_image);
  EXPECT_LT(figures.oracles[1].agreeing, kPictures) << "mirrored pictures are others";
}

TEST_F(CounterfactualQualityTest, WorkersDoNotChangeTheFigures) {
  const RandomPictures pictures(kPictures);
  const QualityFigures alone = Evaluate(pictures);
  options_.workers = 3;
  const QualityFigures together = Evaluate(pictures);
  ASSERT_EQ(alone.found.size(), together.found.size());
  for (size_t i = 0; i < alone.found.size(); ++i) {
    EXPECT_EQ(alone.found[i].attributes, together.found[i].attributes);
    EXPECT_NEAR(alone.found[i].l1, together.found[i].l1, 1e-5);
    EXPECT_NEAR(alone.found[i].gain, together.found[i].gain, 1e-5);
  }
}

TEST_F(CounterfactualQualityTest, ImagesThatCannotBeReadAreNotCounted) {
  const QualityFigures figures = Evaluate(RandomPictures(5, {0, 3}));
  EXPECT_EQ(figures.images, 3);
  EXPECT_EQ(progress_.warnings().size(), 2);
}

TEST_F(CounterfactualQualityTest, NeedsAnIndex) {
  checkpoint_.attributes.reset();
  const absl::Status status =
      EvaluateQuality(checkpoint_, RandomPictures(2), {}, options_, &progress_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("stylex-train attributes"));
}

}  // namespace
}  // namespace stylex
