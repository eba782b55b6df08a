// Independent directions of the latent, to be searched instead of the channels of the convolutions.
//
// A channel's style is one row of an affine layer: some mixture of whatever the latent holds, and
// nothing in StylEx's losses makes it one thing. What varies independently in the images, though,
// varies independently along some directions of the latent, if the latent holds it linearly, and
// these can be found without labels: principal components for the subspace, then the rotation that
// makes its coordinates as independent as fourth-order statistics can tell (JADE; Cardoso and
// Souloumiac 1993). Directions along which the images are normally distributed cannot be told
// apart by any such statistics, and those that carry hardly any variance are noise: they are left
// out of the search.
#ifndef STYLEX_EXPLAIN_COMPONENTS_H_
#define STYLEX_EXPLAIN_COMPONENTS_H_

#include <torch/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "models/networks/generator.h"

namespace stylex {

inline constexpr int64_t kMaxComponents = 64;

struct ComponentOptions {
  // How many; 0: as many principal components as it takes for `variance` of the whole variance.
  int64_t count = 0;
  double variance = 0.97;
};

struct Components {
  LatentBasis basis;  // float32; the components come first, strongest first
  int64_t count = 0;
  double variance = 0;     // share of the latents' variance that they have
  torch::Tensor kurtosis;  // [count], excess: 0 if normal, -1.2 if uniform, -2 if one of two values
};

// latents: [N, L] of N images; behind them w has `condition_size` more values, which stay
// coordinates of their own and are not searched. A component is scaled to a standard deviation of 1
// over the images, its sign so that its greatest weight is positive. INVALID_ARGUMENT when there
// are fewer images than ten times the components, or more components than the latents vary along or
// than kMaxComponents.
absl::StatusOr<Components> FindComponents(const torch::Tensor& latents, int64_t condition_size,
                                          const ComponentOptions& options);

// The rotation R [K, K] that makes the columns of white [N, K] R^T as independent as possible;
// `white` has mean 0 and covariance 1. Joint diagonalisation of the fourth-order cumulants by
// Jacobi rotations, in float64.
torch::Tensor IndependentRotation(const torch::Tensor& white);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_COMPONENTS_H_
