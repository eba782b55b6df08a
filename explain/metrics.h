// Measures of reconstruction and counterfactual quality, and confidence intervals of rates.
#ifndef STYLEX_EXPLAIN_METRICS_H_
#define STYLEX_EXPLAIN_METRICS_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace stylex {

// All take images [N, C, H, W] in [-1, 1] and return one value per image, [N] float32.
torch::Tensor L1PerImage(const torch::Tensor& a, const torch::Tensor& b);
// 10 log10(4 / mean squared error), in dB; 100 where the images are equal.
torch::Tensor PsnrPerImage(const torch::Tensor& a, const torch::Tensor& b);
// Structural similarity (Wang et al. 2004): Gaussian window 11x11 of sigma 1.5, K1 0.01, K2 0.03,
// dynamic range 2, mean over the windows that lie inside the image and over channels.
torch::Tensor SsimPerImage(const torch::Tensor& a, const torch::Tensor& b);
// KL(softmax(p_logits) || softmax(q_logits)) in nats: [N, K], [N, K] -> [N].
torch::Tensor KlPerImage(const torch::Tensor& p_logits, const torch::Tensor& q_logits);

// The share of pixels that differ by more than `threshold` in at least one channel: [N] float32.
torch::Tensor ChangedAreaPerImage(const torch::Tensor& a, const torch::Tensor& b, double threshold);

// How steeply the pixels change: the mean over channels and pixels (but for the last row and
// column) of sqrt(dx^2 + dy^2), dx and dy the differences from the next pixel to the right and
// below. [N] float32. What a reconstruction has of its photograph's, in all images together, is its
// sharpness.
torch::Tensor GradientPerImage(const torch::Tensor& images);

// Small parts: pixels of what stands out from its surroundings, being narrower than a ninth of the
// side or so. With a square window of side w = 2 round(W / 18) + 1 (W: the shorter side; 5 of 32
// pixels, 9 of 64), a pixel is part of something small and light where it is more than kStandsOut
// above the opening of its channel (the greatest minimum of the windows that hold it), of something
// small and dark where it is as much below the closing (the smallest maximum); pixels outside the
// image do not count. Edges of greater things, however steep, are none. {light, dark}: [N, C, H, W]
// of 0 and 1 each.
inline constexpr double kStandsOut = 0.2;  // a tenth of [-1, 1]
struct SmallParts {
  torch::Tensor light;
  torch::Tensor dark;

  // The share of pixels that are part of something small in some channel: [N] float32.
  torch::Tensor AreaPerImage() const;
};
SmallParts FindSmallParts(const torch::Tensor& images);
// The share of all pixels that are small parts of `original` in some channel and have a pixel of
// the same kind and channel in `drawn` among them and their eight neighbours: [N] float32.
torch::Tensor FoundAreaPerImage(const SmallParts& original, const SmallParts& drawn);

// COUT (Khorram and Fuxin 2022), in [-1, 1]: the pixels of `from` [1, C, H, W] are replaced by
// those of `to` in `steps` steps, those that differ most first; the area under the curve of the
// target's probability minus the area under that of the originally decided class. High if few
// pixels are responsible for the change. `logits` maps [N, C, H, W] to [N, K].
double Cout(const std::function<torch::Tensor(const torch::Tensor&)>& logits,
            const torch::Tensor& from, const torch::Tensor& to, int64_t decided, int64_t target,
            int64_t steps = 50);

// Rank correlation with mean ranks for ties; none if all values of one side are equal.
std::optional<double> Spearman(const std::vector<double>& a, const std::vector<double>& b);

// The median of every pixel and its eight neighbours in its channel; the border's pixels are
// repeated beyond it. What is as small as one pixel is gone. [N, C, H, W] -> the same.
torch::Tensor MedianOf3x3(const torch::Tensor& images);

struct Interval {
  double low = 0;
  double high = 0;
};
// Wilson's 95 % interval of a rate; {0, 1} for no trials.
Interval WilsonInterval(int64_t successes, int64_t trials);

// Percentile bootstrap: the 95 % interval of sum(numerators) / sum(denominators) over images, each
// of which has one of both, from 1,000 samples drawn with the seed; with denominators of 1 that of
// a mean. {0, 0} for no images.
Interval BootstrapInterval(const std::vector<double>& numerators,
                           const std::vector<double>& denominators, uint64_t seed);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_METRICS_H_
