// What callers of the folded network rely on beyond equal logits (inference_test.cc).
#include "models/cpu/folded_mobilenet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <map>
#include <string>
#include <vector>

namespace stylex {
namespace {

// Statistics and a last layer that are not those of a fresh network.
MobileNetV2 TrainedLooking(int64_t image_channels, int64_t classes, double width) {
  torch::NoGradGuard no_grad;
  MobileNetV2 network(image_channels, classes, width);
  for (auto& [name, tensor] : NamedTensors(network)) {
    torch::Tensor own = tensor;
    if (name.ends_with("running_var")) {
      own.uniform_(0.5, 2);
    } else if (name.ends_with("running_mean") || name.ends_with("bias")) {
      own.normal_(0, 0.3);
    } else if (name.starts_with("classifier")) {
      own.normal_();
    }
  }
  return network;
}

double Farthest(const torch::Tensor& found, const torch::Tensor& expected) {
  return (found.to(torch::kFloat64) - expected.to(torch::kFloat64)).abs().max().item<double>() /
         expected.abs().max().item<double>();
}

// Table 2 of the paper: expansion, width, blocks, stride, at a side that each stage halves.
int64_t CountedFromThePaper(int64_t side, int64_t planes) {
  struct Row {
    int64_t expansion, width, blocks, stride;
  };
  side /= 2;
  int64_t sum = side * side * 9 * planes * 32, in = 32;
  for (const Row& row : std::vector<Row>{{1, 16, 1, 1},
                                         {6, 24, 2, 2},
                                         {6, 32, 3, 2},
                                         {6, 64, 4, 2},
                                         {6, 96, 3, 1},
                                         {6, 160, 3, 2},
                                         {6, 320, 1, 1}}) {
    for (int64_t block = 0; block < row.blocks; ++block) {
      const int64_t hidden = in * row.expansion;
      sum += row.expansion == 1 ? 0 : side * side * in * hidden;
      side /= block == 0 ? row.stride : 1;
      sum += side * side * 9 * hidden + side * side * hidden * row.width;
      in = row.width;
    }
  }
  return sum + side * side * in * 1280;
}

TEST(MultiplyAddsTest, AreThoseOfThePapersTable) {
  const FoldedMobileNet network(*MobileNetV2(3, 1000), 1);
  EXPECT_EQ(network.MultiplyAdds(224, 224), CountedFromThePaper(224, 3));
  // "300M multiply-adds" in the paper's text.
  EXPECT_NEAR(static_cast<double>(network.MultiplyAdds(224, 224)), 300e6, 3e6);
  EXPECT_EQ(network.MultiplyAdds(64, 64), CountedFromThePaper(64, 3));
  EXPECT_EQ(FoldedMobileNet(*MobileNetV2(1, 2), 1).MultiplyAdds(32, 32),
            CountedFromThePaper(32, 1));
}

TEST(FoldedCopyTest, LaterChangesDoNotReachIt) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(81);
  const MobileNetV2 network = TrainedLooking(3, 2, 0.25);
  const FoldedMobileNet folded(*network, 1);
  const torch::Tensor x = torch::randn({2, 3, 32, 32});
  const torch::Tensor before = folded.Logits(x),
                      with_features = folded.ForwardWithFeatures(x).logits;
  for (torch::Tensor parameter : network->parameters()) {
    parameter.zero_();
  }
  for (torch::Tensor buffer : network->buffers()) {
    buffer.fill_(1);
  }
  EXPECT_TRUE(folded.Logits(x).equal(before));
  EXPECT_TRUE(folded.ForwardWithFeatures(x).logits.equal(with_features));
}

TEST(FoldedCopyTest, IsInEvaluationModeWhateverTheNetworksModeIs) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(82);
  const MobileNetV2 network = TrainedLooking(1, 3, 0.25);
  const torch::Tensor x = torch::randn({3, 1, 32, 32});
  network.ptr()->train();
  const FoldedMobileNet folded(*network, 1);
  network.ptr()->eval();
  const torch::Tensor expected = network.ptr()->forward(x);
  EXPECT_LT(Farthest(folded.Logits(x), expected), 1e-4);
  EXPECT_TRUE(folded.Logits(x).equal(folded.Logits(x)));
}

