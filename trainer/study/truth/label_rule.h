// The rule that labels the drawn faces; the tested methods do not see it.
#ifndef STYLEX_TRAINER_STUDY_TRUTH_LABEL_RULE_H_
#define STYLEX_TRAINER_STUDY_TRUTH_LABEL_RULE_H_

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/study/truth/drawn_face.h"

namespace stylex {

inline constexpr char kDefaultRule[] = "hair,glasses,-mouth";

// The sum of the rule's factors, each centred and in units of its standard deviation, with its
// sign.
struct WorldRule {
  std::array<int, kWorldFactors> signs{};  // +1, -1; 0: the rule ignores the factor

  double Sum(const WorldFactors& factors) const;
  // Class 1 where the sum is positive, else class 0. With `doubt` greater than 0 labels are drawn:
  // class 1 with probability sigmoid(sum / doubt), by `uniform` in [0, 1).
  int Label(const WorldFactors& factors, double doubt = 0, double uniform = 0.5) const;
  // Ignores every factor.
  bool none() const { return signs == std::array<int, kWorldFactors>{}; }
};

// "hair,glasses,-mouth": names of factors, with - where a greater value is evidence against class
// 1. "none": labels are independent of the faces, for null checks. INVALID_ARGUMENT for an unknown
// or repeated name, naming those that there are.
absl::StatusOr<WorldRule> ParseWorldRule(const std::string& text);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_TRUTH_LABEL_RULE_H_
