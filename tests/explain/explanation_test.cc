#include "explain/explanation.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <numeric>

#include "explain/decisions.h"
#include "explain/image_variants.h"
#include "explain/local_change.h"
#include "image/codec.h"
#include "models/pixels.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

// An image of the model's own; on the device and in the shape that Explain takes.
torch::Tensor ImageOf(const TinyModel& tiny) {
  const torch::NoGradGuard no_grad;  // the same to the last bit wherever it is called
  return tiny.stylex.Synthesize(tiny.styles);
}

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

ExplanationOptions Asked(double probability, int jpeg_quality) {
  ExplanationOptions options;
  options.search.target_probability = probability;
  options.search.rendering = RenderingOf(jpeg_quality);
  options.search.least_excess = 1e-3;
  return options;
}

MoveSet AllMoved(const Explanation& explanation) {
  MoveSet moves;
  for (const MovedAttribute& moved : explanation.moved) {
    moves.push_back(moved.applied.move);
  }
  return moves;
}

// The model's reconstruction of its own image, with moves.
torch::Tensor Drawn(const TinyModel& tiny, const MoveSet& moves) {
  const torch::NoGradGuard no_grad;  // as explanations are drawn, to the last bit
  return tiny.stylex.Synthesize(
      ApplyMoves(tiny.stylex.StylesOfImages(ImageOf(tiny)), tiny.ranges, moves));
}

// A local explanation against that of the whole change.
class LocalExplanationTest : public testing::Test {
 protected:
  void Compare(uint64_t seed, double probability, int quality) {
    SCOPED_TRACE(testing::Message()
                 << "seed " << seed << " to " << probability << " in quality " << quality);
    const TinyModel tiny = MakeTinyModel(seed);
    ExplanationOptions options = Asked(probability, quality);
    options.steps = true;
    const auto whole = ExplainTiny(tiny, options);
    options.local = true;
    const auto local = ExplainTiny(tiny, options);
    ASSERT_TRUE(whole.ok() && local.ok()) << whole.status() << local.status();
    EXPECT_FALSE(whole->local);
    EXPECT_EQ(local->flipped, whole->flipped);
    EXPECT_EQ(local->outcome, whole->outcome);
    ExpectTold(tiny, local->counterfactual, quality);
    if (local->moved.empty()) {
      EXPECT_FALSE(local->local) << "nothing is changed";
    } else if (local->local) {
      CheckMasked(tiny, *whole, *local, probability, quality);
    } else {
      ++unmasked_;
      EXPECT_TRUE(local->counterfactual.image.equal(whole->counterfactual.image));
      EXPECT_EQ(AllMoved(*local), AllMoved(*whole));
    }
  }

  // The moves are those of `whole`, the last perhaps stronger, and what is told is of the masked
  // file.
  void CheckMasked(const TinyModel& tiny, const Explanation& whole, const Explanation& local,
                   double probability, int quality) {
    ++masked_;
    const MoveSet moves = AllMoved(local);
    ASSERT_EQ(moves.size(), whole.moved.size());
    EXPECT_GE(moves.back().shift, whole.moved.back().applied.move.shift);
    stronger_ += moves.back().shift > whole.moved.back().applied.move.shift ? 1 : 0;
    EXPECT_LE(moves.back().shift, 1);
    const torch::Tensor changed = Drawn(tiny, moves);
    EXPECT_TRUE(local.counterfactual.image.equal(LocalChange(local.reconstruction.image, changed)));
    EXPECT_TRUE(local.steps.back().image.equal(changed)) << "steps are not masked";
    const AppliedMove& last = local.moved.back().applied;
    EXPECT_TRUE(last.logits.allclose(LogitsOfFile(tiny, changed, quality), 1e-5, 1e-5));
    const torch::Tensor alone = LogitsOfFile(tiny, Drawn(tiny, {last.move}), quality);
    EXPECT_NEAR(last.single_effect,
                (alone - local.reconstruction.logits[0])[local.target].item<double>(), 1e-3);
    const torch::Tensor of_file = LogitsOfFile(tiny, local.counterfactual.image, quality);
    EXPECT_EQ(of_file.argmax().item<int64_t>() == local.target, local.flipped);
    if (local.flipped) {
      const bool reached = ProbabilityOf(of_file, local.target) >= probability;
      EXPECT_EQ(reached, local.outcome == ExplanationOutcome::kConvincing ||
                             local.outcome == ExplanationOutcome::kLostInCompression);
    }
  }

  int masked_ = 0, stronger_ = 0, unmasked_ = 0;
};

TEST_F(LocalExplanationTest, SaysOfTheMaskedFileWhatIsTrueOfTheWholeChange) {
  for (const int quality : {0, 90}) {
    for (const double probability : {0.0, 0.9}) {
      for (uint64_t seed = 1; seed <= 12; ++seed) {
        Compare(seed, probability, quality);
      }
    }
  }
  EXPECT_GE(masked_, 10);
  EXPECT_GE(stronger_, 3) << "made up for what the mask took";
  EXPECT_GE(unmasked_, 3) << "where that was not enough";
}

TEST(ExplanationTest, TheChangeIsCarriedOverToThePhotograph) {
  int holds = 0, fails = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const TinyModel tiny = MakeTinyModel(seed);
    ExplanationOptions options = Asked(0.9, 0);
    EXPECT_FALSE(ExplainTiny(tiny, options)->on_photograph.has_value());
    options.on_photograph = true;
    for (const bool local : {false, true}) {
      options.local = local;
      const auto explanation = ExplainTiny(tiny, options);
      ASSERT_TRUE(explanation.ok()) << explanation.status();
      ASSERT_TRUE(explanation->on_photograph.has_value());
      EXPECT_TRUE(explanation->on_photograph->image.equal(ChangeOnPhotograph(
          ImageOf(tiny), explanation->reconstruction.image, Drawn(tiny, AllMoved(*explanation)))))
          << "masked once, whether the counterfactual is or not";
      ExpectTold(tiny, *explanation->on_photograph, 0);
      const bool target =
          explanation->on_photograph->logits.argmax().item<int64_t>() == explanation->target;
      (target ? holds : fails) += 1;
    }
  }
  EXPECT_GE(holds, 1);
  EXPECT_GE(fails, 1);
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
  options.local = options.on_photograph = true;
  const auto local = ExplainTiny(tiny, options);
  EXPECT_FALSE(local->local);
  EXPECT_TRUE(local->on_photograph->image.equal(ImageOf(tiny))) << "without any change";
}

TEST(ExplanationTest, StopsWhenToldTo) {
  const TinyModel tiny = MakeTinyModel(4);
  ExplanationOptions options;
  options.search.control.give_way = [] { return false; };
  EXPECT_EQ(ExplainTiny(tiny, options).status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace stylex
