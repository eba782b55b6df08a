// The percentile of an image's reconstruction error among held-out images. An image that is
// reconstructed worse than nearly all of them is probably unlike anything that the model was
// trained on.
#ifndef STYLEX_EXPLAIN_RECONSTRUCTION_ERRORS_H_
#define STYLEX_EXPLAIN_RECONSTRUCTION_ERRORS_H_

#include <torch/types.h>

#include <optional>

#include "stylex/v1/model_config.pb.h"

namespace stylex {

// Percentile beyond which an image is called unlike the training images.
inline constexpr double kUnlikeTraining = 99;

struct ReconstructionError {
  double l1 = 0;    // mean absolute difference of the pixels in [-1, 1]
  double ssim = 1;  // structural similarity
  double kl = 0;    // KL(C(x) || C(x^)) in nats
};

// The distribution of held-out images' errors: [N] each, N > 0.
v1::ReconstructionErrors DistributionOf(const torch::Tensor& l1, const torch::Tensor& ssim,
                                        const torch::Tensor& kl);

// Share of the held-out images whose worst of the three errors, by rank, is less bad than this
// image's worst, in per cent. None where the distribution is not known.
std::optional<double> PercentileOf(const v1::ReconstructionErrors& distribution,
                                   const ReconstructionError& error);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_RECONSTRUCTION_ERRORS_H_
