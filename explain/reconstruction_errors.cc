#include "explain/reconstruction_errors.h"

#include <torch/types.h>

#include <algorithm>
#include <iterator>

namespace stylex {
namespace {

// Quantiles that are kept: every half per cent.
constexpr int64_t kQuantiles = 201;

using Quantiles = google::protobuf::RepeatedField<double>;

void FillQuantiles(const torch::Tensor& values, Quantiles* out) {
  const torch::Tensor sorted = std::get<0>(values.to(torch::kCPU, torch::kFloat64).sort());
  const double* const data = sorted.data_ptr<double>();
  const int64_t last = sorted.size(0) - 1;
  for (int64_t q = 0; q < kQuantiles; ++q) {
    const double at = static_cast<double>(q) * static_cast<double>(last) / (kQuantiles - 1);
    const int64_t below = static_cast<int64_t>(at);
    const int64_t above = std::min(below + 1, last);
    out->Add(data[below] + (at - static_cast<double>(below)) * (data[above] - data[below]));
  }
}

// Rank of a value, 0 to 1, interpolated between quantiles.
double RankOf(double value, const Quantiles& quantiles) {
  const auto above = std::upper_bound(quantiles.begin(), quantiles.end(), value);
  if (above == quantiles.begin()) {
    return 0;
  }
  if (above == quantiles.end()) {
    return 1;
  }
  const double low = *std::prev(above), high = *above;
  const double place = static_cast<double>(std::distance(quantiles.begin(), above)) - 1;
  return (place + (value - low) / (high - low)) / (quantiles.size() - 1);
}

double WorstRank(const v1::ReconstructionErrors& distribution, const ReconstructionError& error) {
  return std::max({RankOf(error.l1, distribution.l1()),
                   RankOf(1 - error.ssim, distribution.dissimilarity()),
                   RankOf(error.kl, distribution.kl())});
}

}  // namespace

v1::ReconstructionErrors DistributionOf(const torch::Tensor& l1, const torch::Tensor& ssim,
                                        const torch::Tensor& kl) {
  v1::ReconstructionErrors distribution;
  distribution.set_images(l1.size(0));
  FillQuantiles(l1, distribution.mutable_l1());
  FillQuantiles(1 - ssim.to(torch::kFloat64), distribution.mutable_dissimilarity());
  FillQuantiles(kl, distribution.mutable_kl());
  torch::Tensor worst = torch::empty({l1.size(0)}, torch::kFloat64);
  for (int64_t n = 0; n < l1.size(0); ++n) {
    worst[n] = WorstRank(distribution,
                         {l1[n].item<double>(), ssim[n].item<double>(), kl[n].item<double>()});
  }
  FillQuantiles(worst, distribution.mutable_worst_rank());
  return distribution;
}

std::optional<double> PercentileOf(const v1::ReconstructionErrors& distribution,
                                   const ReconstructionError& error) {
  if (distribution.l1().empty() || distribution.dissimilarity().empty() ||
      distribution.kl().empty() || distribution.worst_rank().empty()) {
    return std::nullopt;
  }
  return 100 * RankOf(WorstRank(distribution, error), distribution.worst_rank());
}

}  // namespace stylex
