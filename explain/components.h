// Independent directions of the latent, which are searched instead of the convolutions' channels.
//
// A channel's style is one row of an affine layer, a mixture of whatever the latent encodes;
// nothing in StylEx's losses makes it a single factor. But factors that vary independently in the
// images, and that the latent encodes linearly, vary independently along some directions of the
// latent. These are found without labels: principal components give the subspace, then a rotation
// makes its coordinates as independent as fourth-order statistics allow (JADE; Cardoso and
// Souloumiac 1993). Directions along which the images are normally distributed cannot be separated
// by such statistics, and those with hardly any variance are noise: both are left out of the
// search.
#ifndef STYLEX_EXPLAIN_COMPONENTS_H_
#define STYLEX_EXPLAIN_COMPONENTS_H_

#include <torch/types.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "models/networks/generator.h"

namespace stylex {

inline constexpr int64_t kMaxComponents = 64;

struct ComponentOptions {
  // Number of components; 0: as many principal components as are needed for `variance` of the total
  // variance.
  int64_t count = 0;
  double variance = 0.97;
};

struct Components {
  LatentBasis basis;  // float32; the components come first, strongest first
  int64_t count = 0;
  double variance = 0;     // their share of the latents' variance
  torch::Tensor kurtosis;  // [count], excess: normal 0, uniform -1.2, two values -2
};

// latents: [N, L] of N images; w has `condition_size` further values, which remain separate
// coordinates and are not searched. A component is scaled to a standard deviation of 1 over the
// images, with the sign that makes its greatest weight positive. INVALID_ARGUMENT when there are
// fewer images than ten times the components, or when `count` exceeds the number of directions with
// variance or kMaxComponents.
absl::StatusOr<Components> FindComponents(const torch::Tensor& latents, int64_t condition_size,
                                          const ComponentOptions& options);

// The rotation R [K, K] that makes the columns of white [N, K] R^T as independent as possible;
// `white` has mean 0 and covariance 1. Joint diagonalisation of the fourth-order cumulants by
// Jacobi rotations, in float64.
torch::Tensor IndependentRotation(const torch::Tensor& white);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_COMPONENTS_H_
