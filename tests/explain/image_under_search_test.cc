// The cache, the counter and the shortlists of a search, and logits as delivered, against whole
// passes.
#include "explain/image_under_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <vector>

#include "image/codec.h"
#include "models/pixels.h"
#include "tests/explain/tiny_model.h"

namespace stylex {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

const Move kFirst = {{3, 0}, 0.5}, kSecond = {{20, 1}, 0.5}, kThird = {{37, 1}, 0.25};

class ImageUnderSearchTest : public testing::Test {
 protected:
  ImageUnderSearchTest() : tiny_(MakeTinyModel(12)) { options_.target = 1; }

  void ExpectLogits(const torch::Tensor& found, const MoveSet& moves) {
    EXPECT_LT((found - LiteralLogits(tiny_, 0, moves)).abs().max().item<double>(), 1e-3);
  }
  torch::Tensor Drawn(const MoveSet& moves) {
    return tiny_.stylex.Synthesize(ApplyMoves(tiny_.styles, tiny_.ranges, moves));
  }

  TinyModel tiny_;
  CounterfactualOptions options_;
};

TEST_F(ImageUnderSearchTest, EverySetsLogitsAreThoseOfAWholePass) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  ExpectLogits(image.base(), {});
  const std::vector<MoveSet> sets = {{}, {kFirst}, {kFirst, kSecond}, {kThird}};
  const torch::Tensor logits = image.Logits(sets).value();
  ASSERT_EQ(logits.size(0), 4);
  for (size_t i = 0; i < sets.size(); ++i) {
    ExpectLogits(logits[static_cast<int64_t>(i)], sets[i]);
  }
}

TEST_F(ImageUnderSearchTest, OneMoreIsTheSetWithIt) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const std::vector<Move> more = {kThird, kFirst, {{0, 1}, 1}};
  const torch::Tensor logits = image.LogitsWithOneMore({kSecond}, more).value();
  ASSERT_EQ(logits.size(0), 3);
  for (size_t i = 0; i < more.size(); ++i) {
    ExpectLogits(logits[static_cast<int64_t>(i)], {kSecond, more[i]});
  }
}

// Each set costs one classifier call, once; the order of its moves does not matter, nor which
// function asked.
TEST_F(ImageUnderSearchTest, KnownSetsCostNothing) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  EXPECT_EQ(image.evaluations(), 1) << "the image itself";
  const torch::Tensor first =
      image.Logits(std::vector<MoveSet>{{kFirst, kSecond}, {kThird}}).value();
  EXPECT_EQ(image.evaluations(), 3);
  const int64_t calls = tiny_.classifier->images();
  const torch::Tensor again =
      image.Logits(std::vector<MoveSet>{{kThird}, {kSecond, kFirst}, {kThird}, {}}).value();
  EXPECT_TRUE(again[0].equal(first[1]));
  EXPECT_TRUE(again[1].equal(first[0]));
  EXPECT_TRUE(again[3].equal(image.base()));
  EXPECT_TRUE(
      image.LogitsWithOneMore({kSecond}, std::vector<Move>{kFirst}).value()[0].equal(first[0]));
  EXPECT_EQ(image.evaluations(), 3);
  EXPECT_EQ(tiny_.classifier->images(), calls);
}

TEST_F(ImageUnderSearchTest, TheSameSetTwiceInOneCallIsOne) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const torch::Tensor logits =
      image.Logits(std::vector<MoveSet>{{kFirst}, {kFirst}, {kFirst}}).value();
  EXPECT_EQ(image.evaluations(), 2);
  EXPECT_TRUE(logits[0].equal(logits[2]));
}

// Shifts are part of a move: another strength is another set.
TEST_F(ImageUnderSearchTest, StrengthsAreToldApart) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const Move weaker = {kFirst.coordinate, 0.1};
  const torch::Tensor logits = image.Logits(std::vector<MoveSet>{{kFirst}, {weaker}}).value();
  EXPECT_EQ(image.evaluations(), 3);
  ExpectLogits(logits[0], {kFirst});
  ExpectLogits(logits[1], {weaker});
}

TEST_F(ImageUnderSearchTest, OfNothingIsNothing) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  EXPECT_EQ(image.Logits({}).value().sizes(), (std::vector<int64_t>{0, kTinyClasses}));
  EXPECT_EQ(image.LogitsWithOneMore({kFirst}, {}).value().size(0), 0);
  EXPECT_EQ(image.evaluations(), 1);
}

TEST_F(ImageUnderSearchTest, StopsWhenItIsNoLongerWanted) {
  const OneThread asks;  // the other one could have drawn the only image before the caller asks
  bool wanted = true;
  options_.control.give_way = [&wanted] { return wanted; };
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  ASSERT_TRUE(image.Logits(std::vector<MoveSet>{{kFirst}}).ok());
  wanted = false;
  EXPECT_EQ(image.Logits(std::vector<MoveSet>{{kSecond}}).status().code(),
            absl::StatusCode::kCancelled);
  EXPECT_TRUE(image.Logits(std::vector<MoveSet>{{kFirst}}).ok()) << "what is known needs no pass";
}

