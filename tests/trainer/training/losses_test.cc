#include "trainer/training/losses.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <functional>

#include "tests/models/reference_folder.h"

namespace stylex {
namespace {

constexpr double kStep = 1e-5;  // of central differences, in double

torch::Tensor Doubles(torch::IntArrayRef shape) { return torch::randn(shape, torch::kFloat64); }

// A critic with a known gradient: tanh(x A) b, one score per image.
torch::Tensor Score(const torch::Tensor& images, const torch::Tensor& a, const torch::Tensor& b) {
  return torch::tanh(images.flatten(1).mm(a)).mv(b);
}

// A synthesis network of the same kind: tanh(w A), all latents of an image at once.
torch::Tensor Draw(const torch::Tensor& latents, const torch::Tensor& a) {
  return torch::tanh(latents.flatten(1).mm(a)).view({latents.size(0), 2, 4, 3});
}

// d f / d x[i] by central differences; x is restored.
double Slope(torch::Tensor x, int64_t i, const std::function<double()>& f) {
  torch::NoGradGuard no_grad;
  torch::Tensor entry = x.view(-1)[i];
  entry += kStep;
  const double above = f();
  entry -= 2 * kStep;
  const double below = f();
  entry += kStep;
  return (above - below) / (2 * kStep);
}

double PenaltyOfPath(const torch::Tensor& latents, const torch::Tensor& a,
                     const torch::Tensor& noise, double mean) {
  torch::AutoGradMode with_grad(true);
  const torch::Tensor w = latents.detach().clone().requires_grad_(true);
  torch::Tensor mean_length = torch::full({}, mean, torch::kFloat64);
  return PathLengthPenalty(Draw(w, a), w, noise, &mean_length).item<double>();
}

// Each writes what losses get and give, for the reference.
void WriteScores(ReferenceFolder& folder) {
  const torch::Tensor real = torch::randn({6}) * 8;
  const torch::Tensor fake = torch::randn({6}) * 8;
  folder.Write("real_scores", real);
  folder.Write("fake_scores", fake);
  folder.Write("discriminator", DiscriminatorLoss(real, fake));
  folder.Write("generator", GeneratorLoss(fake));
  folder.Write("relativistic", RelativisticLoss(real, fake));

  const torch::Tensor real_logits = torch::randn({5, 4}) * 6;
  const torch::Tensor fake_logits = torch::randn({5, 4}) * 6;
  folder.Write("real_logits", real_logits);
  folder.Write("fake_logits", fake_logits);
  folder.Write("kl", KlLoss(real_logits, fake_logits));
}

// Returns the images that the differences are of.
torch::Tensor WritePixels(ReferenceFolder& folder) {
  torch::Tensor x = torch::randn({3, 2, 4, 3});
  const torch::Tensor y = torch::randn({3, 2, 4, 3});
  folder.Write("x", x);
  folder.Write("y", y);
  folder.Write("l1", L1Loss(x, y));
  folder.Write("l2", L2Loss(x, y));
  folder.Write("differences", DifferencesLoss(x, y));

  const torch::Tensor photographs = torch::randn({2, 3, 16, 20}).clamp(-1, 1);
  const torch::Tensor drawn = torch::randn({2, 3, 16, 20});
  folder.Write("photographs", photographs);
  folder.Write("drawn", drawn);
  folder.Write("contrast", LocalContrast(photographs));
  folder.Write("hardest", HardestPixelsLoss(photographs, drawn));
  folder.Write("laplacian", LaplacianLoss(photographs, drawn));
  folder.Write("texture", TextureLoss(photographs, drawn));
  return x;
}

void WriteActivationsAndLatents(ReferenceFolder& folder) {
  // Different sizes at each depth; activations of a ReLU, with positions where none is active.
  std::vector<torch::Tensor> real_taps = {torch::randn({3, 5, 4, 4}).relu(),
                                          torch::randn({3, 7, 2, 2}).relu()};
  std::vector<torch::Tensor> fake_taps = {torch::randn({3, 5, 4, 4}).relu(),
                                          torch::randn({3, 7, 2, 2}).relu()};
  fake_taps[0].select(2, 1).zero_();
  for (size_t depth = 0; depth < real_taps.size(); ++depth) {
    folder.Write(absl::StrCat("real_tap_", depth), real_taps[depth]);
    folder.Write(absl::StrCat("fake_tap_", depth), fake_taps[depth]);
  }
  folder.Write("perceptual", PerceptualLoss(real_taps, fake_taps));
  folder.Write("features", FeatureMatchingLoss(real_taps, fake_taps));

  const torch::Tensor changes = torch::randn({5, 7});
  folder.Write("changes", changes);
  folder.Write("move_sparsity", MoveSparsity(changes));

  const torch::Tensor means = torch::randn({5, 7});
  const torch::Tensor log_deviations = torch::randn({7});
  folder.Write("means", means);
  folder.Write("log_deviations", log_deviations);
  folder.Write("latent_kl", LatentKl(means, log_deviations));
}

void WritePenalties(const torch::Tensor& x, ReferenceFolder& folder) {
  const torch::Tensor images = x.clone().requires_grad_(true);
  const torch::Tensor a = torch::randn({24, 5}) * 0.3;
  const torch::Tensor b = torch::randn({5});
  folder.Write("critic_a", a);
  folder.Write("critic_b", b);
  folder.Write("r1", R1Penalty(images, Score(images, a, b)));

  const torch::Tensor w = torch::randn({3, 4, 6}).requires_grad_(true);
  const torch::Tensor synthesis = torch::randn({24, 24}) * 0.3;
  const torch::Tensor noise = torch::randn({3, 2, 4, 3});
  torch::Tensor mean = torch::zeros({});
  folder.Write("latents", w);
  folder.Write("synthesis", synthesis);
  folder.Write("noise", noise);
  for (const char* name : {"path_first", "path_second"}) {
    folder.Write(name, PathLengthPenalty(Draw(w, synthesis), w, noise, &mean));
    folder.Write(absl::StrCat(name, "_mean"), mean);
  }
}

TEST(LossesTest, AgreeWithTheirFormulas) {
  torch::manual_seed(1);
  ReferenceFolder folder;
  WriteScores(folder);
  const torch::Tensor x = WritePixels(folder);
  WriteActivationsAndLatents(folder);
  WritePenalties(x, folder);
  folder.CompareWith("tests/trainer/training/reference_losses.py");
}

// Another grain of the same strength is no error; none, and stripes of that strength, are.
TEST(LossesTest, TextureIsOfStrengthAndDirectionAndNotOfPlace) {
  torch::manual_seed(2);
  const torch::Tensor grain = torch::randn({4, 3, 32, 32}) * 0.2;
  const double other = TextureLoss(torch::randn({4, 3, 32, 32}) * 0.2, grain).item<double>();
  const double none = TextureLoss(torch::zeros({4, 3, 32, 32}), grain).item<double>();
  const torch::Tensor stripes = (torch::randn({4, 3, 1, 32}) * 0.2).expand({4, 3, 32, 32});
  const double striped = TextureLoss(stripes, grain).item<double>();
  EXPECT_EQ(TextureLoss(grain, grain).item<double>(), 0);
  EXPECT_LT(other, none / 4);
  EXPECT_LT(other, striped / 3);
}

TEST(LossesTest, PlaceBoundTextureIsWhatImagesHaveInCommon) {
  torch::manual_seed(2);
  const torch::Tensor grain = torch::randn({8, 3, 32, 32}) * 0.2;
  const double independent = PlaceBoundTexture(grain).item<double>();
  const double common = PlaceBoundTexture(grain.narrow(0, 0, 1).expand_as(grain)).item<double>();
  EXPECT_NEAR(independent / common, 1 / std::sqrt(8), 0.05);
  const torch::Tensor smooth = BinomialBlur(torch::full({8, 3, 32, 32}, 0.5));
  EXPECT_NEAR(PlaceBoundTexture(smooth).item<double>(), 0, 1e-6);
}

TEST(LossesTest, MoveSparsityLeavesCoordinatesAtRestAlone) {
  const torch::Tensor changes = torch::randn({6, 3}, torch::kFloat64);
  changes.select(1, 1).zero_();  // not moved in any image
  changes.requires_grad_(true);
  MoveSparsity(changes).backward();
  EXPECT_TRUE(changes.grad().isfinite().all().item<bool>());
  EXPECT_EQ(changes.grad().select(1, 1).abs().max().item<double>(), 0);
  for (const int64_t i : {0, 5, 9}) {
    const double slope =
        Slope(changes.detach(), i, [&] { return MoveSparsity(changes).item<double>(); });
    EXPECT_NEAR(changes.grad().view(-1)[i].item<double>(), slope, 1e-7) << i;
  }
}

TEST(LossesTest, R1AgreesWithFiniteDifferences) {
  torch::manual_seed(2);
  const torch::Tensor x = Doubles({3, 2, 4, 3});
  const torch::Tensor a = Doubles({24, 5}) * 0.3;
  const torch::Tensor b = Doubles({5});
  double expected = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    expected += std::pow(Slope(x, i, [&] { return Score(x, a, b).sum().item<double>(); }), 2);
  }
  const torch::Tensor images = x.clone().requires_grad_(true);
  EXPECT_NEAR(R1Penalty(images, Score(images, a, b)).item<double>(), expected / 3, 1e-7 * expected);
}

TEST(LossesTest, R1PassesGradientsToTheCritic) {
  torch::manual_seed(3);
  const torch::Tensor x = Doubles({3, 2, 4, 3}).requires_grad_(true);
  const torch::Tensor a = (Doubles({24, 5}) * 0.3).requires_grad_(true);
  const torch::Tensor b = Doubles({5}).requires_grad_(true);
  R1Penalty(x, Score(x, a, b)).backward();
  const auto penalty = [&] {
    torch::AutoGradMode with_grad(true);
    return R1Penalty(x, Score(x, a, b)).item<double>();
  };
  for (const int64_t i : {0, 17, 63, 119}) {
    EXPECT_NEAR(a.grad().view(-1)[i].item<double>(), Slope(a.detach(), i, penalty), 1e-7) << i;
  }
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(b.grad()[i].item<double>(), Slope(b.detach(), i, penalty), 1e-7) << i;
  }
}

