// A procedural data set with known ground truth: aligned, anti-aliased faces drawn from ten
// factors, which are independent unless correlated in pairs.
//
// An image is a function of its factors alone, so an intervention on a factor is exact: the image
// is drawn again with that factor changed. Stateless, thread-safe.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_DRAWN_FACE_H_
#define STYLEX_TRAINER_STUDY_TRUTH_DRAWN_FACE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "image/bitmap.h"

namespace stylex {

inline constexpr size_t kWorldFactors = 10;

struct WorldFactor {
  absl::string_view name;
  bool binary;              // 0 or 1 in the data; values between are half transparent
  absl::string_view grows;  // what a greater value means
};
inline constexpr std::array<WorldFactor, kWorldFactors> kWorldFactorList = {{
    {"skin", false, "lighter skin"},
    {"hair", false, "whiter hair"},
    {"brows", false, "thicker brows"},
    {"glasses", true, "glasses"},
    {"wrinkles", false, "deeper wrinkles"},
    {"mouth", false, "a wider open mouth"},
    {"beard", false, "a fuller beard"},
    {"eyes", false, "wider open eyes"},
    {"background", false, "a warmer background"},
    {"tag", true, "a tag in the corner"},
}};

// Each from 0 to 1, in the order of kWorldFactorList.
using WorldFactors = std::array<double, kWorldFactors>;

// Standard deviation of a factor in the data, where it is uniform in [0, 1], or 0 and 1 equally
// often.
double WorldDeviation(size_t factor);

// Factors of face `number` of a seed; independent of which other faces are drawn. `correlation`, 0
// to 1, is that of each pair in the list: skin with hair, brows with glasses, and so on. The second
// of a pair is the first one's value with this probability, else independent of it; each for itself
// is distributed as without.
WorldFactors SampleWorld(uint64_t seed, int64_t number, double correlation = 0);

// [resolution, resolution, 3] in [0, 1], not rounded; resolution >= 16.
std::vector<float> DrawWorldExactly(const WorldFactors& factors, int resolution);
// The same in bytes.
Bitmap DrawWorld(const WorldFactors& factors, int resolution);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_DRAWN_FACE_H_
