// What logits decide: margin, runner-up, and the logits of many images.
#ifndef STYLEX_EXPLAIN_DECISIONS_H_
#define STYLEX_EXPLAIN_DECISIONS_H_

#include <torch/types.h>

#include <cstdint>

#include "models/stylex.h"

namespace stylex {

// The margin, positive after a flip: logit(target) - greatest other logit, [..., K] -> [...].
// Differentiable.
torch::Tensor MarginOf(const torch::Tensor& logits, int64_t target);

// The second most likely class of each image: [..., K] -> [...], int64.
torch::Tensor RunnersUp(const torch::Tensor& logits);
// Of one image, [K] or [1, K].
int64_t RunnerUp(const torch::Tensor& logits);

// Images drawn or classified at a time.
inline constexpr int64_t kDrawBatch = 64;
// Logits of the images of styles [N, ...], `batch` images at a time: [N, K] on the CPU.
torch::Tensor LogitsOf(const Stylex& model, const StyleVectors& styles, int64_t batch = kDrawBatch);

// What a counterfactual must reach.
struct Goal {
  int64_t target = 0;
  // Least probability of the target, 0 to 1; 0: only the decision counts.
  double probability = 0;
  // Divides logits for the probability.
  double temperature = 1;
  // Logits by which both must be exceeded at least, so that the last bits of another pass cannot
  // undo them.
  double least_excess = 0;
};

// log(p / (1 - p)) of the class's probability p, with logits divided by the temperature:
// [..., K] -> [...], float64.
torch::Tensor LogOddsOf(const torch::Tensor& logits, int64_t target, double temperature);
// How promising images are on the way to the goal, higher is better: the margin, or where a
// probability is asked for its log-odds. [..., K] -> [...].
torch::Tensor ScoreOf(const torch::Tensor& logits, const Goal& goal);
// By how much the goal is exceeded, at least 0 where it is reached, in logits: the margin, or the
// smaller of margin and distance of the log-odds. [K].
double ExcessOf(const torch::Tensor& logits, const Goal& goal);
// [K].
bool Reaches(const torch::Tensor& logits, const Goal& goal);

// Logits of margin to be left after another compression, as no two encoders write the same file.
inline constexpr double kSurvivingMargin = 0.5;
// Logits of an image [1, C, R, R], as a file holds it, after one more compression to JPEG of
// quality 90: with colours at half the resolution, as most programs write it (4:2:0), and with all
// colours (4:4:4). [2, K] on the CPU; classifies two images.
torch::Tensor RecompressedLogits(const Stylex& model, const torch::Tensor& image);
// The least margin of several images, [N, K].
double LeastMargin(const torch::Tensor& logits, int64_t target);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_DECISIONS_H_
