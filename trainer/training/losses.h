// The losses of StylEx (Lang et al. 2021, §3.1): each takes tensors and returns an unweighted
// scalar.
#ifndef STYLEX_TRAINER_TRAINING_LOSSES_H_
#define STYLEX_TRAINER_TRAINING_LOSSES_H_

#include <torch/types.h>

#include <vector>

namespace stylex {

// Non-saturating logistic GAN loss; scores [N].
torch::Tensor DiscriminatorLoss(const torch::Tensor& real_scores, const torch::Tensor& fake_scores);
// Its counterpart: scalar.
torch::Tensor GeneratorLoss(const torch::Tensor& fake_scores);

// The relativistic pairing loss (Jolicoeur-Martineau 2019; R3GAN): softplus(-(winner - loser))
// where every score is to beat that of its partner. The discriminator's: real before fake; the
// generator's: fake before real. Scores [N].
torch::Tensor RelativisticLoss(const torch::Tensor& winners, const torch::Tensor& losers);

// Mean over depths of the L1 between a discriminator's activations (pix2pixHD's feature matching).
torch::Tensor FeatureMatchingLoss(const std::vector<torch::Tensor>& real,
                                  const std::vector<torch::Tensor>& fake);

// R1: mean over images of ||d score / d image||^2, summed over pixels. `images` must require a
// gradient and have been scored as `scores`. To be weighted by gamma / 2 (x interval when lazy).
torch::Tensor R1Penalty(const torch::Tensor& images, const torch::Tensor& scores);

// Path length (StyleGAN2 §3.2). latents [N, L, D] must have made `images`; `noise` is N(0, 1) of
// the images' shape. Updates `mean_length` (scalar, exponential average with rate 0.01) and returns
// mean((length - mean_length)^2).
torch::Tensor PathLengthPenalty(const torch::Tensor& images, const torch::Tensor& latents,
                                const torch::Tensor& noise, torch::Tensor* mean_length);

// Mean absolute difference.
torch::Tensor L1Loss(const torch::Tensor& a, const torch::Tensor& b);

// Mean squared difference.
torch::Tensor L2Loss(const torch::Tensor& a, const torch::Tensor& b);

// How much each pixel of photographs [N, C, H, W] differs from its surroundings: the mean over
// channels of |x - blur(x)|, blur the binomial filter of 5x5 with mirrored edges. [N, 1, H, W].
torch::Tensor LocalContrast(const torch::Tensor& images);

// Mean over images of the mean of the largest tenth of the pixels' errors, a pixel's error being
// the mean over channels of |a - b|.
torch::Tensor HardestPixelsLoss(const torch::Tensor& a, const torch::Tensor& b);

// L1 of the Laplacian pyramids of a and b: levels 0, 1, 2 (from fine to coarse) are what the
// binomial filter of 5x5 takes away, each level's image being the filtered one of the level before,
// every second pixel; weights 1, 2 and 4 (Bojanowski et al. 2018). At least 16x16 pixels.
torch::Tensor LaplacianLoss(const torch::Tensor& a, const torch::Tensor& b);

// `images` filtered by the outer product of [1 4 6 4 1] / 16 with itself, edges mirrored.
torch::Tensor BinomialBlur(const torch::Tensor& images);

// How much the local strength of fine structure differs, wherever in detail it stands: the root of
// the mean square, over 6x6 pixels every third pixel, of the differences between neighbours in four
// directions; L1 of a's and b's, mean over the directions, summed over the images and those of half
// the size (BinomialBlur, every second pixel). At least 16x16 pixels. After the local energies of
// oriented filters that describe textures (Portilla and Simoncelli 2000).
torch::Tensor TextureLoss(const torch::Tensor& a, const torch::Tensor& b);

// Strength of the fine structure (what BinomialBlur takes away) that all images of a batch have in
// common: of a pattern that is bound to places of the picture, such as a grid. 0 without fine
// structure; of N images of independent grain 1 / sqrt(N) of its strength.
torch::Tensor PlaceBoundTexture(const torch::Tensor& images);

// L1Loss of the differences between neighbouring pixels: horizontal plus vertical. [N, C, H, W].
torch::Tensor DifferencesLoss(const torch::Tensor& a, const torch::Tensor& b);

// Mean over depths of the L1 distance between classifier activations, after each position's channel
// vector is scaled to unit mean square: a perceptual distance measured by the explained network.
torch::Tensor PerceptualLoss(const std::vector<torch::Tensor>& real,
                             const std::vector<torch::Tensor>& fake);

// KL(softmax(real_logits) || softmax(fake_logits)): sum over classes, mean over images.
torch::Tensor KlLoss(const torch::Tensor& real_logits, const torch::Tensor& fake_logits);

// KL(N(means, exp(log_deviations)^2) || N(0, 1)) in nats: sum over dimensions, mean over images.
// means [N, D], log_deviations [D] (Kingma and Welling 2014, with one variance for all images).
torch::Tensor LatentKl(const torch::Tensor& means, const torch::Tensor& log_deviations);

// Mean over style coordinates of the root mean square, over images, of how far each was moved.
// changes [N, S]. A group lasso: coordinates whose moves have little effect stop moving, and their
// role passes to fewer, stronger ones.
torch::Tensor MoveSparsity(const torch::Tensor& changes);

}  // namespace stylex

#endif  // STYLEX_TRAINER_TRAINING_LOSSES_H_
