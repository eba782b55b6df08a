// Recovers known sources from their mixture.
#include "explain/components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace stylex {
namespace {

using ::testing::HasSubstr;

// Uniform, one of two values, skewed and heavy-tailed sources: [n, 5], deviation 1 each.
torch::Tensor Sources(int64_t n) {
  const torch::Tensor uniform = (torch::rand({n, 2}) - 0.5) * std::sqrt(12.0);
  const torch::Tensor binary = torch::randint(0, 2, {n, 1}).to(torch::kFloat32) * 2 - 1;
  const torch::Tensor skewed = -torch::rand({n, 1}).clamp_min(1e-6).log() - 1;
  const torch::Tensor tails =
      torch::randn({n, 1}).sign() * -torch::rand({n, 1}).clamp_min(1e-6).log() / std::sqrt(2.0);
  return torch::cat({uniform, binary, skewed, tails}, 1);
}

// Absolute correlations of the columns of a [N, K] with those of b [N, M].
torch::Tensor Correlations(const torch::Tensor& a, const torch::Tensor& b) {
  const auto standard = [](const torch::Tensor& x) {
    const torch::Tensor centred = x - x.mean(0);
    return centred / centred.square().mean(0).sqrt();
  };
  return (torch::matmul(standard(a).t(), standard(b)) / static_cast<double>(a.size(0))).abs();
}

TEST(FindComponentsTest, FindsWhatWasMixedAndLeavesNoiseOut) {
  torch::manual_seed(1);
  constexpr int64_t kLatent = 12, kImages = 20000;
  const torch::Tensor sources = Sources(kImages);
  const torch::Tensor latents =
      torch::matmul(sources * torch::tensor({3.f, 2.f, 1.5f, 1.f, 0.7f}),
                    std::get<0>(torch::linalg_qr(torch::randn({kLatent, 5}))).t() +
                        0.1 * torch::randn({5, kLatent})) +
      0.02 * torch::randn({kImages, kLatent}) + 4;
  const auto found = FindComponents(latents, /*condition_size=*/2, {.variance = 0.995});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->count, 5);
  EXPECT_GT(found->variance, 0.995);

  const torch::Tensor w = torch::cat({latents, torch::randn({kImages, 2})}, 1);
  const torch::Tensor coordinates = torch::matmul(w - found->basis.mean, found->basis.readout);
  const torch::Tensor components = coordinates.narrow(1, 0, 5);
  const torch::Tensor best = Correlations(components, sources);
  EXPECT_GT(std::get<0>(best.max(0)).min().item<double>(), 0.99) << best;
  EXPECT_GT(std::get<0>(best.max(1)).min().item<double>(), 0.99) << best;
  // In standard deviations, ordered by strength, without loss.
  EXPECT_LT((components.var(0, /*unbiased=*/false) - 1).abs().max().item<double>(), 1e-3);
  EXPECT_LT(components.mean(0).abs().max().item<double>(), 1e-3);
  const torch::Tensor lengths = found->basis.basis.narrow(0, 0, 5).norm(2, 1);
  EXPECT_GE(lengths.diff().neg().min().item<double>(), 0);
  const torch::Tensor again = found->basis.mean + torch::matmul(coordinates, found->basis.basis);
  EXPECT_LT((again - w).abs().max().item<double>(), 1e-3);
  // The condition follows the components unchanged.
  EXPECT_LT(
      (coordinates.narrow(1, kLatent, 2) - w.narrow(1, kLatent, 2)).abs().max().item<double>(),
      1e-5);
  EXPECT_NEAR(found->kurtosis.min().item<double>(), -2, 0.1);  // one of two values
}

TEST(FindComponentsTest, ACountIsTakenAtItsWord) {
  torch::manual_seed(2);
  const auto found = FindComponents(Sources(2000), 0, {.count = 3});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->count, 3);
  EXPECT_EQ(found->kurtosis.size(0), 3);
}

TEST(FindComponentsTest, SaysWhatCannotBeFound) {
  torch::manual_seed(3);
  const torch::Tensor flat = torch::cat({Sources(500), torch::zeros({500, 3})}, 1);
  const auto too_many = FindComponents(flat, 0, {.count = 6});
  EXPECT_EQ(too_many.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(too_many.status().message(), HasSubstr("vary along 5 directions"));
  const auto too_few = FindComponents(Sources(30), 0, {.count = 5});
  EXPECT_THAT(too_few.status().message(), HasSubstr("at least 50"));
  EXPECT_FALSE(FindComponents(torch::ones({500, 4}), 0, {}).ok());
}

}  // namespace
}  // namespace stylex