TEST(FoldedLogitsTest, AreScaled) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(83);
  const MobileNetV2 network = TrainedLooking(1, 3, 0.25);
  const torch::Tensor x = torch::randn({2, 1, 32, 32});
  const torch::Tensor plain = FoldedMobileNet(*network, 1).Logits(x);
  const FoldedMobileNet sharper(*network, 2.5);
  EXPECT_LT(Farthest(sharper.Logits(x), plain * 2.5), 1e-5);
  EXPECT_LT(Farthest(sharper.ForwardWithFeatures(x).logits, plain * 2.5), 1e-4);
}

// height, width: odd ones round up at every stride, as LibTorch's padded convolutions do.
class FoldedSizesTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};
INSTANTIATE_TEST_SUITE_P(Sizes, FoldedSizesTest,
                         testing::Values(std::pair(32, 32), std::pair(33, 47), std::pair(1, 1),
                                         std::pair(5, 64)));

TEST_P(FoldedSizesTest, BothWaysAgreeWithTheNetwork) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(84);
  const MobileNetV2 network = TrainedLooking(3, 4, 0.25);
  network.ptr()->eval();
  const FoldedMobileNet folded(*network, 1);
  const torch::Tensor x = torch::randn({3, 3, GetParam().first, GetParam().second});
  const MobileNetV2Impl::Features expected = network.ptr()->ForwardWithFeatures(x);
  EXPECT_LT(Farthest(folded.Logits(x), expected.logits), 1e-4);
  const MobileNetV2Impl::Features found = folded.ForwardWithFeatures(x);
  EXPECT_LT(Farthest(found.logits, expected.logits), 1e-4);
  ASSERT_EQ(found.taps.size(), expected.taps.size());
  for (size_t i = 0; i < expected.taps.size(); ++i) {
    EXPECT_LT(Farthest(found.taps[i], expected.taps[i]), 1e-4) << i;
  }
}

TEST(FoldedLogitsTest, ABatchIsItsImages) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(85);
  const FoldedMobileNet folded(*TrainedLooking(3, 2, 0.25), 1);
  const torch::Tensor x = torch::randn({9, 3, 32, 32});
  const torch::Tensor together = folded.Logits(x);
  for (int64_t n = 0; n < 9; ++n) {
    EXPECT_LT(Farthest(folded.Logits(x.narrow(0, n, 1)), together.narrow(0, n, 1)), 1e-4) << n;
  }
  // Views that are not contiguous: every second image, mirrored.
  const torch::Tensor view = x.slice(0, 0, 9, 2).flip(3);
  EXPECT_LT(Farthest(folded.Logits(view), folded.Logits(view.clone())), 1e-5);
}

TEST(FoldedLogitsTest, GradientsAreKeptWhereTheyAreAskedFor) {
  torch::manual_seed(86);
  const FoldedMobileNet folded(*TrainedLooking(3, 2, 0.25), 1);
  const torch::Tensor x = torch::randn({1, 3, 32, 32});
  EXPECT_FALSE(folded.Logits(x).requires_grad());
  const torch::Tensor asking = x.clone().requires_grad_(true);
  EXPECT_TRUE(folded.Logits(asking).requires_grad());
  torch::NoGradGuard no_grad;
  EXPECT_FALSE(folded.Logits(asking).requires_grad());
}

TEST(FoldedLogitsTest, MovingToWhereItIsChangesNothing) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(87);
  FoldedMobileNet folded(*TrainedLooking(1, 2, 0.25), 1);
  const torch::Tensor x = torch::randn({2, 1, 32, 32});
  const torch::Tensor before = folded.Logits(x);
  folded.To(torch::kCPU);
  EXPECT_TRUE(folded.Logits(x).equal(before));
}

}  // namespace
}  // namespace stylex
