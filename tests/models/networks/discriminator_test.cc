// Discriminator, encoder and mapping network against literal passes, and what checkpoints and
// losses rely on.
#include "models/networks/discriminator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/models/networks/literal_planes.h"

namespace stylex {
namespace {

// The shapes of a module's tensors by name.
std::vector<std::string> TensorsOf(const torch::nn::Module& module) {
  std::vector<std::string> found;
  for (const auto& item : module.named_parameters()) {
    found.push_back(absl::StrCat(item.key(), " ", c10::str(item.value().sizes())));
  }
  return found;
}

void ShiftBiases(const torch::nn::Module& module) {
  torch::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    if (item.value().dim() == 1) {
      item.value().normal_(0, 0.5);
    }
  }
}

// A body of two blocks: 16x16, 8x8, 4x4, computed sample by sample from its parameters.
class LiteralBody {
 public:
  LiteralBody(ResidualBodyImpl& body, int64_t stddev_group)
      : tensors_(body.named_parameters()), stddev_group_(stddev_group) {}

  torch::Tensor Forward(const torch::Tensor& image, std::vector<torch::Tensor>* features) const {
    Planes y = AddAndActivateLiterally(Correlate(Planes::Of(image), Scaled("from_rgb"), 1, 0),
                                       Bias("from_rgb"));
    features->push_back(y.ToTensor());
    for (int block = 0; block < 2; ++block) {
      y = Block(absl::StrCat("block", block, "_"), y);
      features->push_back(y.ToTensor());
    }
    torch::Tensor last = y.ToTensor();
    if (stddev_group_ > 0) {
      last = AppendMinibatchStddev(last, stddev_group_);  // tested on its own
    }
    y = AddAndActivateLiterally(Correlate(Planes::Of(last), Scaled("final_conv"), 1, 1),
                                Bias("final_conv"));
    const torch::Tensor hidden = Linear("final_linear", y.ToTensor().flatten(1));
    return Linear("output", torch::where(hidden < 0, hidden * 0.2, hidden) * std::sqrt(2.0));
  }

 private:
  torch::Tensor Bias(const std::string& layer) const { return tensors_[layer + ".bias"].detach(); }
  torch::Tensor Scaled(const std::string& layer) const {
    const torch::Tensor weight = tensors_[layer + ".weight"].detach().to(torch::kFloat64);
    return weight / std::sqrt(static_cast<double>(weight[0].numel()));
  }
  torch::Tensor Linear(const std::string& layer, const torch::Tensor& x) const {
    return torch::matmul(x, Scaled(layer).t()) + Bias(layer).to(torch::kFloat64);
  }
  // Two convolutions, the second on the smoothed picture with stride 2, beside a smoothed shortcut.
  Planes Block(const std::string& name, const Planes& x) const {
    const std::string first = name + "conv1", second = name + "conv2";
    Planes main = AddAndActivateLiterally(Correlate(x, Scaled(first), 1, 1), Bias(first));
    main = Correlate(Smooth(main, 2, 2, 1), Scaled(second), 2, 0);
    main = AddAndActivateLiterally(main, Bias(second));
    const Planes skip = Correlate(Smooth(x, 1, 1, 1), Scaled(name + "skip"), 2, 0);
    main.ForEach([&](int64_t n, int64_t c, int64_t row, int64_t column) {
      double& value = main.At(n, c, row, column);
      value = (value + skip.Get(n, c, row, column)) / std::sqrt(2.0);
    });
    return main;
  }

  torch::OrderedDict<std::string, torch::Tensor> tensors_;
  int64_t stddev_group_;
};

class ResidualBodyTest : public testing::TestWithParam<int64_t> {};
INSTANTIATE_TEST_SUITE_P(StddevGroups, ResidualBodyTest, testing::Values(0, 2));

TEST_P(ResidualBodyTest, IsTheLiteralPass) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(41);
  ResidualBody body(std::vector<int64_t>{5, 4, 3}, /*image_channels=*/2, GetParam(), /*outputs=*/6);
  ShiftBiases(*body);
  const torch::Tensor x = torch::randn({4, 2, 16, 16});
  std::vector<torch::Tensor> features, expected_features;
  const torch::Tensor found = body->forward(x, &features);
  const torch::Tensor expected = LiteralBody(*body, GetParam()).Forward(x, &expected_features);
  EXPECT_LT(RelativeDifference(found, expected), 1e-5);
  ASSERT_EQ(features.size(), expected_features.size());
  for (size_t i = 0; i < features.size(); ++i) {
    EXPECT_LT(RelativeDifference(features[i], expected_features[i]), 1e-5) << i;
  }
  EXPECT_TRUE(body->forward(x).equal(found)) << "keeping features changes the result";
}

