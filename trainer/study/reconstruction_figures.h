// Figures of a trained explainer on held-out images: agreement and KL of the reconstruction, PSNR,
// SSIM (Wang et al. 2004), and flip rates (StylEx, Lang et al. 2021, §4.2).
#ifndef STYLEX_TRAINER_STUDY_RECONSTRUCTION_FIGURES_H_
#define STYLEX_TRAINER_STUDY_RECONSTRUCTION_FIGURES_H_

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/counterfactual.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"

namespace stylex {

struct ReconstructionFigures {
  int64_t images = 0;
  int64_t agreeing = 0;               // C(x) and C(G(E(x))) decide the same
  double median_kl = 0;               // nats
  double l1 = 0, psnr = 0, ssim = 0;  // means
  // Of all reconstructions together, over that of all photographs (explain/metrics.h): 1 is as
  // sharp as they are, or as much area in small parts; with less something was smoothed away. 0
  // where the photographs have none.
  double sharpness = 0, small_parts = 0;
  // Share of the photographs' small parts that have such a part at their place in the
  // reconstruction.
  double small_parts_found = 0;
  // Of each image, [N] on the CPU: what the means and shares above are made of.
  struct OfEachImage {
    torch::Tensor psnr, ssim;
    torch::Tensor gradient, drawn_gradient, parts, drawn_parts, found_parts;
  };
  OfEachImage each;
  std::optional<double> classifier_accuracy;  // of C against the labels, where there are any
  std::optional<double> constant_accuracy;    // of always answering the label that is commonest
  // By label, where there are any: images, of them decided rightly by C, and with C(x) =
  // C(G(E(x))).
  struct OfClass {
    int64_t images = 0, correct = 0, agreeing = 0;
  };
  std::vector<OfClass> classes;
  // The class that C decides most photographs as, and the share of these.
  int64_t commonest_decision = 0;
  double commonest_share = 0;
  torch::Tensor logits, labels;     // [N, K] and [N] of the images, on the CPU
  v1::ReconstructionErrors errors;  // how the images' errors are distributed
};

// The null check: whether the classifier's accuracy is not significantly above that of a constant
// answer (which the lower end of its Wilson 95 % interval does not exceed), as after training on
// shuffled labels, or none. What moves such a classifier says nothing about the classes. Where
// there are no labels, by the decisions alone: whether not surely more than kFewDecisions of them
// differ from the commonest, so that a picture of anything would be decided like nearly every
// photograph.
inline constexpr double kFewDecisions = 0.01;
bool NothingToExplain(const ReconstructionFigures& figures);

// Reconstructs the validation images and compares.
absl::StatusOr<ReconstructionFigures> EvaluateReconstruction(const Stylex& model,
                                                             const Dataset& dataset,
                                                             Progress* progress);

// How the moved attributes are chosen.
enum class Choice { kGlobalIndex, kStrongestSingles, kJoint, kRandom };
inline constexpr std::array<Choice, 4> kChoices = {Choice::kGlobalIndex, Choice::kStrongestSingles,
                                                   Choice::kJoint, Choice::kRandom};
std::string NameOf(Choice choice);  // "index", "singles", "joint", "random"

inline constexpr int64_t kMostAttributes = 10;

// Different coordinates, each with a direction, by chance; all there are if `count` is greater.
std::vector<Coordinate> RandomCoordinates(int64_t num_styles, int64_t count,
                                          std::mt19937_64* random);

struct FlipFigures {
  int64_t images = 0;
  int64_t agreeing = 0;
  // flips[choice][k - 1]: images whose decision becomes the target with at most k attributes moved.
  std::map<Choice, std::array<int64_t, kMostAttributes>> flips;
  // Images whose decision is the target with all kMostAttributes random coordinates moved at once.
  int64_t random_together = 0;
  // As `flips`, counting only images whose reconstruction is decided as the photograph is.
  std::map<Choice, std::array<int64_t, kMostAttributes>> agreeing_flips;
};

struct FlipOptions {
  int64_t images = 0;  // drawn with the seed; 0: the whole split
  uint64_t seed = 1;
  int workers = 1;
  // Strongest singles: number of moves per image, ranked by gradients, whose effects are computed
  // exactly.
  int64_t candidates = 96;
  // Joint search: moves tried at each step, ranked by gradients at the image as moved so far.
  int64_t joint_candidates = 32;
  // Joint search: width of the beam search that is used where the greedy search takes three moves
  // or more.
  int64_t beam = 8;
};

// The joint search as all measurements here use it: at most kMostAttributes moves, not minimised (a
// move weakened to the decision boundary would not transfer to other classifiers). styles: one
// image.
absl::StatusOr<CounterfactualResult> SearchJointly(const Stylex& model, const StyleVectors& styles,
                                                   const StyleRanges& ranges,
                                                   const ClassLists& index, int64_t target,
                                                   const FlipOptions& options);

// All decisions are on images of 8 bits a sample, as files hold them. The decision on the
// reconstruction is explained; the target is its runner-up, so nothing counts
// as flipped before something has been moved. A flip within k attributes means that the decision is
// the target after the first j <= k moves for some j.
absl::StatusOr<FlipFigures> EvaluateFlips(const Checkpoint& checkpoint, const Dataset& dataset,
                                          const FlipOptions& options, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_RECONSTRUCTION_FIGURES_H_
