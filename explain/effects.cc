#include "explain/effects.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "base/status_macros.h"
#include "explain/image_variants.h"

namespace stylex {
namespace {

// Counts finished variants and reports the sum.
VariantOptions ForwardProgress(const EffectOptions& options, int64_t total, int64_t* done) {
  VariantOptions forwarded{.control = options.control};
  if (options.control.progress) {
    forwarded.classified = [progress = options.control.progress, total, done](int64_t count) {
      *done += count;
      progress(*done, total);
    };
  }
  return forwarded;
}

}  // namespace

absl::StatusOr<StyleEffects> ComputeEffects(const Stylex& model, const StyleVectors& styles,
                                            const StyleRanges& ranges,
                                            const EffectOptions& options) {
  torch::NoGradGuard no_grad;
  const int64_t images = styles.conv.size(0);
  const int64_t size = ranges.size();
  const std::vector<Coordinate> coordinates = AllMoves(size);
  StyleEffects effects{torch::empty({images, model.num_classes()}),
                       torch::empty({images, 2, size, model.num_classes()})};
  int64_t done = 0;
  const VariantOptions batches = ForwardProgress(options, images * 2 * size, &done);
  for (int64_t n = 0; n < images; ++n) {
    const ImageVariants variants(model, ranges, styles.Narrow(n, 1), batches);
    const torch::Tensor base = variants.BaseLogits();
    STYLEX_ASSIGN_OR_RETURN(const torch::Tensor moved,
                            variants.LogitsOfSingles(coordinates, options.shift));
    effects.base[n].copy_(base);
    effects.effect[n].copy_((moved - base).view({2, size, -1}));
  }
  return effects;
}

absl::StatusOr<torch::Tensor> LogitsAfterSingleMoves(const Stylex& model,
                                                     const StyleVectors& styles,
                                                     const StyleRanges& ranges,
                                                     std::span<const Coordinate> coordinates,
                                                     const EffectOptions& options) {
  int64_t done = 0;
  const int64_t total = static_cast<int64_t>(coordinates.size());
  const ImageVariants variants(model, ranges, styles, ForwardProgress(options, total, &done));
  return variants.LogitsOfSingles(coordinates, options.shift);
}

}  // namespace stylex
