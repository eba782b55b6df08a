#include "explain/explanation.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

#include "explain/decisions.h"
#include "image/codec.h"
#include "models/pixels.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

// An image of the model's own; on the device and in the shape that Explain takes.
torch::Tensor ImageOf(const TinyModel& tiny) { return tiny.stylex.Synthesize(tiny.styles); }

// Logits of the file that delivers an image, through the codecs themselves.
torch::Tensor LogitsOfFile(const TinyModel& tiny, const torch::Tensor& image, int jpeg_quality) {
  const Bitmap bitmap = TensorToBitmap(image);
  const std::string file =
      jpeg_quality > 0 ? EncodeJpeg(bitmap, jpeg_quality).value() : EncodePng(bitmap).value();
  return tiny.stylex.Logits(BitmapToTensor(DecodeImage(file).value()))[0];
}

Rendering RenderingOf(int jpeg_quality) {
  return jpeg_quality > 0 ? Rendering::Jpeg(jpeg_quality) : Rendering::Png();
}

absl::StatusOr<Explanation> ExplainTiny(const TinyModel& tiny, const ExplanationOptions& options) {
  return Explain(tiny.stylex, tiny.ranges, ClassLists(kTinyClasses), ImageOf(tiny), options);
}

double ProbabilityOf(const torch::Tensor& logits, int64_t target) {
  return torch::softmax(logits.to(torch::kFloat64), 0)[target].item<double>();
}

// What an explanation claims of a picture is what is true of its file.
void ExpectTold(const TinyModel& tiny, const Picture& picture, int jpeg_quality) {
  const torch::Tensor of_file = LogitsOfFile(tiny, picture.image, jpeg_quality);
  EXPECT_TRUE(picture.logits[0].allclose(of_file, 1e-5, 1e-5));
}

// A border that is crossed by 1e-3 logits at least is so for every pass.
TEST(ExplanationTest, EveryClaimHoldsForTheFile) {
  int flipped = 0, convincing = 0;
  for (const int quality : {0, 90, 30}) {
    for (const double probability : {0.0, 0.9}) {
      for (uint64_t seed = 1; seed <= 8; ++seed) {
        const TinyModel tiny = MakeTinyModel(seed);
        ExplanationOptions options;
        options.steps = true;
        options.search.target_probability = probability;
        options.search.rendering = RenderingOf(quality);
        options.search.least_excess = 1e-3;
        const auto explanation = ExplainTiny(tiny, options);
        ASSERT_TRUE(explanation.ok()) << explanation.status();
        SCOPED_TRACE(testing::Message() << "quality " << quality << " seed " << seed);
        ExpectTold(tiny, explanation->reconstruction, quality);
        ExpectTold(tiny, explanation->counterfactual, quality);
        ASSERT_EQ(explanation->steps.size(), explanation->moved.size());
        for (size_t k = 0; k < explanation->steps.size(); ++k) {
          ExpectTold(tiny, explanation->steps[k], quality);
          EXPECT_TRUE(explanation->steps[k].logits[0].allclose(explanation->moved[k].applied.logits,
                                                               1e-5, 1e-5));
        }
        const torch::Tensor of_file =
            LogitsOfFile(tiny, explanation->counterfactual.image, quality);
        const bool is_target = of_file.argmax().item<int64_t>() == explanation->target;
        EXPECT_EQ(explanation->flipped, is_target && !explanation->moved.empty());
        if (explanation->outcome == ExplanationOutcome::kConvincing) {
          EXPECT_TRUE(is_target);
          EXPECT_GE(ProbabilityOf(of_file, explanation->target), probability);
          ++convincing;
        }
        flipped += explanation->flipped ? 1 : 0;
      }
    }
  }
  EXPECT_GE(convincing, 30);
  EXPECT_GE(flipped, convincing);
}

// Whoever opens the file and saves it as JPEG again gets an image that is still decided as the
// target; where none is found, the answer does not claim to convince.
TEST(ExplanationTest, WhatConvincesSurvivesCompression) {
  int convincing = 0, lost = 0;
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed, /*images=*/1, /*components=*/0, /*channels=*/3);
    ExplanationOptions options;
    options.search.target_probability = 0.6;
    options.search.max_attributes = 4;
    options.search.rendering = Rendering::Png();
    options.search.least_excess = 1e-3;
    const auto explanation = ExplainTiny(tiny, options);
    ASSERT_TRUE(explanation.ok()) << explanation.status();
    int kept = 0;
    for (const JpegColors colors : {JpegColors::kHalved, JpegColors::kWhole}) {
      const Bitmap bitmap = TensorToBitmap(explanation->counterfactual.image);
      const std::string file = EncodeJpeg(bitmap, 90, colors).value();
      const torch::Tensor logits = tiny.stylex.Logits(BitmapToTensor(DecodeImage(file).value()));
      kept += logits.argmax(1).item<int64_t>() == explanation->target ? 1 : 0;
    }
    if (explanation->outcome == ExplanationOutcome::kConvincing) {
      ++convincing;
      EXPECT_EQ(kept, 2) << "seed " << seed;
    } else if (explanation->outcome == ExplanationOutcome::kLostInCompression) {
      ++lost;
      EXPECT_LT(kept, 2) << "seed " << seed;
      EXPECT_TRUE(explanation->flipped);
    }
  }
  EXPECT_GE(convincing, 8);
  EXPECT_GE(lost, 1);
}

