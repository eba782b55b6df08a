// Flip rates by two protocols, for AttFind, the baseline and the controls (StylEx, Lang et al.
// 2021, §4.2; Table 2 of the replication study, Bosch et al. 2022). For a plain StyleGAN2, images
// drawn from z that the search has not seen replace encoded ones.
#ifndef STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_
#define STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/exemplar_baseline.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/oracle.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {

// The method that chose the coordinates to move.
enum class Method { kNothing, kRandom, kExemplars, kAttFind, kJoint };
// Methods that use one list for all images; kJoint searches on each image.
inline constexpr std::array<Method, 4> kListMethods = {Method::kNothing, Method::kRandom,
                                                       Method::kExemplars, Method::kAttFind};
std::string NameOf(Method method);   // "nothing", "random", "wu", "attfind", "joint"
std::string TitleOf(Method method);  // for tables

inline constexpr int64_t kMovedAtOnce = 10;

// The replication study's single list for two classes, by mean effect: the attributes of class 0,
// and those of class 1 with opposite direction unless their coordinate is already listed; for class
// 1 the same list with opposite directions. (The study adds up both classes' effects over all
// images, which an index does not store.)
ClassLists JoinedLists(const v1::AttributeIndex& index);
// The list towards the first class, and its opposite directions for the second.
ClassLists TurnedRound(const std::vector<Coordinate>& towards_first);

struct ProtocolOptions {
  uint64_t seed = 1;
  int64_t repeats = 10;            // table 2 alone
  int64_t images = 1000;           // per repeat; held out: 0 means all
  int64_t population = 380;        // training images that exemplars are taken from
  ExemplarOptions exemplars = {};  // of the baseline; `max_attributes` is kMovedAtOnce
  // For HeldOut only: the joint search (its `images` is ignored); none: without kJoint.
  std::optional<FlipOptions> search = FlipOptions();
};

struct RepeatedRate {
  std::vector<double> rates;  // one per repeat
  double mean = 0;
  double deviation = 0;             // population's, as in the study
  std::vector<std::string> doubts;  // see Doubts
};

// Why the figures of a method do not say what they seem to, in sentences for below a table: a list
// that is empty, so that nothing was moved, and the reason; repeats that all have the same images.
using Doubts = std::map<Method, std::vector<std::string>>;

// The study's exact protocol: each repeat draws new training images and takes the extremes over
// these; the original image is unclamped and the changed one clamped, each with its own noise; the
// first ten coordinates of the list are moved to their extremes at once; a flip is any change of
// the decision. Exemplars are those of class 0, and their list with opposite directions is used for
// the other class; with more than two classes, which the study does not cover, each class has its
// own list and the target is the runner-up. FAILED_PRECONDITION without an attribute index.
absl::StatusOr<std::map<Method, RepeatedRate>> Table2(const Checkpoint& checkpoint,
                                                      const Dataset& dataset,
                                                      const ProtocolOptions& options,
                                                      Progress* progress);

inline constexpr std::array<int64_t, 4> kCounts = {1, 3, 5, 10};

struct HeldOutOracle {
  std::string name;
  int64_t agreeing = 0;  // reconstructions on which it agrees with the explained classifier
  // Those of HeldOutFigures::flips whose changed image it also classifies as the target.
  std::map<Method, std::array<int64_t, kCounts.size()>> convinced;
};

struct HeldOutFigures {
  int64_t images = 0;
  Doubts doubts;
  // Reconstructions decided otherwise than the photograph; none where there are no photographs.
  std::optional<int64_t> reconstruction_flips;
  // flips[method][i]: images whose decision becomes the runner-up with the first kCounts[i] moved;
  // kJoint: with at most that many, chosen for the image.
  std::map<Method, std::array<int64_t, kCounts.size()>> flips;
  std::vector<HeldOutOracle> oracles;
};

// The recommended protocol: validation images, the index's extremes (over training images), fixed
// noise, all images clamped and of 8 bits a sample, starting from the decision on the
// reconstruction. Lists are those of the target class; exemplars come from training images.
absl::StatusOr<HeldOutFigures> HeldOut(const Checkpoint& checkpoint, const Dataset& dataset,
                                       const std::vector<Oracle>& oracles,
                                       const ProtocolOptions& options, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_
