#include "trainer/study/truth/label_rule.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace stylex {
namespace {

absl::Status Fault(const std::string& rule, absl::string_view what) {
  std::string names;
  for (const WorldFactor& factor : kWorldFactorList) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", factor.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("rule \"", rule, "\": ", what, "; expected none, or names out of ", names,
                   ", each at most once, with - in front where more of it speaks against class 1"));
}

}  // namespace

double WorldRule::Sum(const WorldFactors& factors) const {
  double sum = 0;
  for (size_t j = 0; j < kWorldFactors; ++j) {
    sum += signs[j] * (factors[j] - 0.5) / WorldDeviation(j);
  }
  return sum;
}

int WorldRule::Label(const WorldFactors& factors, double doubt, double uniform) const {
  const double sum = Sum(factors);
  return (doubt > 0 ? uniform < 1 / (1 + std::exp(-sum / doubt)) : sum > 0) ? 1 : 0;
}

absl::StatusOr<WorldRule> ParseWorldRule(const std::string& text) {
  WorldRule rule;
  if (text == "none") {
    return rule;
  }
  for (absl::string_view word : absl::StrSplit(text, ',')) {
    word = absl::StripAsciiWhitespace(word);
    const int sign = absl::ConsumePrefix(&word, "-") ? -1 : 1;
    const auto found = std::find_if(kWorldFactorList.begin(), kWorldFactorList.end(),
                                    [&](const WorldFactor& factor) { return factor.name == word; });
    if (found == kWorldFactorList.end()) {
      return Fault(text, absl::StrCat("there is no factor \"", word, "\""));
    }
    int& entry = rule.signs[static_cast<size_t>(found - kWorldFactorList.begin())];
    if (entry != 0) {
      return Fault(text, absl::StrCat("\"", word, "\" is there twice"));
    }
    entry = sign;
  }
  return rule;
}

}  // namespace stylex