TEST_P(ResidualBodyTest, TheOrderInMemoryDoesNotMatter) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(42);
  ResidualBody body(std::vector<int64_t>{5, 4}, 3, GetParam(), 2);
  const torch::Tensor x = torch::randn({2, 3, 8, 8});
  const torch::Tensor last = x.contiguous(torch::MemoryFormat::ChannelsLast);
  const torch::Tensor expected = body->forward(x);
  EXPECT_LT(RelativeDifference(body->forward(last), expected), 1e-6);
}

TEST(ResidualBodyTest, HasTheNamesAndShapesOfCheckpoints) {
  const ResidualBody body(std::vector<int64_t>{5, 4}, 3, /*stddev_group=*/4, /*outputs=*/2);
  EXPECT_THAT(
      TensorsOf(*body),
      testing::UnorderedElementsAre(
          "from_rgb.weight [4, 3, 1, 1]", "from_rgb.bias [4]", "block0_conv1.weight [4, 4, 3, 3]",
          "block0_conv1.bias [4]", "block0_conv2.weight [5, 4, 3, 3]", "block0_conv2.bias [5]",
          "block0_skip.weight [5, 4, 1, 1]", "final_conv.weight [5, 6, 3, 3]",
          "final_conv.bias [5]", "final_linear.weight [5, 80]", "final_linear.bias [5]",
          "output.weight [2, 5]", "output.bias [2]"));
}

v1::DiscriminatorConfig SmallDiscriminator(bool conditional, int stddev_group) {
  v1::DiscriminatorConfig config;
  config.add_channels(6);
  config.add_channels(4);
  config.set_conditional(conditional);
  config.set_minibatch_stddev_group(stddev_group);
  return config;
}

TEST(DiscriminatorTest, WithoutAConditionDoesNotReadProbabilities) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(43);
  Discriminator discriminator(SmallDiscriminator(false, 0), 3, 4);
  const torch::Tensor x = torch::randn({3, 3, 8, 8});
  const torch::Tensor scores = discriminator->forward(x, {});
  ASSERT_EQ(scores.sizes(), (std::vector<int64_t>{3}));
  EXPECT_TRUE(scores.equal(discriminator->forward(x, torch::rand({3, 4}))));
}

// sum_k p_k D_k(x): linear in the probabilities, and one-hot ones pick one class's score.
TEST(DiscriminatorTest, ScoresAreTheProbabilitiesMeanOfTheClassesScores) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(44);
  constexpr int64_t kClasses = 3;
  Discriminator discriminator(SmallDiscriminator(true, 0), 1, kClasses);
  ShiftBiases(*discriminator);
  const torch::Tensor x = torch::randn({2, 1, 8, 8});
  const torch::Tensor probabilities = torch::softmax(torch::randn({2, kClasses}), 1);
  torch::Tensor expected = torch::zeros({2});
  for (int64_t k = 0; k < kClasses; ++k) {
    torch::Tensor one_hot = torch::zeros({2, kClasses});
    one_hot.select(1, k).fill_(1);
    const torch::Tensor of_class = discriminator->forward(x, one_hot);
    expected += probabilities.select(1, k) * of_class;
    EXPECT_GT((of_class[0] - of_class[1]).abs().item<double>(), 1e-6);
  }
  EXPECT_LT((discriminator->forward(x, probabilities) - expected).abs().max().item<double>(), 1e-5);
}

// Without the minibatch channel each image has its own score; with it, its company counts.
TEST(DiscriminatorTest, ImagesInfluenceEachOtherThroughTheDeviationAlone) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(45);
  const torch::Tensor x = torch::randn({4, 3, 8, 8});
  torch::Tensor other = x.clone();
  other[3] *= 5;
  for (const int group : {0, 4}) {
    Discriminator discriminator(SmallDiscriminator(false, group), 3, 1);
    const torch::Tensor change =
        (discriminator->forward(x, {}) - discriminator->forward(other, {})).abs();
    EXPECT_GT(change[3].item<double>(), 1e-4);
    if (group == 0) {
      EXPECT_LT(change[0].item<double>(), 1e-6);
    } else {
      EXPECT_GT(change[0].item<double>(), 1e-6);
    }
  }
}

TEST(DiscriminatorTest, FeaturesGoFromFineToCoarse) {
  torch::NoGradGuard no_grad;
  Discriminator discriminator(SmallDiscriminator(false, 0), 3, 1);
  std::vector<torch::Tensor> features;
  discriminator->forward(torch::zeros({2, 3, 8, 8}), {}, &features);
  ASSERT_EQ(features.size(), 2);
  EXPECT_EQ(features[0].sizes(), (std::vector<int64_t>{2, 4, 8, 8}));
  EXPECT_EQ(features[1].sizes(), (std::vector<int64_t>{2, 6, 4, 4}));
}