TEST(LossesTest, PathLengthAgreesWithFiniteDifferences) {
  torch::manual_seed(4);
  const torch::Tensor latents = Doubles({2, 4, 6});
  const torch::Tensor a = Doubles({24, 24}) * 0.3;
  const torch::Tensor noise = Doubles({2, 2, 4, 3});
  const auto projected = [&] {
    return (Draw(latents, a) * noise).sum().item<double>() / std::sqrt(12.0);
  };
  std::vector<double> lengths;
  for (int64_t n = 0; n < 2; ++n) {
    double squares = 0;
    for (int64_t i = 0; i < 24; ++i) {
      squares += std::pow(Slope(latents, n * 24 + i, projected), 2);
    }
    lengths.push_back(std::sqrt(squares / 4));  // the mean over four latents
  }
  const double mean = 0.3 + 0.01 * ((lengths[0] + lengths[1]) / 2 - 0.3);
  const double expected = (std::pow(lengths[0] - mean, 2) + std::pow(lengths[1] - mean, 2)) / 2;
  EXPECT_NEAR(PenaltyOfPath(latents, a, noise, 0.3), expected, 1e-7);
}

TEST(LossesTest, PathLengthPassesGradientsToTheSynthesis) {
  torch::manual_seed(5);
  const torch::Tensor latents = Doubles({2, 4, 6});
  const torch::Tensor a = (Doubles({24, 24}) * 0.3).requires_grad_(true);
  const torch::Tensor noise = Doubles({2, 2, 4, 3});
  const torch::Tensor w = latents.clone().requires_grad_(true);
  torch::Tensor mean = torch::full({}, 0.3, torch::kFloat64);
  PathLengthPenalty(Draw(w, a), w, noise, &mean).backward();
  EXPECT_FALSE(mean.requires_grad());  // the average must not keep the graph alive
  for (const int64_t i : {0, 100, 333, 575}) {
    EXPECT_NEAR(a.grad().view(-1)[i].item<double>(),
                Slope(a.detach(), i, [&] { return PenaltyOfPath(latents, a, noise, 0.3); }), 1e-7)
        << i;
  }
}

