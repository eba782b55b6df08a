// Flip rates by two protocols, for AttFind, the baseline and the controls (StylEx §4.2; the
// replication study's Table 2; algorithms §7.2). Of a plain StyleGAN2, images of z's that the
// search has not seen take the place of encoded ones.
#ifndef STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_
#define STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/checkpoint.h"
#include "trainer/data/dataset.h"
#include "trainer/data/progress.h"
#include "trainer/study/oracle.h"
#include "trainer/study/reconstruction_figures.h"

namespace stylex {

// Who chose what is moved.
enum class Method { kNothing, kRandom, kExemplars, kAttFind, kJoint };
// Those with a list that serves all images; kJoint searches on each.
inline constexpr std::array<Method, 4> kListMethods = {Method::kNothing, Method::kRandom,
                                                       Method::kExemplars, Method::kAttFind};
std::string NameOf(Method method);   // "nothing", "random", "wu", "attfind", "joint"
std::string TitleOf(Method method);  // for tables

inline constexpr int64_t kMovedAtOnce = 10;

// The replication study's one list for two classes: the attributes of class 0, and those of class 1
// turned round unless their coordinate is there already, by mean effect; for class 1 the same list
// turned round. (The study adds up both classes' effects over all images, which an index does not
// keep.)
ClassLists JoinedLists(const v1::AttributeIndex& index);
ClassLists TurnedRound(const std::vector<Coordinate>& towards_first);

struct ProtocolOptions {
  uint64_t seed = 1;
  int64_t repeats = 10;      // table 2 alone
  int64_t images = 1000;     // a repeat; held out: 0 is all
  int64_t population = 380;  // training images that exemplars are taken from
  // Held out alone: the joint search, its `images` not used; none: without kJoint.
  std::optional<FlipOptions> search = FlipOptions();
};

struct RepeatedRate {
  std::vector<double> rates;  // one a repeat
  double mean = 0;
  double deviation = 0;  // the population's, as the study has it
};

// The study's protocol to the letter: in each repeat, training images drawn anew; extremes over
// these; the image unclamped and the changed one clamped, each with noise of its own; the first ten
// of the list moved to the extremes at once; a flip is any change of the decision. Exemplars are
// the images of class 0 with a probability over 0.9, their list turned round serves the other way;
// with more than two classes, where the study says nothing, each class has its own list and the
// target is the runner-up. FAILED_PRECONDITION without an attribute index.
absl::StatusOr<std::map<Method, RepeatedRate>> Table2(const Checkpoint& checkpoint,
                                                      const Dataset& dataset,
                                                      const ProtocolOptions& options,
                                                      Progress* progress);

inline constexpr std::array<int64_t, 4> kCounts = {1, 3, 5, 10};

struct HeldOutOracle {
  std::string name;
  int64_t agreeing = 0;  // reconstructions that it decides as the explained classifier does
  // Of HeldOutFigures::flips those whose changed image it decides as the target, too.
  std::map<Method, std::array<int64_t, kCounts.size()>> convinced;
};

struct HeldOutFigures {
  int64_t images = 0;
  // Decided otherwise than the photograph, nothing moved; none where there are no photographs.
  std::optional<int64_t> reconstruction_flips;
  // flips[method][i]: images whose decision becomes the runner-up with the first kCounts[i] moved;
  // kJoint: with at most so many, chosen for the image.
  std::map<Method, std::array<int64_t, kCounts.size()>> flips;
  std::vector<HeldOutOracle> oracles;
};

// The protocol that we believe in: validation images, the index's extremes (over training images),
// fixed noise, all images clamped, the decision on the reconstruction as the start. Lists are those
// of the target class; exemplars come from training images.
absl::StatusOr<HeldOutFigures> HeldOut(const Checkpoint& checkpoint, const Dataset& dataset,
                                       const std::vector<Oracle>& oracles,
                                       const ProtocolOptions& options, Progress* progress);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_FLIP_PROTOCOLS_H_