TEST(ExplanationTest, TheBorderIsWhereTheFileFlips) {
  int crossed = 0;
  for (const int quality : {0, 90}) {
    for (uint64_t seed = 1; seed <= 8; ++seed) {
      const TinyModel tiny = MakeTinyModel(seed);
      ExplanationOptions options;
      options.search.target_probability = 0.9;
      options.search.rendering = RenderingOf(quality);
      options.search.least_excess = 1e-3;
      const auto explanation = ExplainTiny(tiny, options);
      ASSERT_TRUE(explanation.ok()) << explanation.status();
      EXPECT_EQ(explanation->just_flips.has_value(), explanation->flipped);
      if (!explanation->just_flips) {
        continue;
      }
      ++crossed;
      const BorderCrossing& border = *explanation->just_flips;
      ASSERT_LE(border.moves.size(), explanation->moved.size());
      for (size_t k = 0; k < border.moves.size(); ++k) {
        const Move& applied = explanation->moved[k].applied.move;
        EXPECT_EQ(border.moves[k].coordinate, applied.coordinate);
        EXPECT_LE(border.moves[k].shift, applied.shift + 1e-9);
      }
      const torch::Tensor drawn = tiny.stylex.Synthesize(
          ApplyMoves(tiny.stylex.Styles(tiny.stylex.Encode(ImageOf(tiny), explanation->logits)),
                     tiny.ranges, border.moves));
      const torch::Tensor of_file = LogitsOfFile(tiny, drawn, quality);
      EXPECT_EQ(of_file.argmax().item<int64_t>(), explanation->target);
      EXPECT_TRUE(border.logits.allclose(of_file, 1e-5, 1e-5));
      EXPECT_LE(ProbabilityOf(of_file, explanation->target),
                ProbabilityOf(explanation->counterfactual.logits[0], explanation->target) + 1e-6);
    }
  }
  EXPECT_GE(crossed, 8);
}

// JPEG of the lowest quality leaves a few grey blocks; a small move does not show in them.
TEST(ExplanationTest, SaysWhatJpegUndoes) {
  int lost = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    for (const double shift : {0.05, 0.1, 0.2, 0.4}) {
      ExplanationOptions options;
      options.search.max_attributes = 2;
      options.search.shift = shift;
      options.search.rendering = Rendering::Jpeg(1);
      options.search.least_excess = 1e-3;
      const auto explanation = ExplainTiny(tiny, options);
      ASSERT_TRUE(explanation.ok()) << explanation.status();
      if (explanation->outcome != ExplanationOutcome::kLostInJpeg) {
        continue;
      }
      ++lost;
      EXPECT_FALSE(explanation->flipped);
      EXPECT_FALSE(explanation->moved.empty());
      EXPECT_NE(LogitsOfFile(tiny, explanation->counterfactual.image, 1).argmax().item<int64_t>(),
                explanation->target);
      EXPECT_EQ(LogitsOfFile(tiny, explanation->counterfactual.image, 0).argmax().item<int64_t>(),
                explanation->target);
    }
  }
  EXPECT_GE(lost, 1);
}

// A temperature above 1 makes the same logits less sure, so more must be moved.
TEST(ExplanationTest, ProbabilitiesAreByTheirTemperature) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    v1::ModelConfig config = tiny.stylex.config();
    config.mutable_classifier()->set_probability_temperature(2);
    const Stylex milder(config, tiny.stylex.networks(), tiny.classifier);
    ExplanationOptions options;
    options.search.target_probability = 0.8;
    options.search.rendering = Rendering::Png();
    const auto explanation =
        Explain(milder, tiny.ranges, ClassLists(kTinyClasses), ImageOf(tiny), options);
    ASSERT_TRUE(explanation.ok()) << explanation.status();
    if (explanation->outcome != ExplanationOutcome::kConvincing) {
      continue;
    }
    const torch::Tensor logits = explanation->counterfactual.logits[0];
    EXPECT_GE(ProbabilityOf(logits / 2, explanation->target), 0.8);
    EXPECT_GE(ProbabilityOf(logits, explanation->target), 0.9);
  }
}

TEST(ExplanationTest, SaysWhatIsTheTargetAlready) {
  const TinyModel tiny = MakeTinyModel(3);
  ExplanationOptions options;
  options.target = tiny.stylex.Logits(ImageOf(tiny)).argmax(1).item<int64_t>();
  const auto explanation = ExplainTiny(tiny, options);
  ASSERT_TRUE(explanation.ok()) << explanation.status();
  EXPECT_EQ(explanation->outcome, ExplanationOutcome::kImageAlreadyTarget);
  EXPECT_FALSE(explanation->flipped);
  EXPECT_TRUE(explanation->moved.empty());
}

TEST(ExplanationTest, StopsWhenToldTo) {
  const TinyModel tiny = MakeTinyModel(4);
  ExplanationOptions options;
  options.search.control.give_way = [] { return false; };
  EXPECT_EQ(ExplainTiny(tiny, options).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace stylex
