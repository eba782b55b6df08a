#include "explain/components.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"

namespace stylex {
namespace {

constexpr int kMaxSweeps = 100;
constexpr double kLeastAngle = 1e-8;
constexpr int64_t kImagesPerComponent = 10;
// Variance along a direction, as a share of the greatest, below which it is considered rounding
// error.
constexpr double kLeastVariance = 1e-9;

// The cumulant matrices Q_pq of white data, p <= q, weighted so that they count as both Q_pq and
// Q_qp: [K (K + 1) / 2, K, K].
torch::Tensor CumulantMatrices(const torch::Tensor& white) {
  const int64_t images = white.size(0), k = white.size(1);
  std::vector<torch::Tensor> matrices;
  for (int64_t p = 0; p < k; ++p) {
    for (int64_t q = 0; q <= p; ++q) {
      const torch::Tensor product = white.select(1, p) * white.select(1, q);
      torch::Tensor matrix =
          torch::matmul((white * product.unsqueeze(1)).t(), white) / static_cast<double>(images);
      matrix[p][q] -= 1;
      matrix[q][p] -= 1;
      if (p == q) {
        matrix -= torch::eye(k, matrix.options());
      }
      matrices.push_back(matrix * (p == q ? 1 : std::sqrt(2.0)));
    }
  }
  return torch::stack(matrices);
}

// The rotation angle in the plane of axes p and q that brings all matrices together nearest to
// diagonal.
double JacobiAngle(const torch::Tensor& matrices, int64_t p, int64_t q) {
  const torch::Tensor difference =
      matrices.select(1, p).select(1, p) - matrices.select(1, q).select(1, q);
  const torch::Tensor outside =
      matrices.select(1, p).select(1, q) + matrices.select(1, q).select(1, p);
  const double on = (difference.dot(difference) - outside.dot(outside)).item<double>();
  const double off = 2 * difference.dot(outside).item<double>();
  return 0.5 * std::atan2(off, on + std::sqrt(on * on + off * off));
}

// Rotates two rows (or columns) of a tensor in their plane.
void Turn(torch::Tensor a, torch::Tensor b, double angle) {
  const torch::Tensor turned = std::cos(angle) * a + std::sin(angle) * b;
  b.copy_(std::cos(angle) * b - std::sin(angle) * a);
  a.copy_(turned);
}

struct Principal {
  torch::Tensor variance;   // [L], greatest first
  torch::Tensor direction;  // [L, L], one unit vector per row
};

Principal PrincipalDirections(const torch::Tensor& centred) {
  const torch::Tensor covariance =
      torch::matmul(centred.t(), centred) / static_cast<double>(centred.size(0));
  const auto [values, vectors] = torch::linalg_eigh(covariance);
  return {values.flip(0).clamp_min(0), vectors.t().flip(0).contiguous()};
}

// Number of principal directions that together have `share` of the variance.
int64_t CountFor(const torch::Tensor& variance, double share) {
  const torch::Tensor reached = variance.cumsum(0) / variance.sum();
  return std::min(reached.lt(share).sum().item<int64_t>() + 1, variance.size(0));
}

absl::Status CheckCount(int64_t count, int64_t images, const torch::Tensor& variance) {
  const int64_t varying = variance.gt(variance[0] * kLeastVariance).sum().item<int64_t>();
  if (count < 1 || count > std::min(varying, kMaxComponents)) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " components asked for; the latents of these images vary along ",
                     varying, " directions, and at most ", kMaxComponents, " can be searched"));
  }
  if (images < count * kImagesPerComponent) {
    return absl::InvalidArgumentError(absl::StrCat(images, " images for ", count,
                                                   " components; it takes at least ",
                                                   count * kImagesPerComponent));
  }
  return absl::OkStatus();
}

}  // namespace

torch::Tensor IndependentRotation(const torch::Tensor& white) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor data = white.to(torch::kCPU, torch::kFloat64);
  const int64_t k = data.size(1);
  torch::Tensor matrices = CumulantMatrices(data);
  torch::Tensor rotation = torch::eye(k, data.options());
  double greatest = 1;
  for (int sweep = 0; sweep < kMaxSweeps && greatest > kLeastAngle; ++sweep) {
    greatest = 0;
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t q = p + 1; q < k; ++q) {
        const double angle = JacobiAngle(matrices, p, q);
        if (std::abs(angle) > kLeastAngle) {
          greatest = std::max(greatest, std::abs(angle));
          Turn(matrices.select(1, p), matrices.select(1, q), angle);
          Turn(matrices.select(2, p), matrices.select(2, q), angle);
          Turn(rotation[p], rotation[q], angle);
        }
      }
    }
  }
  return rotation;
}

absl::StatusOr<Components> FindComponents(const torch::Tensor& latents, int64_t condition_size,
                                          const ComponentOptions& options) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor data = latents.to(torch::kCPU, torch::kFloat64);
  const int64_t length = data.size(1), w_size = length + condition_size;
  const torch::Tensor mean = data.mean(0);
  const torch::Tensor centred = data - mean;
  const Principal principal = PrincipalDirections(centred);
  const int64_t count =
      options.count > 0 ? options.count : CountFor(principal.variance, options.variance);
  if (absl::Status status = CheckCount(count, data.size(0), principal.variance); !status.ok()) {
    return status;
  }
  const torch::Tensor deviation = principal.variance.narrow(0, 0, count).sqrt().unsqueeze(1);
  const torch::Tensor first = principal.direction.narrow(0, 0, count);
  const torch::Tensor rotation =
      IndependentRotation(torch::matmul(centred, (first / deviation).t()));
  torch::Tensor directions = torch::matmul(rotation, first * deviation);  // [count, L]
  const torch::Tensor strongest =
      std::get<1>(directions.norm(2, 1).sort(/*dim=*/0, /*descending=*/true));
  directions = directions.index_select(0, strongest);
  const torch::Tensor greatest =
      directions.gather(1, std::get<1>(directions.abs().max(1, /*keepdim=*/true)));
  directions = directions * greatest.sign();

  Components components;
  components.count = count;
  components.variance =
      (principal.variance.narrow(0, 0, count).sum() / principal.variance.sum()).item<double>();
  torch::Tensor basis = torch::eye(w_size, data.options());
  basis.narrow(0, 0, length)
      .narrow(1, 0, length)
      .copy_(torch::cat({directions, principal.direction.narrow(0, count, length - count)}));
  const torch::Tensor readout = torch::linalg_inv(basis);
  const torch::Tensor values =
      torch::matmul(centred, readout.narrow(0, 0, length).narrow(1, 0, count));
  components.kurtosis =
      (values.pow(4).mean(0) / values.square().mean(0).square() - 3).to(torch::kFloat32);
  components.basis = {
      torch::cat({mean, torch::zeros({condition_size}, data.options())}).to(torch::kFloat32),
      basis.to(torch::kFloat32), readout.to(torch::kFloat32)};
  return components;
}

}  // namespace stylex
