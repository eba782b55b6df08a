// The figures of the replication study's paper (Bosch et al. 2022) for a model: photographs beside
// their reconstructions (Figure 2), each class's first attributes moved in both directions (Figures
// 4 to 6 and, of the baseline, 9), and what a StyleGAN2 draws (Figures 7 and 8), with the
// classifier's probabilities.
#ifndef STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
#define STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "explain/exemplar_baseline.h"
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
// the entry's class underneath. The direction that raises the class is underlined. `chosen`: what
// the title says of the attributes, in front of the class's name.
Bitmap DrawAttributes(const Stylex& model, const StyleVectors& styles, const StyleRanges& ranges,
                      const v1::ClassAttributes& entry, int64_t attributes, double shift,
                      const std::string& chosen = "what raises");

// The baseline's list for a class as such an entry: relevance instead of a mean effect, as the
// attribute's name.
v1::ClassAttributes EntryOf(const std::vector<ExemplarAttribute>& listed, int64_t class_id,
                            const StyleLayout& layout);

// The images of styles [N, ...], `columns` in a row, with the decision on each and its probability.
Bitmap DrawSamples(const Stylex& model, const StyleVectors& styles, int64_t columns);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_PAPER_FIGURES_H_
