#include "trainer/study/discriminator_filter.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

namespace stylex {
namespace {

// The discriminator's score of one image.
double RealnessOf(const Stylex& model, Discriminator* discriminator, const StyleVectors& styles) {
  const torch::Tensor image = model.Synthesize(styles);
  return (*discriminator)->forward(image, torch::softmax(model.Logits(image), 1)).item<double>();
}

}  // namespace

double GreatestScoreChange(const Stylex& model, Discriminator discriminator,
                           const StyleVectors& styles, const StyleRanges& ranges,
                           const StyleEffects& effects, int64_t target, int64_t index) {
  torch::NoGradGuard no_grad;
  double greatest = 0;
  for (const int direction : {0, 1}) {
    const torch::Tensor raised = effects.effect.select(1, direction)
                                     .select(1, index)
                                     .select(1, target)
                                     .gt(kFilterLeastEffect)
                                     .nonzero()
                                     .squeeze(1);
    const Move move = {{index, direction}, kFilterShift};
    for (int64_t i = 0; i < std::min(kFilterImages, raised.size(0)); ++i) {
      const StyleVectors image = styles.Narrow(raised[i].item<int64_t>(), 1);
      const double before = RealnessOf(model, &discriminator, image);
      const double after = RealnessOf(model, &discriminator, ApplyMoves(image, ranges, {&move, 1}));
      greatest = std::max(greatest, std::abs(after - before));
    }
  }
  return greatest;
}

}  // namespace stylex
