// The baseline that StylEx is compared with (Wu et al. 2021, "StyleSpace Analysis", as implemented
// by the replication study, Bosch et al. 2022): a coordinate is relevant to a class when the
// class's most certain images all deviate from the population's mean to the same side. No image is
// changed or classified.
#ifndef STYLEX_EXPLAIN_EXEMPLAR_BASELINE_H_
#define STYLEX_EXPLAIN_EXEMPLAR_BASELINE_H_

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"

namespace stylex {

struct ExemplarOptions {
  // Exemplars of the class: images whose probability of it is greater than this,
  double probability = 0.9;
  // or, when this is not 0, this share of all images: those with the greatest probability of the
  // class.
  double share = 0;
  int64_t max_attributes = 10;
};

// "0.9": images with a greater probability (the replication study, §3.6); "2%": the top share (Wu
// et al.'s own choice, as the study tells it there). INVALID_ARGUMENT for anything else.
absl::StatusOr<ExemplarOptions> ParseExemplars(const std::string& text);
// Text for reports: "a probability over 0.9", "the top 2 %".
std::string NameOf(const ExemplarOptions& options);

struct ExemplarAttribute {
  Coordinate coordinate;  // towards the side of the exemplars
  double relevance = 0;   // |mean| / deviation of the exemplars' normalised differences
};

// conv_styles: [N, S] of a population; logits: [N, K] of its images. Differences are normalised by
// the population's mean and (biased) standard deviation; the exemplars' deviation is biased too.
// Sorted by relevance; coordinates that do not vary, in the population or among the exemplars, are
// left out. FAILED_PRECONDITION if there are fewer than two exemplars.
absl::StatusOr<std::vector<ExemplarAttribute>> ExemplarAttributes(const torch::Tensor& conv_styles,
                                                                  const torch::Tensor& logits,
                                                                  int64_t target,
                                                                  const ExemplarOptions& options);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_EXEMPLAR_BASELINE_H_
