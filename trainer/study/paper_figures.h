// The paper's figures of a model: photographs beside their reconstructions (Figure 2), and each
// class's first attributes moved both ways (Figures 4 to 6 and 9), with what the classifier says.
#ifndef STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
#define STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_

#include <cstdint>
#include <vector>

#include "explain/style_space.h"
#include "image/bitmap.h"
#include "models/stylex.h"
#include "stylex/v1/attribute_index.pb.h"

namespace stylex {

// A column an image: photograph, reconstruction, and each one's decision with its probability.
// photographs[i] belongs to the styles' image i; as the network sees them.
Bitmap DrawReconstructions(const Stylex& model, const std::vector<Bitmap>& photographs,
                           const StyleVectors& styles);

// A row an attribute, the first `attributes` of `entry`; in it each image of `styles` moved to the
// attribute's minimum, as it is, and moved to the maximum (`shift` 1), with the probability of the
// entry's class underneath. The direction that raises the class is underlined.
Bitmap DrawAttributes(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                      const v1::ClassAttributes& entry, int64_t attributes, double shift);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
