// The engine of AttFind and the counterfactual search: logits of many variants of one image, each
// with a few style coordinates moved.
//
// Of channels, activations below the lowest moved one's layer come from one trace of the unmodified
// image; above it, variants of the same layer share a batch. Single moves on the CPU use the faster
// models/cpu/variant_synthesis.h. Components affect every layer: each variant is a whole image, on
// the CPU by models/cpu/synthesis.h. Batches on the CPU run side by side, one per core. Exact up to
// rounding for any batch size. Not thread-safe; use one object per thread.
#ifndef STYLEX_EXPLAIN_IMAGE_VARIANTS_H_
#define STYLEX_EXPLAIN_IMAGE_VARIANTS_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/search_control.h"
#include "explain/style_space.h"
#include "models/cpu/variant_synthesis.h"
#include "models/rendering.h"
#include "models/stylex.h"

namespace stylex {

// Moves applied together; may be empty.
using MoveSet = std::vector<Move>;

struct VariantOptions {
  SearchControl control = {};  // its progress is not called
  // Variants are classified as this renders them.
  Rendering rendering = {};
  // Called after batches, on the caller's thread, with the number of variants finished since the
  // last call.
  std::function<void(int64_t count)> classified = nullptr;  // may be empty
};

class ImageVariants {
 public:
  // styles: one image, [1, ...]. `model` and `ranges` must outlive this.
  ImageVariants(const Stylex& model, const StyleRanges& ranges, const StyleVectors& styles,
                VariantOptions options);

  // Logits of the image itself, [K] on the CPU.
  torch::Tensor BaseLogits() const;
  // Logits of the image with each set of moves, [M, K] on the CPU. CANCELLED if it is told
  // to stop.
  absl::StatusOr<torch::Tensor> Logits(std::span<const MoveSet> variants) const;
  // The same for single moves of `shift`.
  absl::StatusOr<torch::Tensor> LogitsOfSingles(std::span<const Coordinate> coordinates,
                                                double shift) const;

 private:
  struct Batch {
    bool single;    // every variant moves one channel, on the CPU
    int64_t layer;  // lowest moved layer
    int64_t start, length;
  };
  std::vector<Batch> MakeBatches(std::span<const MoveSet> variants,
                                 std::vector<int64_t>* order) const;
  // Images of the chosen variants, [count, ...], clamped.
  torch::Tensor Draw(const Batch& batch, std::span<const MoveSet> variants,
                     std::span<const int64_t> chosen) const;
  // The coordinate's value after the move.
  float MovedValue(const Move& move) const;
  bool OnCpu() const { return model_.device().is_cpu(); }
  // Variants of `layer` that fit into one generator batch.
  int64_t BatchFor(int64_t layer) const;
  const SynthesisTrace& Trace() const;
  // Lowest layer that the moves touch.
  int64_t FirstLayer(const MoveSet& moves) const;
  // Styles of the chosen variants, [count, ...].
  StyleVectors StylesOf(std::span<const MoveSet> variants, std::span<const int64_t> chosen) const;

  const Stylex& model_;
  const StyleRanges& ranges_;
  VariantOptions options_;
  StyleVectors styles_;
  torch::Tensor values_;                         // styles_.conv on the CPU, [S]
  std::optional<VariantSynthesis> singles_;      // of channels on the CPU only
  mutable std::optional<SynthesisTrace> trace_;  // computed when first used
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_IMAGE_VARIANTS_H_