TEST(LossesTest, StayFiniteAtTheExtremes) {
  const torch::Tensor far = torch::tensor({1e4f, -1e4f});
  EXPECT_NEAR(GeneratorLoss(far).item<double>(), 5e3, 1);
  EXPECT_NEAR(DiscriminatorLoss(far, far).item<double>(), 1e4, 1);
  EXPECT_NEAR(KlLoss(torch::tensor({{500.f, 0.f}}), torch::tensor({{0.f, 500.f}})).item<double>(),
              500, 1e-3);
  // No channel active: neither the value nor the gradient may be NaN.
  const torch::Tensor silent = torch::zeros({1, 3, 2, 2}).requires_grad_(true);
  const torch::Tensor loss = PerceptualLoss({torch::rand({1, 3, 2, 2})}, {silent});
  loss.backward();
  EXPECT_TRUE(torch::isfinite(loss).item<bool>());
  EXPECT_TRUE(torch::isfinite(silent.grad()).all().item<bool>());
}

TEST(LossesTest, AreZeroForEqualImages) {
  torch::manual_seed(6);
  const torch::Tensor x = torch::randn({2, 3, 4, 4});
  EXPECT_EQ(L1Loss(x, x).item<double>(), 0);
  EXPECT_EQ(PerceptualLoss({x}, {x}).item<double>(), 0);
  EXPECT_NEAR(KlLoss(x.flatten(1), x.flatten(1) + 7).item<double>(), 0, 1e-5);
}

}  // namespace
}  // namespace stylex
