// The engine under AttFind and the counterfactual search: logits of many variants of one image,
// each with a few style coordinates moved.
//
// Everything below the lowest moved coordinate's layer is the image's own and comes from one trace;
// above it, variants of the same layer share a batch. Single moves on the CPU take the shorter way
// of models/cpu/variant_synthesis.h, unless coordinates are components, which reach every layer.
// Exact up to rounding, whatever the batch size. Not thread-safe; make one a thread.
#ifndef STYLEX_EXPLAIN_IMAGE_VARIANTS_H_
#define STYLEX_EXPLAIN_IMAGE_VARIANTS_H_

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "explain/style_space.h"
#include "models/stylex.h"

namespace stylex {

// What is moved at once; empty: nothing.
using MoveSet = std::vector<Move>;

struct VariantOptions {
  // Variants drawn and classified at once; on the CPU fewer where the activations are large.
  int64_t batch_size = 64;
  Cancelled cancelled = nullptr;  // may be empty; called by the caller's thread
  // After batches, variants done since the last time; called by the caller's thread.
  std::function<void(int64_t count)> classified = nullptr;  // may be empty
};

class ImageVariants {
 public:
  // styles: one image, [1, ...]. `model` and `ranges` must outlive this.
  ImageVariants(const Stylex& model, const StyleRanges& ranges, const StyleVectors& styles,
                VariantOptions options);

  // Logits of the image itself, [K] on the CPU.
  torch::Tensor BaseLogits() const;
  // Logits of the image with each set of moves, [M, K] on the CPU. CANCELLED when told so.
  absl::StatusOr<torch::Tensor> Logits(std::span<const MoveSet> variants) const;
  // The same for single moves of `shift`.
  absl::StatusOr<torch::Tensor> LogitsOfSingles(std::span<const Coordinate> coordinates,
                                                double shift) const;

 private:
  struct Batch {
    bool single;    // every variant is one channel's move, on the CPU
    int64_t layer;  // lowest that is moved
    int64_t start, length;
  };
  std::vector<Batch> MakeBatches(std::span<const MoveSet> variants,
                                 std::vector<int64_t>* order) const;
  // Images of the chosen variants, [count, ...], clamped.
  torch::Tensor Draw(const Batch& batch, std::span<const MoveSet> variants,
                     std::span<const int64_t> chosen) const;
  // The value that a move gives to its coordinate.
  float MovedValue(const Move& move) const;
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
  std::optional<VariantSynthesis> singles_;      // on the CPU only
  mutable std::optional<SynthesisTrace> trace_;  // made when first wanted
};

}  // namespace stylex

#endif  // STYLEX_EXPLAIN_IMAGE_VARIANTS_H_
