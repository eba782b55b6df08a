// Whether a style coordinate makes images that do not look real, by the discriminator that was
// trained with the generator: the filter in the code that the authors of StylEx released (Lang et
// al. 2021, github.com/google/explaining-in-style, `discriminator_filter`; switched off in its own
// calls). The paper does not tell of it.
#ifndef STYLEX_TRAINER_STUDY_DISCRIMINATOR_FILTER_H_
#define STYLEX_TRAINER_STUDY_DISCRIMINATOR_FILTER_H_

#include <cstdint>

#include "explain/effects.h"
#include "explain/style_space.h"
#include "models/networks/discriminator.h"
#include "models/stylex.h"

namespace stylex {

// As the released code has them.
inline constexpr int64_t kFilterImages = 10;       // a direction
inline constexpr double kFilterLeastEffect = 0.2;  // logits
inline constexpr double kFilterShift = 2;          // beyond the extreme, where flaws show

// The greatest change of the discriminator's score when the coordinate moves by kFilterShift: in
// each direction on the first kFilterImages images whose target logit it raises by more than
// kFilterLeastEffect there; 0 without such images. Images are judged one by one, so that no other
// image of a batch counts, each with what the classifier says of it (the released code judges the
// unmoved image with what it says of the photograph). styles: of the images of `effects`, which
// are those decided otherwise than the target.
double GreatestScoreChange(const Stylex& model, Discriminator discriminator,
                           const StyleVectors& styles, const StyleRanges& ranges,
                           const StyleEffects& effects, int64_t target, int64_t index);

}  // namespace stylex

#endif  // STYLEX_TRAINER_STUDY_DISCRIMINATOR_FILTER_H_
