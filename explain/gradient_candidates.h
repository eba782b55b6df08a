// Which moves gradients predict to bring an image closest to the target: a first guess, to be
// checked by exact passes.
#ifndef STYLEX_EXPLAIN_GRADIENT_CANDIDATES_H_
#define STYLEX_EXPLAIN_GRADIENT_CANDIDATES_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "base/core_budget.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

// For each of N images (styles [N, ...]) the `count` of its list in `among` that the first-order
// effect on logit(target) - greatest other logit ranks highest, best first: gradient x shift x
// distance to the extreme. One forward and backward pass for all. Thread-safe; must not be called
// in LibTorch's inference mode.
std::vector<std::vector<Coordinate>> RankByGradient(const Stylex& model, const StyleVectors& styles,
                                                    const StyleRanges& ranges,
                                                    std::vector<std::vector<Coordinate>> among,
                                                    int64_t target, double shift, int64_t count,
                                                    const CoreBudget* cores = nullptr);

// The `count` moves that first-order effects rank highest for raising logit(target) - greatest
// other logit, best first: gradient x shift x distance to the extreme, where the gradient is the
// mean of two, at the image itself and with the strongest coordinate moved halfway. Each coordinate
// appears in its better direction only, and only if a gain is predicted, so there may be fewer.
// Costs two forward and backward passes; the result is an estimate to be verified by exact passes.
// Thread-safe; must not be called in LibTorch's inference mode.
std::vector<Coordinate> GradientCandidates(const Stylex& model, const StyleVectors& styles,
                                           const StyleRanges& ranges, int64_t target, double shift,
                                           int64_t count, const CoreBudget* cores = nullptr);

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_GRADIENT_CANDIDATES_H_
