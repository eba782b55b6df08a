// Every judgement against what it stands for, image by image, on random networks.
#include "trainer/study/served_explanations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>

#include "explain/explanation.h"
#include "explain/local_change.h"
#include "explain/metrics.h"
#include "models/pixels.h"
#include "models/rendering.h"
#include "tests/trainer/data/silent_progress.h"
#include "tests/trainer/study/full_index.h"
#include "tests/trainer/study/random_pictures.h"
#include "trainer/data/random_order.h"

namespace stylex {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kServedPictures = 20;

// Decides everything as one class.
class StubbornClassifier : public Classifier {
 public:
  explicit StubbornClassifier(int64_t class_id) : class_id_(class_id) {}
  torch::Tensor Logits(const torch::Tensor& images) const override {
    torch::Tensor logits = torch::zeros({images.size(0), kTinyClasses});
    logits.select(1, class_id_).fill_(1);
    return logits;
  }
  void To(const torch::Device&) override {}
  int64_t NumParameters() const override { return 0; }

 private:
  const int64_t class_id_;
};

class ServedExplanationsTest : public testing::Test {
 protected:
  ServedExplanationsTest()
      : tiny_(MakeTinyModel(9)),
        ranges_(Widened(tiny_.ranges)),
        checkpoint_{tiny_.stylex, FullIndex(ranges_)} {}

  // So wide that single moves flip some pictures.
  static StyleRanges Widened(StyleRanges ranges) {
    const torch::Tensor span = ranges.max - ranges.min;
    ranges.min = ranges.min - 8 * span;
    ranges.max = ranges.max + 8 * span;
    return ranges;
  }

  Explanation Asked(const torch::Tensor& x, int64_t moves, double probability) const {
    ExplanationOptions options;
    options.search.max_attributes = moves;
    options.search.target_probability = probability;
    options.search.rendering = Rendering::Png();
    options.search.least_excess = kLeastExcess;
    return Explain(checkpoint_.model, ranges_, IndexLists(*checkpoint_.attributes, kTinyClasses), x,
                   options)
        .value();
  }
  bool Is(const torch::Tensor& image, int64_t target) const {
    return checkpoint_.model.Logits(Rendering::Png().Apply(image)).argmax(1).item<int64_t>() ==
           target;
  }

  TinyModel tiny_;
  StyleRanges ranges_;
  Checkpoint checkpoint_;
  SilentProgress progress_;
};

TEST_F(ServedExplanationsTest, JudgeWhatACallIsAnswered) {
  const torch::NoGradGuard no_grad;
  const RandomPictures pictures(kServedPictures, {3});
  const Stylex& model = checkpoint_.model;
  std::vector<Oracle> oracles;
  for (int64_t k = 0; k < kTinyClasses; ++k) {
    oracles.push_back({"stubborn", std::make_shared<StubbornClassifier>(k)});
  }
  const ServedOptions options{.seed = 5};
  const std::vector<ServedExplanation> all =
      ExplainAsServed(checkpoint_, pictures, oracles, options, &progress_).value();
  ASSERT_EQ(all.size(), kServedPictures - 1) << "one of the files is broken";
  size_t place = 0;
  int64_t convincing = 0, by_one = 0, by_chance = 0;
  for (const int64_t index : DrawnIndices(kServedPictures, options.seed, 0)) {
    if (index == 3) {
      continue;
    }
    const ServedExplanation& own = all[place++];
    const torch::Tensor x = BitmapToTensor(pictures.Load(Split::kValidation, index).value());
    EXPECT_EQ(own.one_attribute, Asked(x, 1, 0).flipped);
    by_one += own.one_attribute ? 1 : 0;
    by_chance += own.random_flips;
    ASSERT_LE(own.random_flips, kRandomTries);
    const Explanation served = Asked(x, 10, 0.9);
    ASSERT_EQ(own.convincing, served.outcome == ExplanationOutcome::kConvincing);
    if (!own.convincing) {
      EXPECT_EQ(own.moved, 0);
      continue;
    }
    ++convincing;
    const torch::Tensor before = Rendering::Png().Apply(served.reconstruction.image);
    const torch::Tensor after = Rendering::Png().Apply(served.counterfactual.image);
    EXPECT_EQ(own.moved, static_cast<int64_t>(served.moved.size()));
    for (int64_t k = 0; k < kTinyClasses; ++k) {
      EXPECT_EQ(own.follows[static_cast<size_t>(k)], k == served.target);
    }
    EXPECT_EQ(own.after_median, Is(MedianOf3x3(after), served.target));
    EXPECT_EQ(own.on_photograph, Is(ChangeOnPhotograph(x, before, after), served.target));
    const StyleVectors anew = model.Styles(model.Encode(after, model.Logits(after)));
    EXPECT_EQ(own.encoded_anew, Is(model.Synthesize(anew), served.target));
    EXPECT_NEAR(own.changed_area, ChangedAreaPerImage(before, after, 0.1).item<double>(), 1e-6);
    EXPECT_NEAR(own.cout,
                Cout([&](const torch::Tensor& images) { return model.Logits(images); }, before,
                     after, served.reconstruction.logits.argmax(1).item<int64_t>(), served.target),
                1e-4);
  }
  EXPECT_GT(convincing, 3) << "too few for a test";
  EXPECT_GT(by_chance, 0);
  EXPECT_LT(by_chance, by_one * kRandomTries) << "chosen ones do better than random ones";
}

TEST_F(ServedExplanationsTest, AreTheSameAgainAndNeedAnIndex) {
  const RandomPictures pictures(6);
  const ServedOptions options{.images = 4, .seed = 2, .workers = 2};
  const auto first = ExplainAsServed(checkpoint_, pictures, {}, options, &progress_).value();
  const auto again = ExplainAsServed(checkpoint_, pictures, {}, options, &progress_).value();
  ASSERT_EQ(first.size(), 4u);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].random_flips, again[i].random_flips);
    EXPECT_EQ(first[i].random_as_many, again[i].random_as_many);
    EXPECT_EQ(first[i].moved, again[i].moved);
  }
  const auto without = ExplainAsServed({tiny_.stylex, {}}, pictures, {}, options, &progress_);
  EXPECT_EQ(without.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(without.status().message()), HasSubstr("attribute"));
}

}  // namespace
}  // namespace stylex