TEST_F(ImageUnderSearchTest, ShortlistsAreForMoreCandidatesThanTheyHold) {
  {
    const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
    EXPECT_FALSE(image.TriesShortlist(1000));
  }
  options_.shortlist = 8;
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  EXPECT_FALSE(image.TriesShortlist(8));
  EXPECT_TRUE(image.TriesShortlist(9));
}

TEST_F(ImageUnderSearchTest, WithoutShortlistsAllUnmovedCandidatesAreLeft) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const MoveSet none, one = {kFirst};
  const auto left = image.Shortlists({&none, &one}, AllCoordinates(), {{}, {}});
  EXPECT_EQ(left[0], AllCoordinates());
  EXPECT_THAT(left[1], SizeIs(2 * kTinyCoordinates - 2));
  for (const Coordinate& coordinate : left[1]) {
    EXPECT_NE(coordinate.index, kFirst.coordinate.index);
  }
  EXPECT_EQ(image.evaluations(), 1) << "no gradient was needed";
}

TEST_F(ImageUnderSearchTest, ShortlistsLeaveOutWhatWasTriedAndMoved) {
  options_.shortlist = 10;
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const MoveSet moves = {kFirst};
  const std::vector<Coordinate> tried = {{5, 0}, {6, 1}, {7, 0}};
  const auto left = image.Shortlists({&moves}, AllCoordinates(), {tried});
  EXPECT_THAT(left[0], SizeIs(7)) << "a shortlist together with those tried";
  for (const Coordinate& coordinate : left[0]) {
    EXPECT_NE(coordinate.index, kFirst.coordinate.index);
    EXPECT_EQ(std::count(tried.begin(), tried.end(), coordinate), 0);
  }
  EXPECT_EQ(image.evaluations(), 2) << "one gradient";
}

TEST_F(ImageUnderSearchTest, TheStrongestAreInOrderAndOfDifferentCoordinates) {
  options_.shift = 0.5;
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const std::vector<Move> strongest = image.Strongest(AllCoordinates(), 6).value();
  ASSERT_THAT(strongest, SizeIs(6));
  double before = 1e9;
  for (size_t i = 0; i < strongest.size(); ++i) {
    EXPECT_EQ(strongest[i].shift, 0.5);
    const double margin =
        MarginOf(LiteralLogits(tiny_, 0, {strongest[i]}), options_.target).item<double>();
    EXPECT_LE(margin, before + 1e-3) << i;
    before = margin;
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(strongest[i].coordinate.index, strongest[j].coordinate.index);
    }
  }
  EXPECT_THAT(image.Strongest({}, 6).value(), IsEmpty());
}

TEST_F(ImageUnderSearchTest, DeliveredIsWhatTheFileDecodesTo) {
  options_.rendering = Rendering::Png();
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const MoveSet moves = {kFirst, kThird};
  const std::string file = EncodePng(TensorToBitmap(Drawn(moves))).value();
  const torch::Tensor expected = tiny_.stylex.Logits(BitmapToTensor(DecodeImage(file).value()))[0];
  EXPECT_TRUE(image.Delivered(moves).value().logits.allclose(expected, 1e-5, 1e-5));
}

TEST_F(ImageUnderSearchTest, WithoutAFileDeliveredIsWhatIsSearched) {
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const MoveSet moves = {kFirst};
  const torch::Tensor searched = image.Logits({&moves, 1}).value()[0];
  const int64_t before = image.evaluations();
  EXPECT_TRUE(image.Delivered(moves).value().logits.equal(searched));
  EXPECT_EQ(image.evaluations(), before);
}

// With halved colours and with whole ones; of a grey image these are the same file.
TEST_F(ImageUnderSearchTest, RecompressedAreJpegsOfTheDeliveredFile) {
  options_.rendering = Rendering::Png();
  const ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  const MoveSet moves = {kSecond};
  const std::string file = EncodeJpeg(TensorToBitmap(Drawn(moves)), 90).value();
  const torch::Tensor expected = tiny_.stylex.Logits(BitmapToTensor(DecodeImage(file).value()))[0];
  const torch::Tensor recompressed = image.Recompressed(image.Delivered(moves).value());
  ASSERT_EQ(recompressed.size(0), 2);
  EXPECT_TRUE(recompressed.allclose(expected.expand_as(recompressed), 1e-5, 1e-5));
}

TEST_F(ImageUnderSearchTest, TheGoalIsThatOfTheOptions) {
  options_.target = 2;
  options_.target_probability = 0.8;
  options_.least_excess = 0.1;
  ImageUnderSearch image(tiny_.stylex, tiny_.styles, tiny_.ranges, options_);
  EXPECT_EQ(image.goal().target, 2);
  EXPECT_EQ(image.goal().probability, 0.8);
  EXPECT_EQ(image.border().probability, 0);
  EXPECT_EQ(image.border().least_excess, 0.1);
  image.set_least_excess(0.3);
  EXPECT_EQ(image.goal().least_excess, 0.3);
  const torch::Tensor barely = torch::tensor({0.f, 0.f, 0.2f, 0.f});
  EXPECT_TRUE(image.IsTarget(barely));
  EXPECT_FALSE(image.Reached(barely));
  EXPECT_TRUE(image.Reached(torch::tensor({0.f, 0.f, 9.f, 0.f})));
}

}  // namespace
}  // namespace stylex