// The R1 penalty differentiates the gradient of the scores with respect to images.
TEST(DiscriminatorTest, TheGradientsNormHasAGradient) {
  torch::manual_seed(46);
  Discriminator discriminator(SmallDiscriminator(true, 2), 1, 2);
  discriminator->to(torch::kFloat64);
  ShiftBiases(*discriminator);
  const torch::Tensor probabilities = torch::softmax(torch::randn({2, 2}, torch::kFloat64), 1);
  const torch::Tensor images = torch::randn({2, 1, 8, 8}, torch::kFloat64);
  const auto penalty = [&] {
    const torch::Tensor x = images.clone().requires_grad_(true);
    const torch::Tensor gradient = torch::autograd::grad(
        {discriminator->forward(x, probabilities).sum()}, {x}, {}, true, true)[0];
    return gradient.square().sum();
  };
  torch::Tensor weight = discriminator->named_parameters()["body.block0_conv1.weight"];
  const torch::Tensor slope = torch::autograd::grad({penalty()}, {weight})[0];
  const torch::Tensor direction = torch::randn_like(weight);
  constexpr double kStep = 1e-6;
  const auto moved = [&](double step) {
    {
      torch::NoGradGuard no_grad;
      weight.add_(step * direction);
    }
    return penalty().item<double>();
  };
  const double ahead = moved(kStep), behind = moved(-2 * kStep);
  const double quotient = (ahead - behind) / (2 * kStep);
  EXPECT_GT(std::abs(quotient), 1e-6);
  EXPECT_NEAR((slope * direction).sum().item<double>() / quotient, 1, 1e-3);
}

v1::EncoderConfig SmallEncoder(bool stddev) {
  v1::EncoderConfig config;
  config.add_channels(6);
  config.add_channels(4);
  config.set_minibatch_stddev(stddev);
  return config;
}

TEST(EncoderTest, IsTheBodyWithALatentAsItsOutput) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(47);
  Encoder encoder(SmallEncoder(false), 3, /*latent_size=*/7);
  ResidualBody body(std::vector<int64_t>{6, 4}, 3, 0, 7);
  const auto of_encoder = encoder->named_parameters();
  for (auto& item : body->named_parameters()) {
    item.value().copy_(of_encoder["body." + item.key()]);
  }
  const torch::Tensor x = torch::rand({3, 3, 8, 8}) * 2 - 1;
  const torch::Tensor latent = encoder->forward(x);
  ASSERT_EQ(latent.sizes(), (std::vector<int64_t>{3, 7}));
  EXPECT_TRUE(latent.equal(body->forward(x)));
}

TEST(EncoderTest, TheDeviationChannelIsThatOfFourImages) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(48);
  Encoder encoder(SmallEncoder(true), 3, 7);
  EXPECT_NO_THROW(encoder->forward(torch::randn({8, 3, 8, 8})));
  EXPECT_NO_THROW(encoder->forward(torch::randn({3, 3, 8, 8})));
  EXPECT_THROW(encoder->forward(torch::randn({6, 3, 8, 8})), c10::Error);
}

TEST(MappingTest, IsTheLiteralPass) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(49);
  constexpr int64_t kSize = 5;
  constexpr double kMultiplier = 0.01;
  Mapping mapping(kSize, 2, kMultiplier);
  ShiftBiases(*mapping);
  const torch::Tensor z = torch::randn({3, kSize}) * 10;
  const torch::Tensor found = mapping->forward(z);
  const auto tensors = mapping->named_parameters();
  for (int64_t n = 0; n < 3; ++n) {
    std::vector<double> w;
    const double size = std::sqrt(z[n].to(torch::kFloat64).square().mean().item<double>() + 1e-8);
    for (int64_t i = 0; i < kSize; ++i) {
      w.push_back(z[n][i].item<double>() / size);
    }
    for (const char* layer : {"layer0", "layer1"}) {
      std::vector<double> next;
      for (int64_t o = 0; o < kSize; ++o) {
        double sum = tensors[absl::StrCat(layer, ".bias")][o].item<double>() * kMultiplier;
        for (int64_t i = 0; i < kSize; ++i) {
          sum += tensors[absl::StrCat(layer, ".weight")][o][i].item<double>() * kMultiplier /
                 std::sqrt(5.0) * w[static_cast<size_t>(i)];
        }
        next.push_back(ActivatedLiterally(sum));
      }
      w = next;
    }
    for (int64_t i = 0; i < kSize; ++i) {
      EXPECT_NEAR(found[n][i].item<double>(), w[static_cast<size_t>(i)], 1e-5);
    }
  }
}

TEST(MappingTest, DirectionsMatterAndLengthsDoNot) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(50);
  Mapping mapping(6, 3, 0.1);
  const torch::Tensor z = torch::randn({2, 6});
  const torch::Tensor w = mapping->forward(z);
  EXPECT_LT(RelativeDifference(mapping->forward(z * 9), w), 1e-5);
  EXPECT_GT(RelativeDifference(mapping->forward(-z), w), 0.1);
  // A z of zeros is a number, too.
  EXPECT_TRUE(torch::isfinite(mapping->forward(torch::zeros({1, 6}))).all().item<bool>());
}

}  // namespace
}  // namespace stylex
