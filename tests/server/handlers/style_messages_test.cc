#include "server/handlers/style_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace stylex {
namespace {

using ::testing::ElementsAre;

TEST(StyleMessagesTest, LatentsComeBackAsTheyWere) {
  const torch::Tensor w = torch::tensor({{1.5F, -0.0F, 3e-38F}});
  const v1::Latent latent = ToLatent(w, "pets/2");
  EXPECT_EQ(latent.model(), "pets/2");
  EXPECT_THAT(latent.values(), ElementsAre(1.5F, -0.0F, 3e-38F));
  EXPECT_TRUE(FromLatent(latent, torch::kCPU).equal(w));
}

TEST(StyleMessagesTest, ValuesAreReadInTheTensorsOrder) {
  const torch::Tensor transposed = torch::arange(6, torch::kFloat64).reshape({3, 2}).t();
  EXPECT_THAT(ToLatent(transposed, "").values(), ElementsAre(0, 2, 4, 1, 3, 5));
  const torch::Tensor trained = torch::ones({1, 2}).requires_grad_(true);
  EXPECT_THAT(ToLatent(trained, "").values(), ElementsAre(1, 1));
}

TEST(StyleMessagesTest, StylesComeBackInTheirParts) {
  const StyleVectors styles = {torch::tensor({{1.F, 2.F, 3.F}}), torch::tensor({{4.F, 5.F}})};
  const v1::Styles message = ToStyles(styles, "pets/2");
  EXPECT_EQ(message.model(), "pets/2");
  EXPECT_THAT(message.values(), ElementsAre(1, 2, 3));
  EXPECT_THAT(message.to_rgb(), ElementsAre(4, 5));
  const StyleVectors read = FromStyles(message, torch::kCPU);
  EXPECT_TRUE(read.conv.equal(styles.conv));
  EXPECT_TRUE(read.rgb.equal(styles.rgb));
}

TEST(StyleMessagesTest, TensorsOutliveTheirMessage) {
  torch::Tensor w;
  {
    v1::Latent latent;
    latent.mutable_values()->Resize(100, 0.25F);
    w = FromLatent(latent, torch::kCPU);
    latent.mutable_values()->Clear();
    latent.mutable_values()->Resize(100, 9.F);
  }
  EXPECT_TRUE(w.equal(torch::full({1, 100}, 0.25F)));
}

TEST(StyleMessagesTest, EditsKeepTheirOrder) {
  google::protobuf::RepeatedPtrField<v1::StyleEdit> edits;
  for (const auto& [index, shift, direction] : {std::tuple{7, 1.5, v1::DIRECTION_TO_MIN},
                                                {2, -1.0, v1::DIRECTION_TO_MAX},
                                                {5, 0.25, v1::DIRECTION_UNSPECIFIED}}) {
    v1::StyleEdit* edit = edits.Add();
    edit->set_index(index);
    edit->set_shift(shift);
    edit->set_direction(direction);
  }
  const std::vector<Move> moves = ToMoves(edits);
  ASSERT_EQ(moves.size(), 3);
  EXPECT_EQ(moves[0].coordinate, (Coordinate{7, 0}));
  EXPECT_EQ(moves[0].shift, 1.5);
  EXPECT_EQ(moves[1].coordinate, (Coordinate{2, 1}));
  EXPECT_EQ(moves[1].shift, -1);
  EXPECT_EQ(moves[2].coordinate, (Coordinate{5, 1})) << "unspecified: towards max";
  EXPECT_TRUE(ToMoves({}).empty());
}

}  // namespace
}  // namespace stylex
