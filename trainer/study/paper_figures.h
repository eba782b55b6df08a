// The paper's figures for a model: photographs beside their reconstructions (Figure 2), and each
// class's first attributes moved in both directions (Figures 4 to 6 and 9), with the classifier's
// probabilities.
#ifndef STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
#define STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_

#include <cstdint>
#include <vector>

#include "explain/style_space.h"
#include "image/bitmap.h"
#include "models/stylex.h"
#include "stylex/v1/attribute_index.pb.h"

namespace stylex {

// One column per image: photograph, reconstruction, and the decision on each with its probability.
// photographs[i] belongs to image i of the styles, at the network's resolution.
Bitmap DrawReconstructions(const Stylex& model, const std::vector<Bitmap>& photographs,
                           const StyleVectors& styles);

// One row for each of the first `attributes` attributes of `entry`: each image of `styles` moved to
// the attribute's minimum, unchanged, and moved to the maximum (`shift` 1), with the probability of
// the entry's class underneath. The direction that raises the class is underlined.
Bitmap DrawAttributes(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                      const v1::ClassAttributes& entry, int64_t attributes, double shift);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
